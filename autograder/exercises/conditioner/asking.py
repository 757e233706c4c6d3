"""Asking the pair of the conditioner exercise, plugged into the course's network."""

import torch
from torch import Generator, Tensor

from autograder.child.perturb import perturb
from autograder.exercises.base import Probe
from autograder.gate.network import UNET
from autograder.gate.remote_modules import with_pair
from ddpm_core.unet import ConditionalUNetV2

MOVED = 0.1  # how far parameters are moved


def images(rng: Generator, batch: int) -> dict[str, Tensor]:
    """A batch of noisy images, timesteps, and labels that are all different (null class included)."""
    return {
        "x": torch.randn(batch, 1, 8, 8, generator=rng),
        "t": torch.randint(1000, (batch,), generator=rng),
        "y": torch.randperm(11, generator=rng)[:batch],
    }


def perturbed(probe: Probe, seed: int) -> ConditionalUNetV2:
    """The course's network with the pair plugged in, every parameter moved."""
    net = with_pair(probe, UNET, seed)
    perturb(net, seed, MOVED)
    return net
