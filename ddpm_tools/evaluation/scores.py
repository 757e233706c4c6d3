"""The three scores of the lessons: label adherence, Fréchet distance and diversity of images drawn for labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.metrics.adherence import classify
from ddpm_core.metrics.distances import Moments, diversity
from ddpm_tools.evaluation.estimates import Estimate, bootstrap, halves, proportion
from ddpm_tools.evaluation.plain_classifier import Classifier
from ddpm_tools.evaluation.resampling import frechet_resampler
from ddpm_tools.evaluation.results import Provenance


@dataclass(frozen=True)
class Scores:
    """Adherence (accuracy of a held-out classifier on the requested labels), Fréchet distance, diversity."""

    adherence: Estimate  # share of the images in which the classifier sees the class asked for
    distance: Estimate  # Fréchet distance of their features to those of real images
    diversity: Estimate  # within-class spread of the features, in units of the real images'
    about: Provenance

    def as_dict(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class ReferenceStatistics:
    """Statistics that scored features are compared with: the moments of real ones, and their spread within a class."""

    name: str  # the name of the real images
    moments: Moments  # mean and covariance of their features
    spread: float  # their diversity, the unit of Scores.diversity

    @classmethod
    def of(cls, real: ImageData, classifier: Classifier) -> ReferenceStatistics:
        _, features = classify(classifier, real.floats())
        return cls(f"{real.name}/{real.split}", Moments.of(features), diversity(features, real.labels))


def score(
    images: Tensor, y: Tensor, real: ImageData | ReferenceStatistics, classifier: Classifier,
    about: Provenance, repeats: int = 100,
) -> Scores:  # fmt: skip
    """Score at least 4 images (N, C, H, W), drawn for labels y (N,), against a real data set. Error bars are those of
    `evaluate`: Wilson's, random halves and the bootstrap, all over the images."""
    predicted, features = classify(classifier, images)
    reference = real if isinstance(real, ReferenceStatistics) else ReferenceStatistics.of(real, classifier)
    n = len(images)
    distance = halves(frechet_resampler(features, reference.moments), n, repeats, about.seed)
    spread = bootstrap(lambda i: diversity(features[i], y[i]) / reference.spread, n, repeats, about.seed)
    return Scores(proportion(predicted == y), distance, spread, about)
