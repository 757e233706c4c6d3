"""Where a sampler's noise comes from: one source a sample, so that no image depends on the batch it is made in."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from ddpm_core.streams import stream

NoiseSource = Callable[[int, Tensor], Tensor]  # (t, xt) -> standard normal noise like xt, for the step that leaves t


def initial_noise(indices: Sequence[int], shape: Sequence[int], seed: int = 0) -> Tensor:
    """One noise image a sample, (B, *shape): sample i's depends on (seed, i) alone, not on the batch it is made in."""
    return torch.stack([torch.randn(tuple(shape), generator=stream(seed, "sample", i)) for i in indices])


def step_noise(indices: Sequence[int], seed: int = 0) -> NoiseSource:
    """The noise of every step of samples `indices` (B of them): it depends on (seed, sample, timestep) alone.

    Drawn on the CPU, so that every device draws the same.
    """

    def draw(t: int, xt: Tensor) -> Tensor:
        one = [torch.randn(xt.shape[1:], generator=stream(seed, f"step/{i}", t)) for i in indices]
        return torch.stack(one).to(xt)  # B x (C, H, W) -> (B, C, H, W)

    return draw


def draw_noise(source: NoiseSource | Generator | None, t: int, xt: Tensor) -> Tensor:
    """Noise like xt from a source, or from one generator (None: torch's own) for the whole batch."""
    if source is None or isinstance(source, Generator):
        return torch.randn(xt.shape, generator=source, device=xt.device, dtype=xt.dtype)
    return source(t, xt)
