"""What the demo draws besides grids: the plot of a guidance sweep, and an interpolation as a GIF."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ddpm_core.plots import pixels
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.results import for_readers
from ddpm_tools.evaluation.scores import Scores

LABELS = {"adherence": "label adherence", "distance": "Fréchet distance", "diversity": "diversity (real = 1)"}


def apart(values: Sequence[float], share: float = 0.12) -> list[float]:
    """The values that an axis has room to label: each is at least this share of the range beyond the last one."""
    named: list[float] = []
    room = share * (max(values) - min(values))
    for value in sorted(set(values)):
        if not named or value - named[-1] >= room:
            named.append(value)
    return named


def sweep_plot(scales: Sequence[float], scores: Sequence[Scores], title: str = "") -> Figure:
    """Adherence, Fréchet distance and diversity against the guidance scale, with 95 % intervals."""
    fig = Figure(figsize=(10, 3.1), layout="constrained", dpi=140)
    for ax, name in zip(fig.subplots(1, 3), LABELS):
        e: list[Estimate] = [getattr(s, name) for s in scores]
        values = [x.value for x in e]
        bars = [[x.value - x.low for x in e], [x.high - x.value for x in e]]
        ax.errorbar(scales, values, yerr=bars, marker="o", capsize=3, color="tab:blue")
        named = apart(scales)
        ax.set_xticks(named, [f"{w:g}" for w in named])
        ax.set_xticks(list(scales), minor=True)
        ax.set_xlabel("guidance scale w")
        ax.set_ylabel(LABELS[name])
        ax.grid(alpha=0.3)
    about = scores[0].about
    made = f"{about.steps} steps, seed {about.seed}, {about.weights} weights\nreference {for_readers(about.reference)}"
    fig.suptitle(title or f"{about.extractor}, n = {about.n}, {made}", fontsize=10)
    return fig


def gif(frames: Tensor, path: Path, zoom: int = 16, ms: int = 90) -> Path:
    """Frames (N, C, H, W) as a GIF that runs back and forth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there_and_back = torch.cat([frames, frames.flip(0)[1:-1]])
    big = [Image.fromarray(pixels(f)).resize([s * zoom for s in f.shape[:0:-1]], Image.NEAREST) for f in there_and_back]
    big[0].save(path, save_all=True, append_images=big[1:], duration=ms, loop=0)
    return path
