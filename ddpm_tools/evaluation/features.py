"""Feature networks by name; every distance says which one it was measured with."""

from pathlib import Path

import torch
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.data import to_float
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.efficientnet import DIMENSIONS, EFFICIENTNET, efficientnet_lite0
from ddpm_tools.evaluation.extractor import Extractor, FeatureNetwork
from ddpm_tools.evaluation.inception import inception

COURSE = DATA_DIR / "classifiers"


def course(path: Path | str, device: torch.device | str = "cpu") -> Extractor:
    """The features of one of the course's classifiers, which takes pictures of the size it was trained on."""
    model, version = load_classifier(path).to(device), checkpoint.file_digest(path)
    c, size = model.config.image_channels, model.config.image_size
    name = f"{checkpoint.stem(path).name}-classifier"

    def embed(images: Tensor) -> Tensor:
        if images.shape[1:] != (c, size, size):
            raise ValueError(
                f"{name} takes {size}×{size} images of {c} channel(s), got {images.shape[3]}×{images.shape[2]} of "
                f"{images.shape[1]}; choose {EFFICIENTNET}-320, which takes any"
            )
        return model.features(to_float(images.to(device)))

    return Extractor(name, version, model.head.in_features, (-1.0, 1.0), embed, batch=500)


def shipped() -> list[str]:
    """The course's classifiers by name."""
    return sorted(p.stem for p in COURSE.glob("*.safetensors"))


def network(name: str, device: torch.device | str = "cpu") -> FeatureNetwork:
    """A feature network by name, or the path of a course classifier; ValueError lists the known ones."""
    if name == "inception":
        return inception(device)
    if name in (known := {f"{EFFICIENTNET}-{d}": d for d in DIMENSIONS}):
        return efficientnet_lite0(known[name], device)
    plain = name.removesuffix("-classifier")
    if plain in shipped():
        return course(COURSE / plain, device)
    if checkpoint.with_suffix(checkpoint.stem(name), ".safetensors").is_file():
        return course(name, device)
    names = [*(f"{n}-classifier" for n in shipped()), *known, "inception"]
    raise ValueError(f"unknown feature network '{name}'; known: {', '.join(names)}, or the path of a course classifier")
