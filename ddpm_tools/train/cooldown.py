"""A finished model from an unfinished run: the learning rate leaves its schedule and falls to zero within a few steps.

Most of what a long run still gains at its end comes from the falling learning rate, and not from the number of steps
(Hägele et al. 2024, "Scaling laws and compute-optimal training beyond fixed training durations"). So a run can be
finished whenever time runs out. The cooldown is a run of its own, and the one that it leaves can go on as planned.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import sqrt

from ddpm_core.training import TrainConfig, TrainState, lr_at


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
