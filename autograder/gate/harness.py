"""Settings of a gate's run: training, sampling, and the looks, that is the steps at which it is measured.

Each harness has its own method to train an answer (learning.py, and the exercises' gate.py). Measuring is the same for
all (looking.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from torch import Tensor

from autograder.exercises.base import Probe
from ddpm_core.samplers import SampleConfig

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]  # (xt, t, y) -> eps, or x0 where the harness says so
Progress = Callable[[float], None]  # the share done
TRAINING = 0.8  # share of a run's time; the rest is sampling
SAMPLER = SampleConfig().sampler
LATER = {"looks": (), "sampler": SAMPLER}  # fields added later: at these values, descriptions omit them, as old ones do


@dataclass(frozen=True)
class Harness:
    """Settings of one run. After changing one, calibrate the bands again: a test compares them with the band file."""

    labels: ClassVar[bool] = True  # samples are requested by class
    timed: ClassVar[bool] = False  # whether the answer itself must use the timestep; if it does not, there is no hope
    output: ClassVar[str] = "epsilon"

    train: dict = field(
        # 250 steps of 128 digits: the shortest run that keeps every reference far from every control
        default_factory=lambda: {"steps": 250, "lr": 3e-3, "batch_size": 128, "warmup": 25, "ema_decay": 0.99}
    )
    samples: int = 1000  # 100 per class; the 64-d features have a full-rank covariance from far fewer
    sample_steps: int = 20
    w: float = 1.0  # purely conditional: guidance would hide a weak conditioner
    batch: int = 500
    probes: int = 36  # held-out images in every query
    chunk: int = 25  # training steps between progress reports
    looks: tuple[int, ...] = ()  # steps after which the run is measured; none: only at the end
    sampler: str = SAMPLER

    @property
    def ends(self) -> tuple[int, ...]:
        """The steps at which the run is measured; after the last one nothing is trained."""
        steps = self.train["steps"]
        return tuple(sorted({min(step, steps) for step in self.looks})) or (steps,)

    def learn(self, probe: Probe, seed: int, progress: Progress, shuffled: bool = False) -> Iterator[Denoise]:
        """Train the answer, and at each of `ends` yield a function that denoises with the weights reached by then.

        `shuffled` trains on wrong labels, which turns any design into a control.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Unconditional(Harness):
    """Settings of a run without labels, whose batches the parent draws as well."""

    labels: ClassVar[bool] = False

    train: dict = field(
        default_factory=lambda: {
            **{"steps": 250, "lr": 3e-3, "batch_size": 64, "warmup": 25},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        }
    )
    samples: int = 500  # sampling takes a larger share of the time than with labels, and serves only one metric
    probes: int = 100  # at every noise level, since all levels count the same
    network: dict = field(default_factory=dict)  # the network's shape, or environment variables for an answer
    output: str = "epsilon"  # what the denoiser predicts: epsilon or x0


@dataclass(frozen=True)
class Gate:
    """How the trained answers of an exercise are judged."""

    harness: Harness  # one look: the challenge tracks' own, whose figures are on record
    # For each metric, the controls that it can detect: shuffled labels, for example, do not change the pooled distance,
    # and neither does an ignored timestep. A metric that is not named here has no limit.
    controls: dict[str, tuple[str, ...]]
    sequential: Harness | None = None  # the run by which answers are graded; None: the harness
    decisive: dict[str, tuple[str, ...]] = field(default_factory=dict)  # `controls` of the sequential run
    # The look up to which references are run to set the limits; controls then stop where there is no hope. 0: the last.
    enough: int = 0

    def graded(self) -> tuple[Harness, dict[str, tuple[str, ...]]]:
        """Return the run by which a submission is graded, and the controls that its limits come from."""
        return (self.sequential, self.decisive) if self.sequential else (self.harness, self.controls)


def unwatched(share: float) -> None:
    """Ignore progress."""


def describe(harness: Harness) -> dict:
    """Return the settings with which the band file must have been made."""
    return {k: v for k, v in asdict(harness).items() if k not in LATER or v != LATER[k]}
