"""A finished model from an unfinished run: the learning rate leaves its schedule and falls to zero within a few steps.

Most of what a long run still gains at its end comes from the falling learning rate, and not from the number of steps
(Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations"). So a run can be
finished whenever time runs out. The cooldown is a run of its own, and the one that it leaves can go on as planned.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import Preset
from ddpm_core.training import TrainConfig, TrainState, lr_at
from ddpm_tools.train import resume


@dataclass(frozen=True)
class Cooldown:
    """Where a run left its schedule."""

    start: int  # steps done by then
    planned: int  # steps of the run as it was planned: its schedule gives the learning rate that falls

    def lr(self, step: int, config: TrainConfig) -> float:
        """The learning rate at a step from `start` to config.steps: 1 - sqrt of the part done (Hägele et al. 2024)."""
        before = lr_at(self.start, replace(config, steps=self.planned))
        return before * (1 - sqrt((step - self.start) / (config.steps - self.start)))

    def attach(self, state: TrainState, config: TrainConfig) -> None:
        """Let the optimiser's steps use this learning rate instead of the schedule's."""
        state.optimizer.register_step_pre_hook(partial(self._apply, state, config))

    def _apply(self, state: TrainState, config: TrainConfig, *_: object) -> None:
        for group in state.optimizer.param_groups:
            group["lr"] = self.lr(state.step, config)


@dataclass(frozen=True)
class Beginning:
    """The checkpoint to continue from, with its config, and the config from now on."""

    path: Path
    before: Preset
    config: Preset
    cooldown: Cooldown | None = None


def beginning(out: Path, config: Preset, asked: tuple[Path, int] | None = None) -> Beginning:
    """How the run `out` begins or continues. `asked` is another run, which `out` is to finish within so many steps.
    CheckpointError if it cannot."""
    if resume.exists(out):
        record = checkpoint.read(out, skip="")[1]  # no tensors
        if not (began := record.get("provenance", {}).get("cooldown")):
            if asked:
                raise CheckpointError(f"{out} exists, and a cooldown must not replace it; choose another --out")
            return Beginning(out, config, config)
        cooldown, end = Cooldown(**began), checkpoint.config_of(record, out).train.steps
        if asked and asked[1] != end - cooldown.start:
            since = f"{out} has been cooling down since step {cooldown.start} and will end at step {end}"
            raise CheckpointError(f"{since}; for another --cooldown choose another --out")
        if config.train.steps == cooldown.planned:
            config = ending(config, end)
        return Beginning(out, config, config, cooldown)
    if not asked:
        return Beginning(out, config, config)
    path, steps = asked
    tensors, record = checkpoint.read(path, skip="model.")
    done, planned = checkpoint.step_of(tensors, path), config.train.steps
    if checkpoint.config_of(record, path) == config and done + steps >= planned:  # `resume` says if the config differs
        left = planned - done
        remedy = "; choose a smaller --cooldown" if left > 0 else ", so it cannot cool down"
        raise CheckpointError(f"{path} has only {left} of its {planned} steps left{remedy}")
    return Beginning(path, config, ending(config, done + steps), Cooldown(done, planned))


def ending(config: Preset, steps: int) -> Preset:
    """The config with its end after `steps` steps."""
    return replace(config, train=replace(config.train, steps=steps))
