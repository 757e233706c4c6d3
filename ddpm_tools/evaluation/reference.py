"""Statistics of real images through one network: some ship, others are computed once and cached by content."""

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import DATA_DIR, from_dict
from ddpm_core.data import ImageData
from ddpm_core.metrics.distances import Moments
from ddpm_tools.evaluation.extractor import FeatureNetwork
from ddpm_tools.evaluation.neighbours import copy_limit
from ddpm_tools.evaluation.streaming import KEEP, extract_features

SHIPPED = DATA_DIR / "references"
CACHE = Path("build/references")  # can be deleted at any time


@dataclass(frozen=True)
class ReferenceConfig:
    """What the statistics describe; two that differ here are never confused."""

    data: str
    split: str
    n: int  # images in the statistics
    content: str  # digest of pixels and labels
    extractor: str  # name of the feature network
    version: str  # digest of its weights
    dimension: int  # D, the length of a feature vector
    keep: int = KEEP  # the maximum number of images whose features are kept

    def __str__(self) -> str:
        return f"{self.data}/{self.split} ({self.n} images, {self.content})"


@dataclass(frozen=True)
class Reference:
    """Moments of all N real images, features and labels of M kept ones, and how near to them honest images come."""

    config: ReferenceConfig  # what the statistics describe
    moments: Moments  # mean and covariance of all N features
    features: Tensor  # (M, D), of the kept images
    labels: Tensor  # (M,), their classes
    copy_limit: float  # a generated image nearer than this to a training image is a copy: see neighbours.copy_limit

    def of_class(self, k: int) -> Tensor:
        """Kept features (m, D) of one class."""
        return self.features[self.labels == k]


def content(data: ImageData) -> str:
    """Digest of pixels, labels and class names, whatever the data set is called."""
    sha = hashlib.sha256(repr((tuple(data.images.shape), data.classes)).encode())
    for chunk in data.images.split(10_000):
        sha.update(chunk.contiguous().numpy())
    sha.update(data.labels.contiguous().numpy())
    return sha.hexdigest()[:16]


def describe(data: ImageData, network: FeatureNetwork) -> ReferenceConfig:
    made_by = network.name, network.version, network.dimension
    return ReferenceConfig(data.name, data.split, len(data), content(data), *made_by)


def make_reference(
    data: ImageData, network: FeatureNetwork, heldout: ImageData | None = None, progress: bool = False, keep: int = KEEP
) -> Reference:
    """Compute the statistics in one pass over the data, and how near unseen images come to them."""

    seen = extract_features(data.images.split(500), network, keep=keep, total=len(data), progress=progress)
    config = replace(describe(data, network), keep=keep)
    return Reference(config, seen.moments, seen.features, data.labels[seen.index], copy_limit(data, heldout))


def save_reference(path: Path, reference: Reference, **about: object) -> Path:
    """Write PATH.safetensors and PATH.json, with `about` beside the config, completely or not at all."""
    tensors = {"mean": reference.moments.mean, "cov": reference.moments.cov, "features": reference.features}
    tensors |= {"labels": reference.labels, "copy_limit": torch.tensor(reference.copy_limit, dtype=torch.float64)}
    return checkpoint.write(path, tensors, asdict(reference.config), **about)


def load_reference(path: Path) -> Reference:
    """CheckpointError if the file is missing, damaged or something else."""
    tensors, record = checkpoint.read(path)
    try:
        config = from_dict(ReferenceConfig, record["config"])
        moments = Moments(tensors["mean"], tensors["cov"], config.n)
        return Reference(config, moments, tensors["features"], tensors["labels"], float(tensors["copy_limit"]))
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{path} does not hold reference statistics; compute them with `ddpm reference`") from e


def shipped_name(config: ReferenceConfig) -> str:
    return f"{config.data}-{config.split}-{config.extractor}"


def kept_name(config: ReferenceConfig) -> str:
    return f"{shipped_name(config)}-{checkpoint.digest(asdict(config))}"


def shipped_reference(data: str, extractor: str) -> Reference | None:
    """Shipped statistics for data of this name, wherever the data were read; None if there are none."""
    found = sorted(SHIPPED.glob(f"{data}*-{extractor}.json"))
    return load_reference(found[0]) if found else None


def find_reference(config: ReferenceConfig, cache: Path = CACHE) -> Reference | None:
    """Shipped or cached statistics of exactly these images through this network; None if there are none."""
    for path in (SHIPPED / shipped_name(config), cache / kept_name(config)):
        with suppress(CheckpointError):  # absent, damaged, or of an older version: recomputed
            if (found := load_reference(path)).config == config:
                return found
    return None


def reference_for(
    data: ImageData, network: FeatureNetwork, heldout: ImageData | None, cache: Path = CACHE, progress: bool = False
) -> Reference:
    """The statistics of these images, from disk if present, else computed now and stored in `cache`."""
    config = describe(data, network)
    if found := find_reference(config, cache):
        return found
    made = make_reference(data, network, heldout, progress)
    save_reference(cache / kept_name(config), made)
    return made
