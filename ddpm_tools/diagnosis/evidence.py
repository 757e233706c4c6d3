"""Everything that is measured, in one flat record for the rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.diffusion import Network
from ddpm_tools.diagnosis import weights
from ddpm_tools.diagnosis.denoising import Convention, alternatives, errors, levels, noised, pixel_bound, score
from ddpm_tools.diagnosis.labels import Confusion, change, confusion, preferred_label
from ddpm_tools.diagnosis.sampling import Sampler, SamplerEvidence, check, run


@dataclass(frozen=True)
class Settings:
    """How much is measured. The defaults take about 15 seconds of one core on the digits."""

    n: int = 100  # held-out images: errors vary by a few per cent between draws of 100; faults change them by far more
    classes: int = 10  # labels are checked on the first ten classes: the cost grows with their square
    steps: int = 20  # of the reference sampler: enough for DDIM to show the quality of the weights
    labels: bool = True  # False for a model that is intentionally unconditional
    seed: int = 0
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class Known:
    """What may be known besides the network; each item makes more diagnoses possible."""

    raw: Network | None = None  # the network with the weights before averaging
    initial: Network | None = None  # the same before training
    losses: Sequence[float] = ()  # the training loss of each step
    null: int | Tensor | None = None  # the null class
    reference: Tensor | None = None  # (6,), the errors of a sound network at `denoising.levels(T)`


@dataclass(frozen=True)
class Evidence:
    """What was measured. Errors are shares of the image's variance; scores are errors over the pixel bound."""

    how: Convention  # the convention stated by the user
    classes: tuple[str, ...]  # the classes whose labels are checked
    times: list[int]  # the timesteps at which errors are measured
    bound: Tensor  # (times,), the error of the best estimate from each pixel alone
    error: Tensor  # (times,), with the images' own labels
    null_error: Tensor  # (times,), without labels
    raw_error: Tensor | None  # (times,), of the weights before averaging, with or without labels as `used` says
    reference: Tensor | None  # (times,), of the reference checkpoint, at the same noise levels
    used: str  # "label" or "null": the condition with the lower error, used for all that follows
    fits: list[tuple[float, Convention]]  # scores under the stated convention (first) and all others
    time_change: float  # relative change of the output when t becomes T - 1 - t
    label_change: float  # relative change of the output when the label becomes the null class
    seen: Confusion | None  # which label makes each image easiest to denoise
    finite: bool  # whether all weights and outputs are finite
    moved: float | None  # how far training moved the weights, as a share of their initial norm
    ema_moved: float | None  # the same for the averaged weights
    spikes: float  # see weights.spikes
    x0: Tensor  # (n, C, H, W), the held-out images used
    y: Tensor  # (n,), their labels
    settings: Settings  # how much was measured
    sampler: SamplerEvidence | None = None  # measurements of the sampler; None if none was given
    drawn: Confusion | None = None  # requested class against the class that the sampler's images show
    judge: str = ""  # who classified the samples in `drawn`: "the classifier" or "the network itself"

    @property
    def score(self) -> float:
        return self.fits[0][0]

    @property
    def best(self) -> tuple[float, Convention]:
        """The lowest score and its convention."""
        return min(self.fits, key=lambda f: f[0])

    @property
    def raw_score(self) -> float | None:
        return None if self.raw_error is None else score(self.raw_error, self.bound)

    @property
    def reference_score(self) -> float | None:
        return None if self.reference is None else score(self.reference, self.bound)


def balanced(data: ImageData, n: int, classes: int) -> Tensor:
    """Indices of about n images: from each of the first `classes` classes an equal share, or fewer if it has fewer."""
    share = max(1, n // classes)
    return torch.cat([(data.labels == k).nonzero().flatten()[:share] for k in range(classes)])


def null_like(network: object, null: int | Tensor | None, y: Tensor, num_classes: int) -> Tensor:
    """The null class for every image (B,): as given, else the network's own, else the class after the last. For a
    network without one, a wrong class."""
    null = getattr(network, "null_cond", num_classes) if null is None else null
    if null is None:
        return (y + 1) % num_classes
    return torch.as_tensor(null, device=y.device).flatten()[:1].expand_as(y)


@torch.no_grad()
def of_network(
    network: Network, how: Convention, data: ImageData, known: Known | None = None, settings: Settings | None = None
) -> Evidence:
    """Measurements of the network alone; see `diagnose` for the arguments."""
    known, settings = known or Known(), settings or Settings()
    raw, k = known.raw, min(len(data.classes), settings.classes)
    index = balanced(data, settings.n, k)
    x0, y = data.floats(index).to(settings.device), data.labels[index].to(settings.device)
    nulls = null_like(network, known.null, y, len(data.classes))
    times, seed = levels(how.schedule.timesteps), settings.seed
    bound = pixel_bound(how, x0, times)
    error, null_error = (errors(network, how, x0, labels, times, seed) for labels in (y, nulls))
    used = "label" if score(error, bound) <= score(null_error, bound) else "null"
    cond, own = (y, error) if used == "label" else (nulls, null_error)
    fits = [(score(own, bound), how)]
    tried = (cond,) if fits[0][0] < 1 else (y, nulls)  # under a wrong convention it cannot be told whether labels help
    for other in alternatives(how)[1:]:
        limit = pixel_bound(other, x0, times)
        fits.append((min(score(errors(network, other, x0, c, times, seed), limit) for c in tried), other))
    xt, ts, _ = noised(how, x0, times[len(times) // 2], seed)
    output = network(xt, ts, cond)
    alive = bool(output.std(0).max() > 1e-6)  # if the output is the same for all images, it says nothing about t
    seen = confusion(y, preferred_label(network, how, x0, k, blurred(times), seed), k) if settings.labels else None
    return Evidence(
        how=how, classes=data.classes[:k], times=times, bound=bound, error=error, null_error=null_error,
        raw_error=None if raw is None else errors(raw, how, x0, cond, times, seed), reference=known.reference,
        time_change=change(output, network(xt, how.schedule.timesteps - 1 - ts, cond)) if alive else 1.0,
        label_change=change(network(xt, ts, y), network(xt, ts, nulls)), used=used, fits=fits, seen=seen,
        finite=all(weights.finite(m) for m in (network, raw)) and bool(torch.isfinite(output).all()),
        moved=weights.distance(raw or network, known.initial), ema_moved=weights.distance(network, known.initial),
        spikes=weights.spikes(known.losses), x0=x0, y=y, settings=settings,
    )  # fmt: skip


def blurred(times: list[int]) -> list[int]:
    """The noise levels at which the image is noisy enough for the label to help, but not yet lost."""
    return times[len(times) // 3 : -1]


@torch.no_grad()
def with_sampler(e: Evidence, network: Network, sampler: Sampler, judge: Network | None = None) -> Evidence:
    """The evidence extended by measurements of the sampler on that network; judge (B, C, H, W) -> logits (B, K)."""
    settings, k, drawn = e.settings, len(e.classes), None
    found = check(sampler, network, e.how, e.y, e.x0, settings.steps, settings.seed)
    if settings.labels:
        images = run(sampler, network, e.y, settings.seed).to(e.x0.device).nan_to_num(0, 1, -1).clamp(-1, 1)
        if judge is None:
            told = preferred_label(network, e.how, images, k, blurred(e.times), settings.seed)
        else:
            told = judge(images)[:, :k].argmax(1)
        drawn = confusion(e.y, told, k)
    return replace(e, sampler=found, drawn=drawn, judge="the network itself" if judge is None else "the classifier")
