"""How well does the network denoise? Error by noise level, against two bounds that need no network. The error is that
of the clamped x0_hat, so networks that predict eps, v or x0 are on one scale. It is given as a share of the image's
variance: 1 is the loss of predicting the data's mean, 0 is perfect."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddpm_core.diffusion import Network
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, Parameterization
from ddpm_core.schedule import SCHEDULES, DiffusionSchedule
from ddpm_core.streams import stream

LEVELS = 6  # timesteps at which the error is measured: enough for a curve, few enough for a laptop
TIMES: dict[str, Callable[[Tensor, int], Tensor]] = {  # what people pass to the time embedding instead of t
    "t": lambda t, n: t, "t / T": lambda t, n: t / n, "t · T": lambda t, n: t * n, "T - 1 - t": lambda t, n: n - 1 - t
}  # fmt: skip
RANGES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))  # common ranges of training images; the first is the course's


@dataclass(frozen=True)
class Convention:
    """The scaling of images and timesteps that the network expects, and the meaning of its output."""

    schedule: DiffusionSchedule
    parameterization: Parameterization = EPSILON
    low: float = -1.0  # lowest pixel value passed to the network
    high: float = 1.0  # highest
    time: str = "t"  # a key of TIMES
    aspect: str = ""  # what differs from the stated convention: range, time, schedule or target; "" if nothing does
    value: str = "as stated"  # the value of that aspect

    def scaled(self, x0: Tensor) -> Tensor:
        """Images in [-1, 1] -> this convention's range."""
        return self.low + (x0 + 1) / 2 * (self.high - self.low)

    def predict(self, network: Network, xt: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x0_hat (B, C, H, W), clamped to the range; xt is in this range too, and t (B,) holds the true timesteps."""
        output = network(xt, TIMES[self.time](t, self.schedule.timesteps), y)
        return self.parameterization.predict_x0(output, xt, t, self.schedule).clamp(self.low, self.high)


def other_schedules(schedule: DiffusionSchedule) -> dict[str, DiffusionSchedule]:
    """The course's schedules that differ from this one, with as many timesteps."""
    abar = schedule.alphas_cumprod
    known = {name: DiffusionSchedule.named(name, len(abar)).to(abar.device) for name in SCHEDULES}
    return {k: s for k, s in known.items() if not torch.allclose(s.alphas_cumprod, abar, atol=1e-3)}


def alternatives(stated: Convention) -> list[Convention]:
    """The stated convention, then those that differ from it by one common mistake."""
    targets = {k: p for k, p in PARAMETERIZATIONS.items() if k != stated.parameterization.name}
    others = [("range", f"[{a:g}, {b:g}]", {"low": a, "high": b}) for a, b in RANGES[1:]]
    others += [("time", k, {"time": k}) for k in TIMES if k != stated.time]
    others += [("schedule", k, {"schedule": s}) for k, s in other_schedules(stated.schedule).items()]
    others += [("target", k, {"parameterization": p}) for k, p in targets.items()]
    return [stated, *(replace(stated, aspect=aspect, value=value, **change) for aspect, value, change in others)]


def levels(timesteps: int, count: int = LEVELS) -> list[int]:
    """Timesteps in the middle of `count` equal parts of 0 ... T-1."""
    return [int((i + 0.5) * timesteps / count) for i in range(count)]


def noised(how: Convention, x0: Tensor, t: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """(xt, t, x0) at one timestep, in the convention's range; x0 (B, C, H, W) in [-1, 1]. Noise depends on seed, t."""
    x0 = how.scaled(x0)
    eps = torch.randn(x0.shape, generator=stream(seed, "diagnose", t)).to(x0)
    ts = torch.full((len(x0),), t, device=x0.device)
    return how.schedule.q_sample(x0, ts, eps), ts, x0


@torch.no_grad()
def errors(network: Network, how: Convention, x0: Tensor, y: Tensor, times: Sequence[int], seed: int = 0) -> Tensor:
    """Share of the variance left unexplained at each of `times`, (len(times),); x0 (B, C, H, W) in [-1, 1]."""
    shares = []
    for t in times:
        xt, ts, x = noised(how, x0, t, seed)
        x0_hat = how.predict(network, xt, ts, y)
        shares.append((x0_hat - x).square().mean() / (x - x.mean(0)).square().mean())
    return torch.stack(shares).cpu().double()


def pixel_bound(how: Convention, x0: Tensor, times: Sequence[int]) -> Tensor:
    """The share left by the best estimate from each pixel alone: var / (1 + snr·var), the Wiener filter's error."""
    var = how.scaled(x0).var(0, unbiased=False).double().cpu()  # (C, H, W)
    abar = how.schedule.alphas_cumprod.double().cpu()[list(times)]
    snr = (abar / (1 - abar)).view(-1, 1, 1, 1)  # (len(times), 1, 1, 1)
    return (var / (1 + snr * var)).mean((1, 2, 3)) / var.mean()


def score(errors: Tensor, bound: Tensor) -> float:
    """Geometric mean of error / bound; below 1 the network beats denoising each pixel alone."""
    ratio = (errors / bound).clamp(min=1e-6).log().mean().exp()
    return float(ratio) if torch.isfinite(ratio) else float("inf")
