"""Figures that carry their error bars and everything they depend on, so that only like is compared with like."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean, stdev

import torch
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.metrics.classifier import Classifier, classify
from ddpm_core.metrics.distances import Moments, diversity, frechet_resampler
from ddpm_core.streams import stream

TOPS = {"adherence": 1.0, "precision": 1.0, "recall": 1.0, "coverage": 1.0, "copies": 1.0}  # others have none
SIGNED = ("kid", "frechet_inf")  # unbiased estimates of what is never negative may fall below zero themselves


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float
    se: float | None = None  # reference error; the interval may have been cut off where no value can lie

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def labelled(reference: str) -> str:
    """With a word on CIFAR-10 kept as JPEG, whose figures are not those of the original pictures."""
    return f"{reference}: CIFAR-10 (JPEG)" if reference.startswith("cifar10") and "jpeg" in reference else reference


@dataclass(frozen=True)
class Provenance:
    """What a figure depends on. What another program drew has no seed, steps or w that we know of: None."""

    extractor: str  # the network with its version, "pixels" where there is none
    n: int
    reference: str
    seed: int | tuple[int, ...] | None
    steps: int | None
    w: float | None
    weights: str  # "ema", "raw", or "unknown"

    def __str__(self) -> str:
        """All but the extractor, in words."""
        made = [f"seed {self.seed}"] if self.seed is not None else []
        made += [f"{self.steps} steps"] if self.steps is not None else []
        made += [f"w = {self.w:g}"] if self.w is not None else []
        return ", ".join([f"n = {self.n}", f"reference {labelled(self.reference)}", *made, f"weights: {self.weights}"])


@dataclass(frozen=True)
class MetricResult:
    """One metric's value and what it depends on."""

    metric: str
    estimate: Estimate
    about: Provenance


class Incomparable(ValueError):
    """Two figures whose difference would mean nothing; the message says why."""


REASONS = {
    "metric": "they measure different things",
    "extractor": "distances in the feature spaces of different networks have different scales",
    "n": "the figure itself changes with the number of images, so draw the same number for both",
    "reference": "they are distances to different images",
    "weights": "averaged and raw weights are different models",
}


def check_comparable(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> None:
    """Incomparable where the two differ in metric, extractor, n, reference or weights.

    `varying` may name "weights", where the weights are what is being compared; seed, steps and w always may differ.
    """
    if bad := set(varying) - {"weights"}:
        raise ValueError(f"figures that differ in {', '.join(sorted(bad))} are never comparable; only weights may vary")
    for name, reason in REASONS.items():
        x, y = (f.metric if name == "metric" else getattr(f.about, name) for f in (a, b))
        if x != y and name not in varying:
            raise Incomparable(f"{a.metric} is not comparable: {name} is {x} in one and {y} in the other, and {reason}")


def compare(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> Estimate:
    """b - a with the interval of the difference of independent figures; Incomparable as check_comparable has it."""
    check_comparable(a, b, varying)
    se = [f.estimate.se if f.estimate.se is not None else half(f.estimate) / 1.96 for f in (a, b)]
    return interval(b.estimate.value - a.estimate.value, (se[0] ** 2 + se[1] ** 2) ** 0.5, low=float("-inf"))


def half(e: Estimate) -> float:
    """Half of the interval's width, from the side that was not cut off."""
    return max(e.high - e.value, e.value - e.low)


def interval(value: float, se: float, low: float = 0.0, top: float = float("inf"), times: float = 1.96) -> Estimate:
    """value ± times reference errors, cut off at `low` and `top`, or at a value that rounding puts beyond these."""
    return Estimate(value, min(value, max(low, value - times * se)), max(value, min(top, value + times * se)), se)


def bootstrap(
    statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, top: float = float("inf")
) -> Estimate:
    """value ± 1.96 bootstrap reference errors of statistic(indices), cut off at 0 and `top` (Efron 1979).

    Not the bootstrap's quantiles: a Fréchet distance rises when images are drawn twice, so that they would lie beside
    the value. The interval is for this n; the distance's own bias at finite n is the same in all figures of one n.
    """
    value, rng = statistic(torch.arange(n)), stream(seed, "bootstrap")
    draws = torch.tensor([statistic(torch.randint(n, (n,), generator=rng)) for _ in range(repeats)])
    return interval(value, draws.std().item(), top=top)


def proportion(hits: Tensor) -> Estimate:
    """The mean of hits (N,), each 0 or 1, with Wilson's interval (1927, eq. 2).

    The bootstrap over images in closed form, but for shares near 0 and 1, where resampling a hundred hits out of a
    hundred would claim certainty.
    """
    n, p, z = len(hits), float(hits.double().mean()), 1.96
    middle, width = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half_width = width * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = min(p, middle - half_width), max(p, middle + half_width)  # at 0 and 1 they meet p, but for rounding
    return Estimate(p, max(0.0, low), min(1.0, high), half_width / z)


def halves(
    statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, top: float = float("inf")
) -> Estimate:
    """As bootstrap, from random halves drawn without replacement (delete-half jackknife, Shao & Wu 1989).

    For recall and coverage, in which an image drawn twice counts as its own neighbour, and for distances: images drawn
    twice lower the covariance's rank, and a bootstrap's error is up to three times too large where n is below 4 D; this
    one's is less than twice, and right for distances well above zero.
    """
    rng = stream(seed, "halves")
    draws = torch.tensor([statistic(torch.randperm(n, generator=rng)[: n // 2]) for _ in range(repeats)])
    return interval(statistic(torch.arange(n)), draws.std().item(), top=top)


def over_seeds(figures: Sequence[MetricResult]) -> MetricResult:
    """One metric at several seeds: their mean, with the interval that the seeds' own scatter gives.

    The scatter holds that of the images too. It is the bootstrap over seeds in closed form, widened from the few seeds
    to a population (n / (n - 1)) and by Student's t: resampling three seeds alone would be too narrow by a third.
    """
    from scipy.stats import t as student  # slow to import

    first, *others = figures
    for f in others:
        check_comparable(first, f)
    values = [f.estimate.value for f in figures]
    if not others:
        return first
    se = stdev(values) / len(values) ** 0.5
    low = float("-inf") if first.metric in SIGNED else 0.0
    times = float(student.ppf(0.975, len(values) - 1))  # 12.7 for two seeds: they say little
    top = TOPS.get(first.metric, float("inf"))
    seeds = tuple(f.about.seed for f in figures)
    return MetricResult(first.metric, interval(mean(values), se, low, top, times), replace(first.about, seed=seeds))


@dataclass(frozen=True)
class Scores:
    """Adherence (accuracy of a held-out classifier on the requested labels), Fréchet distance, diversity."""

    adherence: Estimate
    distance: Estimate
    diversity: Estimate  # within-class spread of the features, in units of the real images'
    about: Provenance

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class ReferenceStatistics:
    """What scored features are held against: the moments of real ones, and their spread within a class."""

    name: str
    moments: Moments
    spread: float

    @classmethod
    def of(cls, real: ImageData, classifier: Classifier) -> ReferenceStatistics:
        _, features = classify(classifier, real.floats())
        return cls(f"{real.name}/{real.split}", Moments.of(features), diversity(features, real.labels))


def score(
    images: Tensor,
    y: Tensor,
    real: ImageData | ReferenceStatistics,
    classifier: Classifier,
    about: Provenance,
    repeats: int = 100,
) -> Scores:
    """Score images (N, C, H, W), at least 4, made for labels y (N,) against a real data set.

    Error bars are those of `evaluate`: Wilson's, random halves, and the bootstrap, all over the images.
    """
    predicted, features = classify(classifier, images)
    reference = real if isinstance(real, ReferenceStatistics) else ReferenceStatistics.of(real, classifier)
    n = len(images)
    return Scores(
        adherence=proportion(predicted == y),
        distance=halves(frechet_resampler(features, reference.moments), n, repeats, about.seed),
        diversity=bootstrap(lambda i: diversity(features[i], y[i]) / reference.spread, n, repeats, about.seed),
        about=about,
    )
