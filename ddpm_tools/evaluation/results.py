"""Results that carry their error bars and everything they depend on, so that only like is compared with like."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import inf

from ddpm_tools.evaluation.estimates import Estimate, difference, mean_estimate, paired

TOPS = {"adherence": 1.0, "precision": 1.0, "recall": 1.0, "coverage": 1.0, "copies": 1.0}  # others have none
SIGNED = ("kid", "frechet_inf")  # unbiased estimates of what is never negative may fall below zero themselves
COVERS = {  # what varies behind an interval, in words
    "images": "the images of one run; comparing methods takes several training seeds",
    "sampling seeds": "the sampling seeds of one checkpoint; comparing methods takes several training seeds",
    "training seeds": "the training seeds of one method",
}


def labelled(reference: str) -> str:
    """With a word on CIFAR-10 kept as JPEG, whose results are not those of the original pictures."""
    return f"{reference}: CIFAR-10 (JPEG)" if reference.startswith("cifar10") and "jpeg" in reference else reference


def for_readers(reference: str) -> str:
    """The same for the text of a picture: without the data's digest, which stands in the results' file."""
    return re.sub(r", [0-9a-f]{16}\)", ")", labelled(reference))


@dataclass(frozen=True)
class Provenance:
    """What a result depends on. What another program drew has no seed, steps or w that we know of: None."""

    extractor: str  # the network with its version, "pixels" where there is none
    n: int  # images behind the result
    reference: str  # the real images: data, split, number and digest
    seed: int | tuple[int, ...] | None  # of the sampling; several where the result is a mean over them
    steps: int | None  # of the sampler
    w: float | None  # guidance scale
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

    metric: str  # a key of METRICS
    estimate: Estimate  # its value and 95 % interval
    about: Provenance
    values: tuple[float, ...] = ()  # one for each seed in about.seed, where there are several
    covers: str = "images"  # a key of COVERS: what the interval is over

    def by_seed(self) -> dict[int, float]:
        return dict(zip(self.about.seed, self.values)) if self.values else {}


class Incomparable(ValueError):
    """Two results whose difference would mean nothing; the message says why."""


REASONS = {
    "metric": "they measure different things",
    "extractor": "distances in the feature spaces of different networks have different scales",
    "n": "the result itself changes with the number of images, so draw the same number for both",
    "reference": "they are distances to different images",
    "weights": "averaged and raw weights are different models",
}


def check_comparable(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> None:
    """Incomparable where the two differ in metric, extractor, n, reference or weights. `varying` may name "weights",
    where the weights are what is being compared; seed, steps and w always may differ."""
    if bad := set(varying) - {"weights"}:
        raise ValueError(f"results that differ in {', '.join(sorted(bad))} are never comparable; only weights may vary")
    for name, reason in REASONS.items():
        x, y = (f.metric if name == "metric" else getattr(f.about, name) for f in (a, b))
        if x != y and name not in varying:
            raise Incomparable(f"{a.metric} is not comparable: {name} is {x} in one and {y} in the other, and {reason}")


def pairs(a: MetricResult, b: MetricResult) -> list[float]:
    """b - a seed by seed, where both come from the same seeds; else nothing."""
    x, y = a.by_seed(), b.by_seed()
    return paired(x, y) if x.keys() == y.keys() and a.covers == b.covers else []


def compare(a: MetricResult, b: MetricResult, varying: Collection[str] = ()) -> Estimate:
    """b - a with its 95 % interval; Incomparable as check_comparable has it. Paired where both come from the same
    seeds; else Welch's, for independent results. The interval covers what those of a and b cover: only over training
    seeds does it say which of two methods is better."""
    check_comparable(a, b, varying)
    return mean_estimate(d) if (d := pairs(a, b)) else difference(a.estimate, b.estimate)


def over_seeds(results: Sequence[MetricResult], training_seeds: Sequence[int] = ()) -> MetricResult:
    """One metric at several seeds: their mean, with Student's interval from the seeds' own scatter. The scatter holds
    that of the images too. The seeds are those that one checkpoint was sampled with, unless `training_seeds` names
    those of the runs behind the results. ValueError if two are equal."""
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
