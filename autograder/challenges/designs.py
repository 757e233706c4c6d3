"""The known designs of the few-steps tracks, as the functions that a student would write.

Each is a generator few_steps(noise, y, evaluations), with noise (B, 1, 8, 8) and y (B,), whose cell is self-contained.
"""

import inspect
import math
from collections.abc import Callable

import torch

from ddpm_core.schedule import DiffusionSchedule


def ddim(noise, y, evaluations):
    """DDIM at evenly spaced timesteps (Song et al. 2021, eq. 12)."""
    abar = DiffusionSchedule.named().alphas_cumprod  # (1000,)
    times = [1000 * k // evaluations - 1 for k in range(evaluations, 0, -1)]
    x = noise
    for t, t_next in zip(times, [*times[1:], None]):
        x0, eps = yield x, t
        a_next = abar[t_next] if t_next is not None else torch.ones(())
        x = a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps
    return x


def log_snr(noise, y, evaluations):
    """DDIM at timesteps evenly spaced in log-SNR, from where the image begins to show (Lu et al. 2022, section 3.3)."""
    schedule = DiffusionSchedule.named()
    lam, abar = schedule.half_log_snr, schedule.alphas_cumprod  # (1000,) each
    wanted = torch.linspace(-5.1, float(lam[0]), evaluations, dtype=lam.dtype)
    times = (lam[None] - wanted[:, None]).abs().argmin(1).tolist()  # (evaluations,)
    x = noise
    for t, t_next in zip(times, [*times[1:], None]):
        x0, eps = yield x, t
        a_next = abar[t_next] if t_next is not None else torch.ones(())
        x = a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps
    return x


def dpm_solver(noise, y, evaluations):
    """DPM-Solver++(2M) at evenly spaced timesteps (Lu et al. 2022b, algorithm 2)."""
    schedule = DiffusionSchedule.named()
    lam, abar = schedule.half_log_snr.tolist(), schedule.alphas_cumprod
    times = [1000 * k // evaluations - 1 for k in range(evaluations, 0, -1)]
    x, before = noise, None
    for t, t_next in zip(times, [*times[1:], None]):
        x0, eps = yield x, t
        if t_next is None:
            return x0
        a_next = abar[t_next]
        x = a_next.sqrt() * x0 + (1 - a_next).sqrt() * eps
        if before is not None:
            h, h_before = lam[t_next] - lam[t], lam[t] - before[0]
            x = x - a_next.sqrt() * math.expm1(-h) * h / (2 * h_before) * (x0 - before[1])
        before = lam[t], x0


def jump(noise, y, evaluations):
    """One evaluation, which takes the noise for a noisy image at t = 850, where the network can tell classes apart."""
    x0, _ = yield noise, 850
    return x0


def cells(design: Callable) -> dict[str, str]:
    """Return the answer cell of a design."""
    return {"few_steps": inspect.getsource(design).replace(f"def {design.__name__}(", "def few_steps(", 1).rstrip("\n")}
