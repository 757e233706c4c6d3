"""The metrics for a set of images, and the options of an evaluation."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric's name, and which direction is better."""

    title: str  # its name for readers
    better: str  # "lower", "higher", or "about" a value


METRICS = {
    "frechet": Metric("Fréchet distance", "lower"),
    "frechet_inf": Metric("Fréchet distance at n = ∞", "lower"),
    "kid": Metric("kernel distance (KID)", "lower"),
    "precision": Metric("precision", "higher"),
    "recall": Metric("recall", "higher"),
    "density": Metric("density", "about 1"),
    "coverage": Metric("coverage", "higher"),
    "diversity": Metric("diversity within classes (real = 1)", "about 1"),
    "adherence": Metric("label adherence", "higher"),
    "copies": Metric("nearer to training images than 95 % of unseen ones", "about 0.05"),
    "per_class": Metric("Fréchet distance by class", "lower"),
}
NEIGHBOURLY = {"precision", "recall", "density", "coverage"}  # based on nearest neighbours


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured, and how precisely."""

    metrics: Collection[str] = tuple(METRICS)  # keys of METRICS
    repeats: int = 100  # of the bootstrap, which then gives the standard error to about 7 %
    progress: bool = False


def check_metrics(names: Collection[str]) -> None:
    """ValueError lists the known metrics."""
    if unknown := sorted(set(names) - set(METRICS)):
        raise ValueError(f"unknown metric '{unknown[0]}'; known: {', '.join(METRICS)}")
