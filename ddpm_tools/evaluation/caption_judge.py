"""A caption judge that trains in a second: kernel ridge regression from pixels to words (Saunders et al. 1998)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.streams import stream
from ddpm_tools.captions import Tokenizer

SPECIAL = 3  # <pad>, <unknown>, <start> are not words


class CaptionJudge:
    """Predicts the word vector of a picture's caption, and ranks captions by how well they fit."""

    def __init__(self, data: ImageData, tokenizer: Tokenizer):
        """Fitted on real pictures and their captions."""
        self.tokenizer = tokenizer
        self.rarity = torch.ones(len(tokenizer.words))
        used = (self.vectors(data.captions) > 0).sum(0)  # (V,), the number of captions with each word
        self.rarity = (len(data) / used.clamp(min=1)).log()
        flat = data.floats().flatten(1)  # (M, C·H·W)
        self.center, self.scale = flat.mean(0), flat.std() * flat.shape[1] ** 0.5
        self.known = (flat - self.center) / self.scale
        targets = self.vectors(data.captions)
        ridge = self.likeness(data.floats()) + torch.eye(len(data))
        self.readout = torch.linalg.solve(ridge, targets - targets.mean(0))  # (M, V)

    def vectors(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors (N, V): a 1 for each word of a caption, weighted by its rarity."""
        bags = torch.zeros(len(captions), len(self.tokenizer.words))
        bags.scatter_(1, self.tokenizer.encode(captions), 1.0)
        bags[:, :SPECIAL] = 0
        return F.normalize(bags * self.rarity, dim=1)

    def likeness(self, images: Tensor) -> Tensor:
        """A Gaussian kernel (N, M) between pictures (N, C, H, W) and those used in fitting."""
        return (-torch.cdist((images.flatten(1) - self.center) / self.scale, self.known).square()).exp()

    def percentiles(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(N, N); entry (i, j) is the share of the captions that fit picture i worse than caption j does."""
        fits = F.normalize(self.likeness(images) @ self.readout, dim=1) @ self.vectors(captions).T  # (N, N)
        below = (fits[:, None, :] < fits[:, :, None]).float() + 0.5 * (fits[:, None, :] == fits[:, :, None]).float()
        return (below.sum(2) - 0.5) / (len(captions) - 1)

    def verdict(self, images: Tensor, captions: Sequence[str], shuffles: int = 2000, seed: int = 0) -> dict[str, float]:
        """Mean percentile of each picture's own caption with its standard error, the mean for shuffled captions, and
        the share p of shuffles whose mean is at least as high (a permutation test)."""
        share = self.percentiles(images, captions)
        rows, rng = torch.arange(len(share)), stream(seed, "permutations")
        own = share.diag()
        luck = torch.stack([share[rows, torch.randperm(len(share), generator=rng)].mean() for _ in range(shuffles)])
        p = (1 + (luck >= own.mean()).sum().item()) / (1 + shuffles)
        return {"mean": own.mean().item(), "se": (own.std() / len(own) ** 0.5).item(), "p": p,
                "luck": luck.mean().item()}  # fmt: skip
