"""A new run that begins with the averaged weights of a checkpoint: to train a finished model further, or on other data.

The optimiser begins anew, with the warm-up and the learning rate of the new run (a warm restart: Loshchilov and Hutter
2017, "SGDR").
"""

from dataclasses import dataclass
from pathlib import Path

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
    step: int  # training steps behind its weights
    weights: str  # digest of its weights file

    def fill(self, state: TrainState, path: Path) -> None:
        """Put the averaged weights of `path` into a fresh state's network and into its average."""
        tensors, _ = checkpoint.read(path, skip="model.")
        for module in (state.model, state.ema.module):
            checkpoint.fill(module, tensors, "ema.", path)  # float16 becomes float32


def warm_start(path: Path, config: Preset) -> WarmStart:
    """The weights of `path` as the beginning of a run with this config; CheckpointError if they are those of another
    network."""
    tensors, record = checkpoint.read(path, skip="model.")
    ours, theirs = (resume.flat(to_dict(c)) for c in (config, checkpoint.config_of(record, path)))
    if keys := [k for k in ours if ours[k] != theirs.get(k) and not k.startswith(TRAINING)]:
        differ = ", ".join(f"{k} is {theirs.get(k)} there and {ours[k]} here" for k in keys)
        raise CheckpointError(f"{path} cannot begin this run: {differ}; choose another --from or --preset")
    return WarmStart(checkpoint.stem(path).name, checkpoint.step_of(tensors, path), checkpoint.file_digest(path))
