"""How a run begins or continues: from random weights, from its own last save, or from another run."""

from dataclasses import dataclass, replace
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import Preset
from ddpm_tools.train import resume
from ddpm_tools.train.cooldown import Cooldown
from ddpm_tools.train.warm_start import WarmStart, warm_start


@dataclass(frozen=True)
class Source:
    """Another run to begin with."""

    path: Path
    cooldown: int = 0  # finish that run within so many steps; 0: take its averaged weights into a new run


@dataclass(frozen=True)
class Beginning:
    """The checkpoint to continue from, with its config, and the config from now on."""

    path: Path
    before: Preset
    config: Preset
    cooldown: Cooldown | None = None
    warm_start: WarmStart | None = None


def beginning(out: Path, config: Preset, source: Source | None = None) -> Beginning:
    """How the run `out` begins or continues. CheckpointError if it cannot begin with `source`."""
    if resume.exists(out):
        return continued(out, config, source)
    if not source:
        return Beginning(out, config, config)
    if not source.cooldown:
        return Beginning(out, config, config, warm_start=warm_start(source.path, config))
    path, steps = source.path, source.cooldown
    tensors, record = checkpoint.read(path, skip="model.")
    done, planned = checkpoint.step_of(tensors, path), config.train.steps
    if checkpoint.config_of(record, path) == config and done + steps >= planned:  # `resume` says if the config differs
        left = planned - done
        remedy = "; choose a smaller --cooldown" if left > 0 else ", so it cannot cool down"
        raise CheckpointError(f"{path} has only {left} of its {planned} steps left{remedy}")
    return Beginning(path, config, ending(config, done + steps), Cooldown(done, planned))


def continued(out: Path, config: Preset, source: Source | None) -> Beginning:
    """How the run `out`, which exists, goes on; CheckpointError if it did not begin with `source`."""
    record = checkpoint.read(out, skip="")[1]  # no tensors
    told = record.get("provenance", {})
    if "warm_start" in told:
        began = WarmStart(**told["warm_start"])
        if source and (source.cooldown or checkpoint.file_digest(source.path) != began.weights):
            since = f"{out} began with the weights of {began.checkpoint} (step {began.step})"
            raise CheckpointError(f"{since}; for another --from or a --cooldown choose another --out")
        return Beginning(out, config, config, warm_start=began)
    if "cooldown" not in told:
        if source:
            new = "a cooldown" if source.cooldown else "a run that begins with other weights"
            raise CheckpointError(f"{out} exists, and {new} must not replace it; choose another --out")
        return Beginning(out, config, config)
    cooldown, end = Cooldown(**told["cooldown"]), checkpoint.config_of(record, out).train.steps
    if source and source.cooldown != end - cooldown.start:
        since = f"{out} has been cooling down since step {cooldown.start} and will end at step {end}"
        raise CheckpointError(f"{since}; for another --cooldown choose another --out")
    if config.train.steps == cooldown.planned:
        config = ending(config, end)
    return Beginning(out, config, config, cooldown)


def ending(config: Preset, steps: int) -> Preset:
    """The config with its end after `steps` steps."""
    return replace(config, train=replace(config.train, steps=steps))
