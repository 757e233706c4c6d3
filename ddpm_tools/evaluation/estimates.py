"""Numbers with 95 % intervals: from the images of one run, from several runs, and for differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from statistics import fmean

import torch
from torch import Tensor

from ddpm_core.streams import stream


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float  # the estimate; nan if it could not be computed
    low: float  # lower end of the interval
    high: float  # upper end
    se: float | None = None  # standard error; the interval may have been cut off at impossible values
    df: float | None = None  # degrees of freedom of se; None: practically infinite, so Student's t is normal

    @property
    def lacks(self) -> str:
        """What is missing, in words; empty if value and interval are finite."""
        if not isfinite(self.value):
            return "no value"
        return "" if isfinite(self.low) and isfinite(self.high) else "no interval"

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def quantile(df: float | None) -> float:
    """Half the width of a 95 % interval in standard errors: 1.96, or Student's t (12.7 for one degree of freedom)."""
    if df is None:
        return 1.96
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(df, 0.975))


def interval(value: float, se: float, low: float = 0.0, top: float = inf, df: float | None = None) -> Estimate:
    """value ± 1.96 standard errors (Student's t for few `df`), cut off at `low` and `top`. The interval always contains
    the value, even if rounding has put it beyond `low` or `top`. If the standard error is nan, as with two images, so
    is the interval."""
    if isnan(se):
        return Estimate(value, nan, nan, nan, df)
    half = quantile(df) * se
    return Estimate(value, min(value, max(low, value - half)), max(value, min(top, value + half)), se, df)


def standard_error(e: Estimate) -> float:
    """The estimate's own, else from the side of its interval that was not cut off."""
    return e.se if e.se is not None else max(e.high - e.value, e.value - e.low) / quantile(e.df)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """b - a for independent estimates, by Welch's test: neither variances nor degrees of freedom need be equal."""
    errors = [standard_error(e) for e in (a, b)]
    variance = errors[0] ** 2 + errors[1] ** 2
    terms = sum(s**4 / e.df for s, e in zip(errors, (a, b)) if e.df is not None)  # 0 if df is infinite
    df = variance**2 / terms if terms and isfinite(variance) else None  # Satterthwaite 1946, eq. 17
    return interval(b.value - a.value, variance**0.5, low=-inf, df=df)


def mean_estimate(
    own: Sequence[float], others: Sequence[Sequence[float]] = (), low: float = -inf, top: float = inf
) -> Estimate:
    """The mean of own (n,), one value per run, with Student's interval. The variance is pooled with that of `others`,
    each about its own mean, which helps with few runs if other designs can be assumed to vary as much. With one value
    and no others the interval is infinitely wide. ValueError without any value."""
    if not own:
        raise ValueError("a mean needs at least one run")
    groups = [g for g in (own, *others) if len(g) > 1]
    df = sum(len(g) - 1 for g in groups)
    if not df:
        return Estimate(fmean(own), low, top)
    squares = sum((x - fmean(g)) ** 2 for g in groups for x in g)
    return interval(fmean(own), (squares / df / len(own)) ** 0.5, low, top, df)


def paired(a: Mapping[int, float], b: Mapping[int, float]) -> list[float]:
    """b - a at every seed they share, for `mean_estimate`: effects of a seed on both cancel."""
    return [b[seed] - a[seed] for seed in b if seed in a]


def verdict(d: Estimate | None, better: str) -> str:
    """Whether a difference is an improvement, a loss, or not resolved; `better` is "lower" or "higher"."""
    if d is None or d.se is None or not (d.low > 0 or d.high < 0):  # or it has no interval
        return "not resolved"
    return "better" if (d.value < 0) == (better == "lower") else "worse"


def bootstrap(statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, top: float = inf) -> Estimate:
    """value ± 1.96 bootstrap standard errors of statistic(indices), cut off at 0 and `top` (Efron 1979). The
    bootstrap's quantiles are not used: a Fréchet distance rises when images are drawn twice, so the quantiles would
    miss the value. The interval holds for this n; the distance's own bias is the same in all results with this n."""
    value, rng = statistic(torch.arange(n)), stream(seed, "bootstrap")
    draws = torch.tensor([statistic(torch.randint(n, (n,), generator=rng)) for _ in range(repeats)])
    return interval(value, draws.std().item(), top=top)


def proportion(hits: Tensor) -> Estimate:
    """The mean of hits (N,), each 0 or 1, with Wilson's interval (1927, eq. 2). It is the bootstrap over images in
    closed form, except near 0 and 1, where resampling a hundred hits out of a hundred would claim certainty."""
    n, p, z = len(hits), float(hits.double().mean()), 1.96
    middle, width = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half_width = width * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = min(p, middle - half_width), max(p, middle + half_width)  # at 0 and 1 they equal p, up to rounding
    return Estimate(p, max(0.0, low), min(1.0, high), half_width / z)


def halves(statistic: Callable[[Tensor], float], n: int, repeats: int, seed: int, top: float = inf) -> Estimate:
    """As bootstrap, from random halves drawn without replacement (delete-half jackknife, Shao & Wu 1989). Used for
    recall and coverage, where an image drawn twice would be its own neighbour, and for distances, where it would lower
    the rank of the covariance. For n below 4 D a bootstrap's error bar is up to three times too large; this one is less
    than twice too large, and right for distances well above zero."""
    rng = stream(seed, "halves")
    draws = torch.tensor([statistic(torch.randperm(n, generator=rng)[: n // 2]) for _ in range(repeats)])
    return interval(statistic(torch.arange(n)), draws.std().item(), top=top)
