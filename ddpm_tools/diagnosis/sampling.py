"""Is the sampler right? It runs with a recorder in place of the network, and is compared with the reference sampler.
The recorder evaluates every query with the requested labels, so that guidance of any scale cancels and only the sampler
remains. Each recorded step is then repeated from the same xt and network output with each known mistake. The verdict
names the mistake that lands where the sampler did."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_core.diffusion import Diffusion, Network
from ddpm_core.guidance import plain
from ddpm_core.samplers import ddim, ddim_timesteps, last
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools.diagnosis.denoising import Convention, other_schedules

Sampler = Callable[[Network, Tensor], Tensor]  # (network, y (B,)) -> images (B, C, H, W) in [-1, 1]


@dataclass(frozen=True)
class Call:
    """One call of the network: xt (B, C, H, W), the time passed with it, and the output."""

    xt: Tensor
    time: float
    output: Tensor


class Recorder(nn.Module):
    """The network, but it records its inputs and always uses the labels y, whatever labels are passed."""

    def __init__(self, network: Network, y: Tensor):
        super().__init__()
        self.inner, self.y, self.calls = network, y, []

    def __getattr__(self, name: str) -> object:  # a sampler may use .config, .null_cond and the like
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__.get("inner") or self._modules["inner"], name)

    def forward(self, xt: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        n = len(self.y)
        if len(xt) % n:
            gave = f"{n} images but gave the network {len(xt)}"
            raise ValueError(f"the sampler was asked for {gave}; sample them in one batch")
        output = self.inner(xt, t, self.y.repeat(len(xt) // n))
        time = float(torch.as_tensor(t).flatten()[0])
        if not (self.calls and self.calls[-1].time == time):  # guidance in two passes calls twice
            self.calls.append(Call(xt[:n].detach().clone(), time, output[:n].detach().clone()))
        return output


@dataclass(frozen=True)
class Mistake:
    """A kind of step; the right one has no names."""

    schedule: DiffusionSchedule
    clamp: bool = True  # whether the estimate of x0 is clamped to [-1, 1]
    eta: float = 0.0
    names: tuple[str, ...] = ()  # what is wrong: the schedule's name, "clamp"


def mistakes(how: Convention) -> list[Mistake]:
    """Right and wrong schedules, with and without clamping x0, deterministic and with fresh noise."""
    schedules = {"": how.schedule, **other_schedules(how.schedule)}
    found = [
        Mistake(s, clamp, eta, (name,) * bool(name) + ("clamp",) * (not clamp))
        for (name, s), clamp, eta in product(schedules.items(), (True, False), (0.0, 1.0))
    ]
    return sorted(found, key=lambda m: len(m.names))


def step(call: Call, t: int, s: int | None, m: Mistake, how: Convention) -> Tensor:
    """Where a step with this mistake lands from a recorded call at t, less fresh noise (Song et al. 2021, eq. 12)."""
    ts = torch.full((len(call.xt),), t, device=call.xt.device)
    x0 = how.parameterization.predict_x0(call.output, call.xt, ts, m.schedule)
    x0 = x0.clamp(-1, 1) if m.clamp else x0
    abar = m.schedule.alphas_cumprod.double()
    a, b = abar[t], abar[s] if s is not None else abar.new_ones(())
    eps = (call.xt - a.sqrt() * x0) / (1 - a).sqrt()
    sigma = m.eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).clamp(min=0).sqrt()  # eq. 16
    return b.sqrt() * x0 + (1 - b - sigma**2).clamp(min=0).sqrt() * eps


def residual(calls: list[Call], times: list[int], m: Mistake, how: Convention) -> float:
    """Mean share of the recorded steps that a step with this mistake does not explain."""
    shares = [
        (step(here, t, s, m, how) - there.xt).square().mean() / there.xt.square().mean()
        for (here, there), (t, s) in zip(pairwise(calls), pairwise(times))
    ]
    return float(torch.stack(shares).clamp(max=10).nan_to_num(10, 10, 10).mean()) if shares else 10.0


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|a - b| - E|a - a'| - E|b - b'| over images, as a share of E|b - b'| (Szekely & Rizzo 2013, eq. 5). Images
    (N, C, H, W) are averaged down to at most 16×16: enough to show their content, without a feature network."""
    size = min(16, *a.shape[-2:])
    a, b = (F.adaptive_avg_pool2d(x.float().cpu(), size).flatten(1) for x in (a, b))  # (N, C·size²)
    if not torch.isfinite(a).all():
        return float("inf")
    within = torch.cdist(b, b).mean()
    return float((2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - within) / within)


@dataclass(frozen=True)
class SamplerEvidence:
    """Measurements of the sampler."""

    images: Tensor  # (B, C, H, W), the sampler's
    reference: Tensor  # the reference sampler's images, from the same noise and labels
    distance: float  # energy distance of the sampler's images to real ones
    reference_distance: float  # the same for the reference sampler's
    times: list[float] = field(default_factory=list)  # timesteps passed to the network, in order
    noise_std: float = 1.0  # standard deviation of the first xt
    mistake: Mistake | None = None  # the one that explains the steps best
    residual: float = float("nan")  # the share that `mistake` leaves unexplained
    right_residual: float = float("nan")  # the share that the right step leaves
    gain: float = 1.0  # returned images = gain · (what the last step gives) + offset
    offset: float = 0.0  # see gain; a right sampler has gain 1 and offset 0
    unfit: float = 0.0  # share of the images' variance not explained by that line

    @property
    def ratio(self) -> float:
        """Distance to real images, as a multiple of the reference sampler's."""
        return self.distance / max(self.reference_distance, 1e-3)


def as_timesteps(times: list[float], timesteps: int) -> list[int]:
    """The intended timesteps: from t / T if all lie within 0 ... 1, else the nearest within 0 ... T-1."""
    scale = timesteps if times and max(times) <= 1 < len(times) else 1
    return [min(timesteps - 1, max(0, round(t * scale))) for t in times]


def fit_line(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """(gain, offset, unfit) of the least-squares line y = gain·x + offset; unfit is the share of y's variance left."""
    x, y = x.double().flatten().cpu(), y.double().flatten().cpu()
    gain = ((x - x.mean()) * (y - y.mean())).mean() / x.var(unbiased=False).clamp(min=1e-12)
    offset = y.mean() - gain * x.mean()
    unfit = (y - gain * x - offset).square().mean() / y.var(unbiased=False).clamp(min=1e-12)
    return float(gain), float(offset), float(unfit)


def run(sampler: Sampler, network: Network, y: Tensor, seed: int) -> Tensor:
    """The sampler's images; PyTorch's global random state is seeded for the call and restored afterwards."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        images = sampler(network, y)
    if not isinstance(images, Tensor):
        raise ValueError(f"the sampler must return images, a tensor of shape (B, C, H, W), got {type(images).__name__}")
    return images.detach()


def check(
    sampler: Sampler, network: Network, how: Convention, y: Tensor, real: Tensor, steps: int, seed: int
) -> SamplerEvidence:
    """Run the sampler and the reference (DDIM, w = 1) for labels y (B,); real (N, C, H, W) in [-1, 1]."""
    spy = Recorder(network, y)
    images, n = run(sampler, spy, y, seed), how.schedule.timesteps
    shape, calls = (len(y), *real.shape[1:]), spy.calls
    if images.shape != shape:
        raise ValueError(f"the sampler must return images {shape}, got {tuple(images.shape)}")
    std = float(calls[0].xt.std()) if calls else float("nan")
    fresh = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(real.device)
    start = calls[0].xt if calls and 0.9 < std < 1.1 else fresh
    denoise = plain(Diffusion(network, how.schedule, how.parameterization), y)
    reference = last(ddim(denoise, start, how.schedule, ddim_timesteps(n, min(steps, n))))
    found = SamplerEvidence(images, reference, energy_distance(images, real), energy_distance(reference, real))
    if not calls:
        return found
    times = as_timesteps([c.time for c in calls], n)
    fits = [(residual(calls, times, m, how), m) for m in mistakes(how)]
    right = min(r for r, m in fits if not m.names)
    best, mistake = min(fits, key=lambda f: f[0])
    gain, offset, unfit = fit_line(step(calls[-1], times[-1], None, mistake, how), images)
    return replace(
        found, times=[c.time for c in calls], noise_std=std, mistake=mistake, residual=best, right_residual=right,
        gain=gain, offset=offset, unfit=unfit,
    )  # fmt: skip
