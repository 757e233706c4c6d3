"""Reference curves: how well the course's own checkpoint denoises a data set, stored in data/references."""

import json
from pathlib import Path

import torch
from torch import Tensor

from ddpm_core.checkpoint import write_text
from ddpm_core.config import DATA_DIR
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools.diagnosis.denoising import levels
from ddpm_tools.outputs import json_text

REFERENCES = DATA_DIR / "references"


def reference_curve(name: str, schedule: DiffusionSchedule) -> Tensor | None:
    """The shipped checkpoint's errors on this data, at this schedule's noise levels; None if none ships.
    Interpolated over log snr: the error depends on the noise level, not on the timestep's number."""
    path = REFERENCES / f"diagnose_{name}.json"
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    x, y = torch.tensor(kept["log_snr"]).flip(0), torch.tensor(kept["error"]).log().flip(0)  # x rises as t falls
    want = schedule.snr.log()[levels(schedule.timesteps)].clamp(float(x[0]), float(x[-1]))
    right = torch.searchsorted(x, want.contiguous()).clamp(1, len(x) - 1)
    share = (want - x[right - 1]) / (x[right] - x[right - 1])
    return (y[right - 1] + share * (y[right] - y[right - 1])).exp().double()  # (levels,)


def save_reference(path: Path, errors: Tensor, schedule: DiffusionSchedule, about: dict) -> None:
    """A reference curve with its provenance."""
    log_snr = schedule.snr.log()[levels(schedule.timesteps)].tolist()
    write_text(path, json_text({"log_snr": log_snr, "error": errors.tolist(), "made_with": about}, indent=1) + "\n")
