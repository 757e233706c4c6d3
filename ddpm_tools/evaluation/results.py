"""Results with their error bars and everything they depend on, so that only like is compared with like."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import inf

from ddpm_tools.evaluation.estimates import Estimate, difference, mean_estimate, paired

TOPS = {"adherence": 1.0, "precision": 1.0, "recall": 1.0, "coverage": 1.0, "copies": 1.0}  # the others have none
SIGNED = ("kid", "frechet_inf")  # unbiased estimates of nonnegative quantities can themselves be negative
COVERS = {  # what varies behind an interval, in words
    "images": "the images of one run; comparing methods needs several training seeds",
    "sampling seeds": "the sampling seeds of one checkpoint; comparing methods needs several training seeds",
    "training seeds": "the training seeds of one method",
}


def labelled(reference: str) -> str:
    """Marks CIFAR-10 stored as JPEG, whose results differ from those of the original pictures."""
    return f"{reference}: CIFAR-10 (JPEG)" if reference.startswith("cifar10") and "jpeg" in reference else reference


def for_readers(reference: str) -> str:
    """The same for text in a figure: without the data's digest, which the results file holds."""
    return re.sub(r", [0-9a-f]{16}\)", ")", labelled(reference))


@dataclass(frozen=True)
class Provenance:
    """What a result depends on. Images from another program have unknown seed, steps and w: None."""

    extractor: str  # the network and its version, or "pixels" without one
    n: int  # number of generated images
    reference: str  # the real images: data, split, number and digest
    seed: int | tuple[int, ...] | None  # sampling seed; several if the result is a mean over them
    steps: int | None  # sampler steps
    w: float | None  # guidance scale
    weights: str  # "ema", "raw", or "unknown"

    def __str__(self) -> str:
        """Everything but the extractor, in words."""
        made = [f"seed {self.seed}"] if self.seed is not None else []
        made += [f"{self.steps} steps"] if self.steps is not None else []
        made += [f"w = {self.w:g}"] if self.w is not None else []
        return ", ".join([f"n = {self.n}", f"reference {labelled(self.reference)}", *made, f"weights: {self.weights}"])


@dataclass(frozen=True)
class MetricResult:
    """One metric's value and what it depends on."""

    metric: str  # a key of METRICS
    estimate: Estimate  # its value and 95 % interval
    about: Provenance
    values: tuple[float, ...] = ()  # one for each seed in about.seed, if there are several
    covers: str = "images"  # a key of COVERS: what varies behind the interval

    def by_seed(self) -> dict[int, float]:
        return dict(zip(self.about.seed, self.values)) if self.values else {}


class Incomparable(ValueError):
    """Two results whose difference would be meaningless; the message says why."""


REASONS = {
    "metric": "they measure different things",
    "extractor": "distances in the feature spaces of different networks have different scales",
    "n": "the result itself changes with the number of images, so draw the same number for both",
    "reference": "they are distances to different images",
    "weights": "averaged and raw weights are different models",
}


def check_comparable(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> None:
    """Incomparable if the two differ in metric, extractor, n, reference or weights. `varying` may name "weights", if
    the weights are being compared; seed, steps and w can always differ."""
    if bad := set(varying) - {"weights"}:
        raise ValueError(f"results that differ in {', '.join(sorted(bad))} are never comparable; only weights can vary")
    for name, reason in REASONS.items():
        x, y = (f.metric if name == "metric" else getattr(f.about, name) for f in (a, b))
        if x != y and name not in varying:
            raise Incomparable(f"{a.metric} is not comparable: {name} is {x} in one and {y} in the other, and {reason}")


def pairs(a: MetricResult, b: MetricResult) -> list[float]:
    """b - a seed by seed, if both come from the same seeds; else empty."""
    x, y = a.by_seed(), b.by_seed()
    return paired(x, y) if x.keys() == y.keys() and a.covers == b.covers else []


def compare(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> Estimate:
    """b - a with its 95 % interval; Incomparable as in check_comparable. Paired if both come from the same seeds, else
    Welch's, for independent results. The interval covers what those of a and b cover: only over training seeds does
    it tell which of two methods is better."""
    check_comparable(a, b, varying)
    return mean_estimate(d) if (d := pairs(a, b)) else difference(a.estimate, b.estimate)


def over_seeds(results: Sequence[MetricResult], training_seeds: Sequence[int] = ()) -> MetricResult:
    """One metric at several seeds: the mean, with Student's interval from the variation between seeds, which includes
    that between images. The seeds are those used to sample one checkpoint, unless `training_seeds` names those of the
    runs behind the results. ValueError if two are equal."""
    first, *others = results
    for r in others:
        check_comparable(first, r)
    if not others:
        return first
    seeds = tuple(training_seeds) or tuple(r.about.seed for r in results)
    if len(set(seeds)) < len(results) or len(seeds) != len(results):
        raise ValueError(f"{len(results)} results need as many different seeds, got {seeds}; name the training seeds")
    values = tuple(r.estimate.value for r in results)
    mean = mean_estimate(values, (), -inf if first.metric in SIGNED else 0.0, TOPS.get(first.metric, inf))
    covers = "training seeds" if training_seeds else "sampling seeds"
    return MetricResult(first.metric, mean, replace(first.about, seed=seeds), values, covers)
