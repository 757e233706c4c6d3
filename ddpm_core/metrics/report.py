"""Scores of a set of generated images: numbers that carry their error bars and everything they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.metrics.classifier import Classifier, classify
from ddpm_core.metrics.distances import Moments, diversity, frechet_distance
from ddpm_core.streams import stream


@dataclass(frozen=True)
class Estimate:
    """A number with the central 95 % of its bootstrap."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Provenance:
    """What a figure depends on; figures that differ here must not be compared."""

    extractor: str
    n: int
    reference: str
    seed: int
    steps: int
    w: float
    weights: str  # "ema" or "raw"


@dataclass(frozen=True)
class Scores:
    """Adherence (accuracy of a held-out classifier on the requested labels), Fréchet distance, diversity."""

    adherence: Estimate
    distance: Estimate
    diversity: Estimate  # within-class spread of the features, in units of the real images'
    about: Provenance

    def as_dict(self) -> dict:
        return asdict(self)


def bootstrap(statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, mirror: bool = False) -> Estimate:
    """95 % interval of statistic(indices) over resampled images; `mirror` gives the basic (reflected) bootstrap.

    A Fréchet distance rises when images are drawn twice, so its percentile interval would miss its own value; the
    basic bootstrap reflects the quantiles around it (Davison & Hinkley 1997, section 5.2.1).
    """
    value = statistic(torch.arange(n))
    rng = stream(seed, "bootstrap")
    draws = torch.tensor([statistic(torch.randint(n, (n,), generator=rng)) for _ in range(repeats)])
    low, high = draws.quantile(0.025).item(), draws.quantile(0.975).item()
    if mirror:
        low, high = max(0.0, 2 * value - high), 2 * value - low
    return Estimate(value, min(low, value), max(high, value))


def score(
    images: Tensor,
    y: Tensor,
    real: ImageData,
    classifier: Classifier,
    about: Provenance,
    repeats: int = 100,
) -> Scores:
    """Score images (N, C, H, W) made for labels y (N,) against a real data set; error bars bootstrap the images."""
    predicted, features = classify(classifier, images)
    _, real_features = classify(classifier, real.floats())
    reference, spread = Moments.of(real_features), diversity(real_features, real.labels)
    n, hit = len(images), (predicted == y).double()
    return Scores(
        adherence=bootstrap(lambda i: float(hit[i].mean()), n, repeats, about.seed),
        distance=bootstrap(
            lambda i: frechet_distance(Moments.of(features[i]), reference), n, repeats, about.seed, mirror=True
        ),
        diversity=bootstrap(lambda i: diversity(features[i], y[i]) / spread, n, repeats, about.seed),
        about=about,
    )
