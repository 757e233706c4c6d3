"""Conditional diffusion in one file: `python lessons/one_file.py` learns in two minutes to draw any digit you ask for.

Training adds noise to an image and asks a network to predict that noise; sampling starts from noise alone and removes
the prediction little by little. Given the same seed, the library ddpm_core computes the same numbers, bit for bit.

    x0, eps, xt   clean image in [-1, 1], noise, and their mixture: xt = sqrt(abar)·x0 + sqrt(1 - abar)·eps
    t, abar       timestep, 0 ... T-1, larger is noisier; the share of the variance that is still image
    y, w          class, 0 ... K-1, K being the null class; guidance scale: 0 unconditional, 1 conditional, >1 guided
"""

import argparse
import copy
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True)
class Config:
    T: int = 1000  # noise levels: so many that neighbours hardly differ; a sampler visits only a few of them
    K: int = 10  # classes
    width: int = 32  # channels at 8×8; twice as many at 4×4, where each pixel covers more
    D: int = 128  # width of the embeddings of time and class
    steps: int = 600  # 53 epochs: enough to draw well, and short enough to wait for
    batch: int = 128  # B: small enough for many steps, large enough for a calm gradient
    lr: float = 2e-3  # short runs need a high rate; 2e-4 is usual for long ones
    p_uncond: float = 0.15  # share of labels dropped; too few: the null class is learnt late; too many: the classes
    ema_decay: float = 0.995  # the average remembers 200 steps, a third of the run
    w: float = 2.0  # nearly every digit is the one asked for; higher scales cost variety (lesson 5.2)
    sample_steps: int = 20  # more change little (lesson 5.1)
    seed: int = 0


def stream(seed: int, name: str, step: int = 0) -> torch.Generator:
    """Random numbers for one purpose at one step, so that no draw ever shifts another."""
    digest = hashlib.blake2b(f"{seed}/{name}/{step}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def digits() -> tuple[Tensor, Tensor]:
    """Images (N, 1, 8, 8) in [-1, 1] and labels (N,): four fifths of scikit-learn's; the rest is kept for testing."""
    pixels, y = load_digits(return_X_y=True)  # (1797, 64) in 0 ... 16, (1797,)
    pixels, _, y, _ = train_test_split(pixels, y, test_size=0.2, random_state=0, stratify=y)
    grey = torch.from_numpy((pixels * (255 / 16)).round()).float()  # 0 ... 255, as in a picture file
    return grey.view(-1, 1, 8, 8) / 127.5 - 1, torch.from_numpy(y)


def cosine_schedule(T: int, s: float = 0.008) -> Tensor:
    """abar (T,), which falls as a squared cosine (Nichol & Dhariwal 2021, eq. 17)."""
    u = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2  # (T + 1,)
    beta = (1 - f[1:] / f[:-1]).clamp(1e-4, 0.9999)  # (T,); the last would be 1 and leave no image to divide by
    return torch.cumprod(1 - beta, 0).float()


class Block(nn.Module):
    """Norm, nonlinearity, convolution, twice; time and class scale and shift both norms (Dhariwal & Nichol 2021)."""

    def __init__(self, in_ch: int, out_ch: int, D: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(8, ch, affine=False) for ch in (in_ch, out_ch))
        self.proj1, self.conv1 = nn.Linear(D, 2 * in_ch), nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.proj2, self.conv2 = nn.Linear(D, 2 * out_ch), nn.Conv2d(out_ch, out_ch, 3, padding=1)
        self.skip = nn.Conv2d(in_ch, out_ch, 1) if in_ch != out_ch else nn.Identity()
        nn.init.zeros_(self.conv2.weight), nn.init.zeros_(self.conv2.bias)  # the block starts as its skip alone

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        scale1, shift1 = self.proj1(F.silu(cond))[..., None, None].chunk(2, dim=1)  # (B, D) -> 2 x (B, in_ch, 1, 1)
        scale2, shift2 = self.proj2(F.silu(cond))[..., None, None].chunk(2, dim=1)  # (B, D) -> 2 x (B, out_ch, 1, 1)
        h = self.conv1(F.silu(self.norm1(x) * (1 + scale1) + shift1))  # (B, in_ch, H, W) -> (B, out_ch, H, W)
        return self.skip(x) + self.conv2(F.silu(self.norm2(h) * (1 + scale2) + shift2))


class UNet(nn.Module):
    """(xt, t, y) -> eps: from 8×8 down to 4×4, attention there, and up again, with skips from the way down."""

    def __init__(self, c: Config):
        super().__init__()
        n, m, D = c.width, 2 * c.width, c.D
        self.freqs = torch.exp(torch.arange(D // 2) * (-math.log(10_000) / (D // 2)))  # (D/2,): 1 ... almost 1/10,000
        self.time_mlp = nn.Sequential(nn.Linear(D, D), nn.SiLU(), nn.Linear(D, D))
        self.class_table = nn.Embedding(c.K + 1, D)  # the last row is the null class
        self.conv_in = nn.Conv2d(1, n, 3, padding=1)
        self.down = nn.ModuleList([Block(n, n, D), Block(n, n, D), Block(n, m, D), Block(m, m, D)])
        self.downsample = nn.Conv2d(n, n, 4, stride=2, padding=1)
        self.mid = nn.ModuleList([Block(m, m, D), Block(m, m, D)])
        self.norm_mid, self.qkv, self.out = nn.GroupNorm(8, m), nn.Linear(m, 3 * m), nn.Linear(m, m)
        self.up = nn.ModuleList([Block(m + n, n, D), Block(2 * n, n, D), Block(2 * m, m, D), Block(2 * m, m, D)])
        self.upsample = nn.ConvTranspose2d(m, m, 4, stride=2, padding=1)
        self.norm_out, self.conv_out = nn.GroupNorm(8, n), nn.Conv2d(n, 1, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight), nn.init.zeros_(self.conv_out.bias)  # the first guess: no noise at all

    def attend(self, x: Tensor, heads: int = 4) -> Tensor:
        """Every position attends to every other, each head in its own way (Vaswani et al. 2017, eq. 1)."""
        qkv = self.qkv(self.norm_mid(x).flatten(2).transpose(1, 2))  # (B, C, H, W) -> (B, HW, C) -> (B, HW, 3C)
        q, k, v = (z.unflatten(2, (heads, -1)).transpose(1, 2) for z in qkv.chunk(3, dim=2))  # (B, nh, HW, C/nh)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, HW, C)
        return x + self.out(h).transpose(1, 2).reshape(x.shape)  # (B, C, H, W)

    def forward(self, xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        angles = t[:, None] * self.freqs  # (B, D/2) (Vaswani et al. 2017, section 3.5)
        cond = self.time_mlp(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.class_table(y)  # (B, D)
        h1 = self.down[0](self.conv_in(xt), cond)  # (B, 1, 8, 8) -> (B, n, 8, 8)
        h2 = self.down[1](h1, cond)  # (B, n, 8, 8)
        h3 = self.down[2](self.downsample(h2), cond)  # (B, n, 4, 4) -> (B, m, 4, 4), m = 2n
        h4 = self.down[3](h3, cond)  # (B, m, 4, 4)
        h = self.mid[1](self.attend(self.mid[0](h4, cond)), cond)  # (B, m, 4, 4)
        h = self.up[2](torch.cat([h, h4], dim=1), cond)  # (B, 2m, 4, 4) -> (B, m, 4, 4)
        h = self.up[3](torch.cat([h, h3], dim=1), cond)  # (B, 2m, 4, 4) -> (B, m, 4, 4)
        h = self.up[0](torch.cat([self.upsample(h), h2], dim=1), cond)  # (B, m + n, 8, 8) -> (B, n, 8, 8)
        h = self.up[1](torch.cat([h, h1], dim=1), cond)  # (B, 2n, 8, 8) -> (B, n, 8, 8)
        return self.conv_out(F.silu(self.norm_out(h)))  # (B, n, 8, 8) -> (B, 1, 8, 8)


def train(c: Config) -> Iterator[tuple[float, UNet]]:
    """Yields each step's loss and the averaged network, after the step (Ho et al. 2020, algorithm 1)."""
    (images, labels), abar = digits(), cosine_schedule(c.T).view(-1, 1, 1, 1)  # abar (T, 1, 1, 1)
    torch.manual_seed(c.seed)
    net = UNet(c)
    ema = copy.deepcopy(net).eval().requires_grad_(False)  # for sampling: single steps jitter, their average does not
    opt = torch.optim.AdamW(net.parameters(), lr=c.lr, weight_decay=1e-4, foreach=True)  # foreach: the same, faster
    epochs = range(c.steps * c.batch // len(images) + 1)
    order = torch.cat([torch.randperm(len(images), generator=stream(c.seed, "order", e)) for e in epochs])
    for step, index in enumerate(order[: c.steps * c.batch].split(c.batch)):
        x0, y = images[index], labels[index]  # (B, 1, 8, 8), (B,)
        coin = torch.rand(len(y), generator=stream(c.seed, "dropout", step))  # (B,): one for each image
        y = torch.where(coin < c.p_uncond, c.K, y)  # label dropout (Ho & Salimans 2022, algorithm 1)
        t = torch.randint(c.T, y.shape, generator=stream(c.seed, "t", step))  # (B,)
        eps = torch.randn(x0.shape, generator=stream(c.seed, "noise", step))  # (B, 1, 8, 8)
        xt = abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * eps  # Ho et al. 2020, eq. 4: any noise level in one go
        loss = F.mse_loss(net(xt, t, y), eps)  # Ho et al. 2020, eq. 14
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)  # early gradients are spiky
        warmup = min(50, c.steps // 10)  # Adam's first steps rest on few gradients, so keep them small
        fall = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (c.steps - warmup)))  # Loshchilov & Hutter 2017, eq. 5
        opt.param_groups[0]["lr"] = c.lr * (step + 1) / warmup if step < warmup else c.lr * fall
        opt.step()
        decay = min(c.ema_decay, (2 + step) / (11 + step))  # warms up, or the random start stays in the average
        for old, new in zip(ema.parameters(), net.parameters()):
            old.lerp_(new.detach(), 1 - decay)  # decay·old + (1 - decay)·new
        yield loss.item(), ema


@torch.no_grad()
def sample(net: UNet, xt: Tensor, y: Tensor, w: float, c: Config) -> Tensor:
    """From noise xt (B, 1, 8, 8) to images of the classes y (B,), by DDIM with classifier-free guidance."""
    abar = torch.cat([cosine_schedule(c.T), torch.ones(1)])  # abar[-1] = 1 is the clean image
    times = [k * c.T // c.sample_steps - 1 for k in range(c.sample_steps, -1, -1)]  # from T-1 in equal steps to -1
    labels = torch.cat([torch.full_like(y, c.K), y])  # (2B,): without the class and with it, in one pass
    for t, s in pairwise(times):
        eps_u, eps_c = net(torch.cat([xt, xt]), torch.full(labels.shape, t), labels).chunk(2)  # 2 x (B, 1, 8, 8)
        eps = eps_u + w * (eps_c - eps_u)  # Ho & Salimans 2022, eq. 6, with their w + 1
        x0 = ((xt - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()).clamp(-1, 1)  # Ho et al. 2020, eq. 4, solved for x0
        eps = (xt - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()  # the noise that agrees with the clamped x0
        xt = abar[s].sqrt() * x0 + (1 - abar[s]).sqrt() * eps  # Song et al. 2021, eq. 12 with sigma = 0
    return xt


def picture(net: UNet, c: Config, columns: int = 10) -> Figure:
    """Guided samples: one row per class, one initial noise per column."""
    noise = torch.stack([torch.randn(1, 8, 8, generator=stream(c.seed, "sample", i)) for i in range(columns)])
    images = sample(net, noise.repeat(c.K, 1, 1, 1), torch.arange(c.K).repeat_interleave(columns), c.w, c)
    tiles = F.pad(images.view(c.K, columns, 8, 8), (1, 1, 1, 1), value=1)  # (K, n, 10, 10): a white frame around each
    axes = (fig := Figure(figsize=(5, 5.5), layout="constrained", dpi=140)).subplots()
    axes.imshow(tiles.transpose(1, 2).reshape(10 * c.K, -1), cmap="gray", vmin=-1, vmax=1)  # (10·K, 10·n)
    axes.set(title=f"{c.steps} training steps, w = {c.w:g}", ylabel="class asked for", xlabel="each column: one noise")
    axes.set(xticks=[], yticks=[10 * k + 4.5 for k in range(c.K)], yticklabels=range(c.K))
    return fig


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn to draw digits, and draw them.")
    parser.add_argument("--steps", type=int, default=Config.steps, help="training steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Config.seed, help="the seed (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/one_file.png"), help="picture (default: %(default)s)")
    args = parser.parse_args()
    if args.steps < 1 or not 0 <= args.seed < 2**63 or args.out.suffix != ".png":
        parser.error("--steps must be at least 1, --seed between 0 and 2**63 - 1, and --out must end in .png")
    c = Config(steps=args.steps, seed=args.seed)
    torch.set_num_threads(1)  # images as small as these are too little work to share
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        for loss, ema in (bar := tqdm(train(c), total=c.steps, desc="training", unit="step")):  # noqa: B007
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        picture(ema, c).savefig(args.out)
    except (KeyboardInterrupt, OSError) as e:
        raise SystemExit(f"stopped, and no picture was written: {str(e) or 'Ctrl-C'}") from None
    print(args.out)
