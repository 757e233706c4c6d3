"""A new run that begins with the averaged weights of a checkpoint: to train a finished model further, or on other data.

The optimiser begins anew, with the warm-up and the learning rate of the new run (a warm restart: Loshchilov and Hutter
2017, "SGDR").
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import Preset, to_dict
from ddpm_core.training import TrainState
from ddpm_tools.train import resume

TRAINING = ("data", "train.", "split", "loss", "times", "optimizer")  # may differ; the rest describes the network


@dataclass(frozen=True)
class WarmStart:
    """The checkpoint with which a run began, for its record."""

    checkpoint: str  # its name without the folder
    weights: str  # digest of its weights file
    step: int  # training steps behind these weights, from random ones on
    images: int  # seen in these steps
    minutes: float  # that they took
    cpu_seconds: float  # of all threads

    def fill(self, state: TrainState, path: Path) -> None:
        """Put the averaged weights of `path` into a fresh state's network and into its average."""
        tensors, _ = checkpoint.read(path, skip="model.")
        for module in (state.model, state.ema.module):
            checkpoint.fill(module, tensors, "ema.", path)  # float16 becomes float32


def warm_start(path: Path, config: Preset) -> WarmStart:
    """The weights of `path` as the beginning of a run with this config; CheckpointError if they are those of another
    network."""
    record = checkpoint.read(path, skip="")[1]  # no tensors
    ours, theirs = (resume.flat(to_dict(c)) for c in (config, checkpoint.config_of(record, path)))
    if keys := [k for k in ours if ours[k] != theirs.get(k) and not k.startswith(TRAINING)]:
        differ = ", ".join(f"{k} is {theirs.get(k)} there and {ours[k]} here" for k in keys)
        raise CheckpointError(f"{path} cannot begin this run: {differ}; choose another --from or --preset")
    return WarmStart(checkpoint.stem(path).name, checkpoint.file_digest(path), **training_behind(record))


def training_behind(record: dict[str, Any]) -> dict[str, Any]:
    """All training behind a checkpoint, from random weights on: {"step", "images", "minutes", "cpu_seconds"}."""
    told = record.get("provenance", {})
    before, train = told.get("warm_start", {}), record["config"]["train"]
    step = told.get("step", train["steps"])
    own = {"step": step, "images": step * train["batch_size"]}
    own |= {k: told.get(k) or 0.0 for k in ("minutes", "cpu_seconds")}
    return {k: round(v + before.get(k, 0), 2) for k, v in own.items()}
