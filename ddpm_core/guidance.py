"""From a network to a denoiser, and guidance, which pushes a strong output away from a weak one.

A denoiser is a function (xt, t) -> (x0_hat, eps), eps being the noise to step with. Samplers need nothing else, so
every kind of guidance works with every sampler. Guidance starts from *branches*, which return the two outputs:

    batched(diffusion, cond)               with the condition against without, in one pass over a doubled batch
    autoguidance(diffusion, weak, cond)    the network against an earlier snapshot of itself
    mixture(diffusion, conds, weights)     several conditions at once against none

`guide` (with rescale) or `cfg_pp` makes a denoiser from them. `guidance_interval` limits guidance to some timesteps.
cond (B, ...): labels (B,), embeddings (B, D) or caption tokens (B, S).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ddpm_core.diffusion import Denoiser, Diffusion, Network

Branches = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # (xt, t) -> weak and strong output, 2 x (B, ...)


def plain(diffusion: Diffusion, cond: Tensor) -> Denoiser:
    """The network's own prediction for cond (B, ...), without guidance."""

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return diffusion.split(diffusion.output(xt, t, cond), xt, t)

    return denoise


def batched(diffusion: Diffusion, cond: Tensor) -> Branches:
    """Without the condition and with it, in one pass over a doubled batch."""

    def branches(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([diffusion.null_cond.expand_as(cond), cond])  # (2B, ...)
        return diffusion.output(torch.cat([xt, xt]), t.repeat(2), both).chunk(2)  # 2 x (B, C, H, W)

    return branches


def autoguidance(diffusion: Diffusion, weak: Network, cond: Tensor) -> Branches:
    """Autoguidance (Karras et al. 2024): the weak output is a worse network's, such as an earlier snapshot's."""

    def branches(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return diffusion.output(xt, t, cond, weak), diffusion.output(xt, t, cond)

    return branches


def mixture(diffusion: Diffusion, conds: Sequence[Tensor], weights: Tensor) -> Branches:
    """No condition against a weighted sum of the outputs for several conditions (after Liu et al. 2022, eq. 11).

    conds: K conditions, each (B, ...); weights: (K, B), usually adding up to 1 for each sample. One batched pass.
    """

    def branches(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        copies = len(conds) + 1
        every = torch.cat([diffusion.null_cond.expand_as(conds[0]), *conds])  # ((K + 1)·B, ...)
        weak, *strong = diffusion.output(xt.repeat(copies, *[1] * (xt.dim() - 1)), t.repeat(copies), every).chunk(
            copies
        )
        shares = weights.to(xt).view(len(conds), -1, *[1] * (xt.dim() - 1))  # (K, B, 1, ...)
        return weak, (shares * torch.stack(strong)).sum(0)  # (B, ...), (B, ...)

    return branches


def extrapolate(weak: Tensor, strong: Tensor, w: float | Tensor) -> Tensor:
    """weak + w·(strong - weak): w = 0 is weak, w = 1 strong (Ho & Salimans 2022, eq. 6; our w is their w + 1).

    w is a number, or a tensor (B,), one per sample.
    """
    scale = w.to(weak).view(-1, *[1] * (weak.dim() - 1)) if isinstance(w, Tensor) else w  # (B, 1, ...)
    return weak + scale * (strong - weak)


def rescaled(out: Tensor, strong: Tensor, phi: float) -> Tensor:
    """Pull the guided output's contrast back to the conditional one's, by a share phi in [0, 1].

    Guidance raises the output's standard deviation and so overexposes the image (Lin et al. 2024, eq. 15-16).
    """
    dims = tuple(range(1, out.dim()))
    wanted, got = (x.std(dims, correction=0, keepdim=True) for x in (strong, out))  # (B, 1, ...)
    return out * (phi * torch.where(got > 0, wanted / got, 1) + 1 - phi)


def guide(diffusion: Diffusion, branches: Branches, w: float | Tensor, rescale: float = 0.0) -> Denoiser:
    """Guidance by w: classifier-free with `batched` branches, autoguidance with `autoguidance`."""

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        weak, strong = branches(xt, t)
        out = extrapolate(weak, strong, w)
        if rescale:
            out = rescaled(out, strong, rescale)
        return diffusion.split(out, xt, t)

    return denoise


def cfg_pp(diffusion: Diffusion, branches: Branches, lam: float | Tensor) -> Denoiser:
    """CFG++ (Chung et al. 2024, algorithm 2): the guided image, but stepped with the unconditional noise.

    lam in [0, 1] interpolates where w extrapolates. It is not a guidance scale: DDIM's steps with lam equal those of
    plain guidance with a w that is larger than lam and changes from step to step. More steps mean stronger guidance.
    """

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        weak, strong = branches(xt, t)
        x0, _ = diffusion.split(extrapolate(weak, strong, lam), xt, t)
        return x0, diffusion.split(weak, xt, t)[1]

    return denoise


def guidance_interval(low: int, high: int, inside: Denoiser, outside: Denoiser) -> Denoiser:
    """`inside` at timesteps low <= t <= high, `outside` elsewhere (Kynkäänniemi et al. 2024).

    With plain conditional predictions outside (w = 1), the second pass is spent only where guidance helps. On ImageNet,
    guidance costs variety at high noise and is unnecessary at low noise; on digits see lesson 5.2.
    """

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        guided_ones = (t >= low) & (t <= high)  # (B,); a sampler gives all images the same t, so only one is called
        if guided_ones.all():
            return inside(xt, t)
        if not guided_ones.any():
            return outside(xt, t)
        mask = guided_ones.view(-1, *[1] * (xt.dim() - 1))  # (B, 1, ...)
        a, b = inside(xt, t), outside(xt, t)
        return torch.where(mask, a[0], b[0]), torch.where(mask, a[1], b[1])

    return denoise


def guided(diffusion: Diffusion, cond: Tensor, w: float | Tensor = 1.0, rescale: float = 0.0) -> Denoiser:
    """Classifier-free guidance in one batched pass: out_u + w·(out_c - out_u).

    w = 0 is unconditional, w = 1 conditional, w > 1 guided; either a number, or a tensor (B,) with one per sample.
    """
    if isinstance(w, (int, float)) and w in (0, 1):  # half of a doubled batch would be wasted
        return plain(diffusion, cond if w == 1 else diffusion.null_cond.expand_as(cond))
    return guide(diffusion, batched(diffusion, cond), w, rescale)
