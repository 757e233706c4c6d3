"""Measures a gate's samples: how a classifier sees them, and how many are copies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autograder.exercises.base import Failed
from ddpm_core.data import digits
from ddpm_core.metrics.adherence import classify
from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_tools.evaluation.plain_classifier import Classifier


@dataclass(frozen=True)
class Judge:
    """A classifier, and the moments of its features on all digits."""

    classifier: Classifier
    reference: Moments

    @classmethod
    def of(cls, classifier: Classifier) -> Judge:
        return cls(classifier, Moments.of(classify(classifier, digits("all").floats())[1]))

    def score(self, images: Tensor, y: Tensor) -> dict[str, float]:
        predicted, features = classify(self.classifier, images)
        return {
            "adherence": float((predicted == y).double().mean()),
            "distance": frechet_distance(Moments.of(features), self.reference),
        }


def copies(images: Tensor) -> float:
    """Return the share of near-copies, about 0.01 for honest images.

    A near-copy of a training image is nearer to it than 95 % of held-out images are to any. Copies of held-out images
    are counted in the same way, and the larger share is returned: every student has the data set, so an answer might
    carry these instead.
    """
    train, heldout = (digits(part).floats().flatten(1) for part in ("train", "heldout"))  # (N, 64)
    shares = []
    for known, others in ((train, heldout), (heldout, train)):
        limit = torch.cdist(others, known).amin(1).quantile(0.05)
        shares.append(float((torch.cdist(images.flatten(1), known).amin(1) < limit).double().mean()))
    return max(shares)


def measure(images: Tensor, y: Tensor, loss: float, judges: dict[str, Judge]) -> dict:
    """Return all metrics of a run, by judge; Failed if one is not finite."""
    if not torch.isfinite(images).all() or not torch.isfinite(torch.tensor(loss)):
        raise Failed("the samples of the trained network are not finite")
    shared = {"heldout_loss": loss, "copies": copies(images)}
    scores = {name: judge.score(images, y) | shared for name, judge in judges.items()}
    if not all(math.isfinite(v) for own in scores.values() for v in own.values()):
        raise Failed("the samples of the trained network cannot be compared with digits: a figure is not finite")
    return scores
