"""The optimisers that a preset can name: AdamW, the book's, and Muon, which learns more from each image."""

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from ddpm_core.diffusion import Diffusion
from ddpm_core.training import TrainConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of an odd quintic that drives singular values near 1 in five iterations
RMS = 0.2  # root mean square of an update before the learning rate: AdamW's, so that learning rates carry over


def orthogonal(g: Tensor, iterations: int = 5) -> Tensor:
    """The matrix (M, N) with all its singular values brought to between 0.7 and 1.2: g = U S V' becomes about U V'
    (Jordan et al. 2024, "Muon", Newton-Schulz iterations, here on the small m×m matrix of products alone: a third of
    the work where m << n, but it needs float32)."""
    a, b, c = NEWTON_SCHULZ
    tall = len(g) > g.shape[1]
    x = (g.T if tall else g).float()  # (m, n), m <= n
    x = x / (x.norm() + 1e-7)  # the iteration needs singular values of at most 1
    p = one = torch.eye(len(x), device=x.device)  # (m, m); the iteration's x is p x
    s = x @ x.T  # (m, m)
    for _ in range(iterations):
        q = a * one + b * s + c * s @ s  # (m, m)
        s, p = q @ s @ q, q @ p
    x = p @ x
    return (x.T if tall else x).to(g)


def matrices(network: nn.Module, pixels: int) -> list[nn.Parameter]:
    """The weights of linear layers and convolutions, but of none that reads or gives the image's `pixels` channels.
    Tables, norms, biases and the network's two ends are left to AdamW (Jordan et al. 2024)."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    return [m.weight for m in layers if isinstance(m, nn.Linear) or pixels not in (m.in_channels, m.out_channels)]


class Muon(AdamW):
    """Momentum, made orthogonal, for the matrices; AdamW for everything else.

    An update of a matrix (M, N) has singular values near 1, times 0.2·sqrt(max(M, N)) (Liu et al. 2025, eq. 4). A
    convolution's weight (M, N, h, w) is the matrix (M, N·h·w). `torch.optim.Muon` refuses convolutions, and computes
    in bfloat16 even where that is slow.
    """

    def __init__(self, matrices: list[nn.Parameter], others: list[nn.Parameter], momentum: float = 0.95, **how):
        super().__init__([{"params": matrices, "momentum": momentum}, {"params": others}], **how)

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        lr, beta = group["lr"], group["momentum"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state |= {"momentum": torch.zeros_like(p), "step": torch.zeros(())}  # AdamW counts them, and looks
            state["step"] += 1
            state["momentum"].lerp_(p.grad, 1 - beta)
            update = orthogonal(p.grad.lerp(state["momentum"], beta).flatten(1))  # Nesterov's momentum; (M, N·h·w)
            p.mul_(1 - lr * group["weight_decay"])
            p.add_(update.view_as(p), alpha=-lr * RMS * max(update.shape) ** 0.5)
            p.grad = None  # AdamW passes over it
        return super().step(closure)


def by_name(name: str, diffusion: Diffusion, config: TrainConfig, default: Optimizer) -> Optimizer:
    """The optimiser that a preset names, `default` for adamw; ValueError lists the known ones."""
    if name == "adamw":
        return default
    if name != "muon":
        raise ValueError(f"unknown optimizer '{name}'; known: adamw, muon")
    network = diffusion.network
    inner = matrices(network, network.config.image_channels)
    known = set(map(id, inner))
    others = [p for p in network.parameters() if id(p) not in known]
    return Muon(inner, others, lr=config.lr, weight_decay=config.weight_decay, foreach=True)
