"""Answers that calibrate the gates: right designs of different kinds, and controls known to be bad. Never released."""

from __future__ import annotations

from pathlib import Path

ROLES = {
    "conditioner": {
        "references": ("add", "adaln_zero", "cross_attention"),
        "controls": ("ignored", "shared_label", "shuffled"),
    },
    "prediction": {
        "references": ("epsilon", "v", "x0"),
        "controls": ("ignores_time", "constant", "inconsistent"),
    },
    "architecture": {
        "references": ("standard", "own_unet", "flat"),
        "controls": ("ignores_time", "constant", "no_skips"),
    },
}
# What the limits were not made from: with these the gate is put to the test (benchmarks/gate_calibration.py).
UNSEEN = {
    "conditioner": {
        "right": ("film", "gated_fusion", "film_attention", "gated_modulation", "wide_mlp"),
        "wrong": ("nan",),
    },
    "prediction": {"right": ("blend", "flow", "half_turned"), "wrong": ("first_timestep", "wrong_sign", "nan")},
    "architecture": {"right": (), "wrong": ("pointwise", "nan")},
}


def cells_of(file: Path) -> dict[str, str]:
    """The answer cells in a file: its blocks that begin with `# %% grade_id`."""
    blocks = file.read_text(encoding="utf-8").split("# %% ")[1:]
    return {b.split("\n", 1)[0].strip(): b.split("\n", 1)[1].strip() + "\n" for b in blocks}


def cells(exercise: str, design: str) -> dict[str, str]:
    """The answer cells of a reference design."""
    return cells_of(Path(__file__).parent / exercise / f"{design}.py")
