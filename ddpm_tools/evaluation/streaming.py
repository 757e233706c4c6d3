"""One pass over any number of images: moments of all, and a random sample to keep. Memory does not grow with n."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_core.data import to_float
from ddpm_core.metrics.adherence import classify
from ddpm_core.metrics.distances import Moments, finite
from ddpm_core.streams import stream
from ddpm_tools.evaluation.classifiers import AnyClassifier
from ddpm_tools.evaluation.extractor import FeatureNetwork

KEEP = 10_000  # images: enough for kernels, neighbours and error bars; 50 MB at 1280 features


class Running:
    """Mean and covariance of a stream of features, in float64: memory does not grow with their number."""

    def __init__(self, dimension: int):
        self.n, self.mean = 0, torch.zeros(dimension, dtype=torch.float64)
        self.scatter = torch.zeros(dimension, dimension, dtype=torch.float64)  # sum of (x - mean)(x - mean)^T

    def add(self, features: Tensor) -> None:
        """Add a chunk (B, D). ValueError if a feature is not finite."""
        f = finite(features, self.n)
        n, mean = self.n + len(f), f.mean(0)
        delta = mean - self.mean
        # Chan, Golub & LeVeque 1979, eq. 2.1: sum of squares minus square of sums would cancel
        self.scatter += (f - mean).T @ (f - mean) + torch.outer(delta, delta) * (self.n * len(f) / n)
        self.mean += delta * (len(f) / n)
        self.n = n

    def moments(self) -> Moments:
        if self.n < 2:
            raise ValueError(f"moments need at least two feature vectors, got {self.n}")
        return Moments(self.mean.clone(), self.scatter / (self.n - 1), self.n)


class Reservoir:
    """A uniform sample without replacement from a stream of rows; all of them while they fit."""

    def __init__(self, keep: int, seed: int = 0):
        self.keep, self.rng, self.seen = keep, stream(seed, "reservoir"), 0
        self.parts: list[dict[str, Tensor]] = []

    def add(self, **columns: Tensor) -> None:
        """Add a chunk: columns of equal length, the same ones in every call."""
        n = len(next(iter(columns.values())))
        index, key = torch.arange(self.seen, self.seen + n), torch.rand(n, generator=self.rng)
        self.parts.append({"index": index, "key": key, **columns})
        self.seen += n
        if sum(len(part["key"]) for part in self.parts) >= 2 * self.keep:  # not for each chunk: it copies all rows
            self.parts = [self.rows]

    @property
    def rows(self) -> dict[str, Tensor]:
        """The sample, column by column, in the stream's order; empty if nothing was added."""
        rows = {k: torch.cat([part[k] for part in self.parts]) for k in self.parts[0]} if self.parts else {}
        if rows and len(rows["key"]) > self.keep:  # the largest keys are a uniform sample (Vitter 1985, section 2)
            best = rows["key"].topk(self.keep).indices
            best = best[rows["index"][best].argsort()]
            rows = {k: v[best] for k, v in rows.items()}
        return rows


@dataclass(frozen=True)
class ExtractedFeatures:
    """The result of one pass over N images, M of which are kept."""

    n: int
    moments: Moments  # of all N
    features: Tensor  # (M, D), of the kept images
    images: Tensor  # (M, C, H, W) uint8, the kept ones
    index: Tensor  # (M,), which ones were kept
    predicted: Tensor | None  # (N,), the classes that a classifier sees
    content: str  # digest of all pixels


def extract_features(
    chunks: Iterable[Tensor], network: FeatureNetwork, classifier: AnyClassifier | None = None,
    keep: int = KEEP, total: int | None = None, progress: bool = False,
) -> ExtractedFeatures:  # fmt: skip
    """Features, kept images and predicted classes of chunks (B, C, H, W) uint8. ValueError if there are none."""
    running, reservoir, sha, classes = Running(network.dimension), Reservoir(keep), hashlib.sha256(), []
    with tqdm(total=total, unit="img", desc=network.name, disable=not progress) as bar:
        for images in chunks:
            features = network.features(images)
            running.add(features)
            reservoir.add(features=features, images=images)
            sha.update(images.contiguous().numpy())
            if classifier is not None:
                x = to_float(images.to(next(classifier.parameters()).device))
                classes.append(classify(classifier, x)[0].short().cpu())
            bar.update(len(images))
    rows = reservoir.rows
    if not rows:
        raise ValueError("there are no images to evaluate")
    predicted = torch.cat(classes).long() if classes else None
    kept = (rows[k] for k in ("features", "images", "index"))
    return ExtractedFeatures(running.n, running.moments(), *kept, predicted, sha.hexdigest()[:16])
