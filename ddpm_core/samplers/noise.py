"""Where a sampler's noise comes from: one source per sample, so no image depends on its batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from ddpm_core.streams import stream

NoiseSource = Callable[[int, Tensor], Tensor]  # (t, xt) -> standard normal noise like xt, for the step that starts at t


def initial_noise(indices: Sequence[int], shape: Sequence[int], seed: int = 0) -> Tensor:
    """One noise image per sample, (B, *shape): sample i's depends only on (seed, i), not on its batch."""
    return torch.stack([torch.randn(tuple(shape), generator=stream(seed, "sample", i)) for i in indices])


def step_noise(indices: Sequence[int], seed: int = 0) -> NoiseSource:
    """The noise for every step of the samples `indices` (B of them): it depends only on (seed, sample, timestep).

    Drawn on the CPU, so it is the same on every device.
    """

    def draw(t: int, xt: Tensor) -> Tensor:
        one = [torch.randn(xt.shape[1:], generator=stream(seed, f"step/{i}", t)) for i in indices]
        return torch.stack(one).to(xt)  # B x (C, H, W) -> (B, C, H, W)

    return draw


def draw_noise(source: NoiseSource | Generator | None, t: int, xt: Tensor) -> Tensor:
    """Noise like xt, from a source or from one generator (None: torch's own) for the whole batch."""
    if source is None or isinstance(source, Generator):
        return torch.randn(xt.shape, generator=source, device=xt.device, dtype=xt.dtype)
    return source(t, xt)
