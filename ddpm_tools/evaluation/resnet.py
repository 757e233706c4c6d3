"""A small residual classifier for 28- to 64-pixel pictures: about a minute per epoch on one core, 1 MB on disk."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ddpm_core.data import ImageData
from ddpm_core.streams import stream
from ddpm_tools.evaluation.plain_classifier import Headed, optimised, seeded


@dataclass(frozen=True)
class ResNetConfig:
    """Shape of a `ResNet`."""

    image_channels: int = 3
    image_size: int = 32
    num_classes: int = 10
    widths: tuple[int, ...] = (16, 32, 64, 128)  # 18 M multiplications per picture; the last is the feature dimension


@dataclass(frozen=True)
class ResNetTraining:
    """The recipe of a short run."""

    steps: int = 2340  # 6 epochs of CIFAR-10: about 8 minutes on one idle core
    batch_size: int = 128  # images per step
    lr: float = 0.1  # peak of a linear warm-up and a linear decay to zero
    warmup: float = 0.2  # the share of the steps spent on warm-up
    momentum: float = 0.9  # of Nesterov's SGD
    weight_decay: float = 5e-4  # on all weights, as usual for this optimiser
    smoothing: float = 0.1  # label smoothing: better features, and calibration that suffices
    shift: int = 4  # pixels: the largest shift of an example
    flip: bool = True  # mirror examples at random; never for digits or letters


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """x + f(x), f two convolutions (He et al. 2016)."""

    def __init__(self, width: int):
        super().__init__()
        self.f = nn.Sequential(conv(width, width), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class ResNet(Headed):
    """The residual network: widths[-1] features, averaged over the picture."""

    def __init__(self, config: ResNetConfig):
        super().__init__()
        self.config = config
        first, *rest = config.widths
        layers: list[nn.Module] = [conv(config.image_channels, first)]
        for inputs, outputs in zip(config.widths, rest):
            layers += [conv(inputs, outputs, stride=2), Residual(outputs)]  # (B, outputs, H/2, W/2)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(config.widths[-1], config.num_classes)

    def features(self, x: Tensor) -> Tensor:
        return self.body(x.contiguous(memory_format=torch.channels_last))


def augment(x: Tensor, shift: int, flip: bool, rng: Generator) -> Tensor:
    """Each example of x (B, C, H, W) shifted by its own offset, edges reflected, and mirrored by its own coin toss."""
    b, _, h, w = x.shape
    big = F.pad(x, (shift,) * 4, mode="reflect")
    dy, dx = torch.randint(2 * shift + 1, (2, b, 1), generator=rng)  # 2 x (B, 1)
    rows, columns = dy + torch.arange(h), dx + torch.arange(w)  # (B, H), (B, W)
    if flip:
        columns = torch.where(torch.rand(b, 1, generator=rng) < 0.5, columns.flip(1), columns)
    moved = big.permute(0, 2, 3, 1)[torch.arange(b)[:, None, None], rows[:, :, None], columns[:, None]]  # (B, H, W, C)
    return moved.permute(0, 3, 1, 2)


def train_resnet(
    data: ImageData, config: ResNetConfig, recipe: ResNetTraining, seed: int = 0
) -> Iterator[tuple[ResNet, float]]:
    """Nesterov SGD with a one-cycle learning rate; yields (network, loss) after every step."""
    model = seeded(lambda: ResNet(config), seed).to(memory_format=torch.channels_last)
    per_epoch, steps, warmup = max(1, len(data) // recipe.batch_size), recipe.steps, recipe.warmup * recipe.steps
    momentum = {"momentum": recipe.momentum, "nesterov": True}
    opt = torch.optim.SGD(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay, **momentum)
    cycle = LambdaLR(opt, lambda i: min((i + 1) / warmup, (steps - i) / ((1 - recipe.warmup) * steps)))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(steps):
            epoch, i = divmod(step, per_epoch)
            if i == 0:
                order = torch.randperm(len(data), generator=stream(seed, "classifier order", epoch))
            index = order[i * recipe.batch_size : (i + 1) * recipe.batch_size]
            rng = stream(seed, "classifier augment", step)
            yield augment(data.floats(index), recipe.shift, recipe.flip, rng), data.labels[index]

    return optimised(model, opt, cycle, batches(), recipe.smoothing)
