"""Does the network use its labels, and the right ones? The test asks which label makes an image easiest to denoise.
This is the diffusion classifier (Li et al. 2023, eq. 4), which needs no other network and works with any data."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_core.diffusion import Network
from ddpm_tools.diagnosis.denoising import Convention, noised


@dataclass(frozen=True)
class Confusion:
    """How often label j fits an image of class i best: counts (K, K), and statistics of them."""

    counts: Tensor  # (K, K): row = class, column = label that fits best

    @property
    def accuracy(self) -> float:
        """Share of images that fit their own label best."""
        return float(self.counts.diag().sum() / self.counts.sum())

    @property
    def renaming(self) -> list[int]:
        """The one-to-one renaming of the labels that fits best (Kuhn 1955): class i gets label renaming[i]."""
        from scipy.optimize import linear_sum_assignment  # slow to import

        return linear_sum_assignment(self.counts.numpy(), maximize=True)[1].tolist()

    @property
    def renamed_accuracy(self) -> float:
        return float(sum(self.counts[i, j] for i, j in enumerate(self.renaming)) / self.counts.sum())

    @property
    def moved(self) -> list[tuple[int, int]]:
        """(class, label) where most images of the class fit one other label best."""
        sizes = self.counts.sum(1)
        return [(i, j) for i, j in enumerate(self.renaming) if i != j and self.counts[i, j] > sizes[i] / 2]


def confusion(true: Tensor, chosen: Tensor, num_classes: int) -> Confusion:
    """Counts of (true class, chosen label), both (N,) int64."""
    cells = torch.bincount(true.cpu() * num_classes + chosen.cpu(), minlength=num_classes**2)
    return Confusion(cells.view(num_classes, num_classes))  # (K·K,) -> (K, K)


@torch.no_grad()
def preferred_label(
    network: Network, how: Convention, x0: Tensor, candidates: int, times: Sequence[int], seed: int = 0
) -> Tensor:
    """The label 0 ... candidates-1 with which each of x0 (N, C, H, W) is denoised best, (N,); all share the noise."""
    total = torch.zeros(len(x0), candidates, device=x0.device)
    for t in times:
        xt, ts, x = noised(how, x0, t, seed)
        for k in range(candidates):
            x0_hat = how.predict(network, xt, ts, torch.full_like(ts, k))
            total[:, k] += (x0_hat - x).square().flatten(1).mean(1)  # (N,)
    return total.argmin(1)


@torch.no_grad()
def change(a: Tensor, b: Tensor) -> float:
    """Root mean square of a - b, relative to that of a."""
    return float((a - b).square().mean().sqrt() / a.square().mean().sqrt().clamp(min=1e-12))
