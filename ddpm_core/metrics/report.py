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
    """A number with its 95 % interval."""

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


def bootstrap(
    statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, top: float = float("inf")
) -> Estimate:
    """value ± 1.96 bootstrap standard errors of statistic(indices), cut off at 0 and `top` (Efron 1979).

    Not the bootstrap's quantiles: a Fréchet distance rises when images are drawn twice, so that they would lie beside
    the value. The interval is for this n; the distance's own bias at finite n is the same in all figures of one n.
    """
    value, rng = statistic(torch.arange(n)), stream(seed, "bootstrap")
    draws = torch.tensor([statistic(torch.randint(n, (n,), generator=rng)) for _ in range(repeats)])
    half = 1.96 * draws.std().item()
    return Estimate(value, max(0.0, value - half), min(top, value + half))


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
        adherence=bootstrap(lambda i: float(hit[i].mean()), n, repeats, about.seed, top=1.0),
        distance=bootstrap(lambda i: frechet_distance(Moments.of(features[i]), reference), n, repeats, about.seed),
        diversity=bootstrap(lambda i: diversity(features[i], y[i]) / spread, n, repeats, about.seed),
        about=about,
    )
