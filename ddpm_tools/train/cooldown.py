"""A finished model from an unfinished run: the learning rate leaves its schedule and falls to zero within a few steps.

Most of what a long run still gains at its end comes from the falling learning rate, and not from the number of steps
(Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations"). So a run can be
stopped whenever time runs out. A copy of it made before can go on as planned.
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


def cooling(path: Path, config: Preset, steps: int = 0) -> tuple[Preset, Preset, Cooldown | None]:
    """For a run that is to end within `steps` steps from where its checkpoint stands (0: as planned): its config until
    now and from now on, and its Cooldown. A run that has begun to cool down continues to do so. CheckpointError if it
    cannot."""
    tensors, record = checkpoint.read(path, skip="optimizer.") if resume.exists(path) else ({}, {})
    if began := record.get("provenance", {}).get("cooldown"):
        cooldown, end = Cooldown(**began), checkpoint.config_of(record, path).train.steps
        if steps not in (0, end - cooldown.start):
            since = f"{path} has been cooling down since step {cooldown.start} and will end at step {end}"
            raise CheckpointError(f"{since}; leave --cooldown out to continue")
        if config.train.steps == cooldown.planned:
            config = ending(config, end)
        return config, config, cooldown
    if not steps:
        return config, config, None
    if not tensors:
        raise CheckpointError(f"{path} does not exist, so it cannot cool down; train first without --cooldown")
    done, planned = checkpoint.step_of(tensors, path), config.train.steps
    if done + steps >= planned:
        left = f"{path} has only {planned - done} of its {planned} steps left"
        raise CheckpointError(f"{left}; leave --cooldown out, or choose a smaller one")
    return config, ending(config, done + steps), Cooldown(done, planned)


def ending(config: Preset, steps: int) -> Preset:
    """The config with its end after `steps` steps."""
    return replace(config, train=replace(config.train, steps=steps))
