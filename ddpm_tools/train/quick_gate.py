"""Which designs have passed the quick gate. A full-scale run requires it, so that no GPU hours go to a broken design.
The passes are data: the challenges' quick tier trains every known design on digits, and `python benchmarks/tracks.py`
records which of them stay within the limits of the reference gate."""

import json
from pathlib import Path

from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR, Preset

PASSES = DATA_DIR / "challenges/gate.json"
FULL_SCALE = ("cifar10-small", "cifar10-medium", "cifar10-large", "cifar10-small-guided", "cifar10-small-open")
PREDICTION = {"epsilon": "epsilon", "v": "vpred", "x0": "x0pred", "blend": "blend"}


def designs(config: Preset) -> list[tuple[str, str]]:
    """(track, design) for each choice in a config that belongs to a track, under the tracks' names."""
    unet = config.unet
    # the standard network has attention at 16×16; more of it on smaller maps is the same design
    attention = {(1,): "standard", (1, 2): "standard", (): "no-attn", tuple(range(len(unet.channels))): "full-attn"}
    where = attention.get(tuple(unet.attention_levels), f"attention at levels {unet.attention_levels}")
    chosen = [("prediction", PREDICTION[config.parameterization]), ("architecture", where)]
    return chosen if config.conditioning == "none" else [("conditioning", config.conditioning), *chosen]


def require(config: Preset, path: Path = PASSES) -> str:
    """The note for the record of a config whose designs have all passed; ValueError names the first that has not."""
    strategy(config.conditioning)  # raises for an unknown name
    passes = json.loads(path.read_text(encoding="utf-8"))["designs"] if path.is_file() else {}
    for track, design in designs(config):
        found = passes.get(track, {}).get(design)
        if not (found and found["passed"]):
            why = f"failed it on {found['seeds']} seeds ({found['reason']})" if found else "was never tested"
            others = ", ".join(name for name, told in passes.get(track, {}).items() if told["passed"]) or "none"
            raise ValueError(
                f"full scale is for designs that have passed the quick gate, and '{design}' of the {track} track {why}"
                f" (passed: {others}); see docs/challenges.md, or train it anyway with --ungated, which the"
                " checkpoint will record"
            )
    seeds = {design: passes[track][design]["seeds"] for track, design in designs(config)}
    return "passed: " + ", ".join(f"{design} ({n} seeds)" for design, n in seeds.items())
