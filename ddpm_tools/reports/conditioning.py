"""The figures of lesson 5.3: strategies compared, the value of a label, where attention goes, captioned pictures."""

from collections.abc import Mapping, Sequence
from statistics import mean
from textwrap import fill
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_core.plots import pixels

STYLES = {  # colour, line and marker, to be distinguished in print too
    "add": ("tab:blue", "-", "o"), "adagn": ("tab:orange", "-", "s"), "concat": ("tab:green", "-.", "^"),
    "adaln_zero": ("tab:red", "-.", "v"), "cross_attention_1": ("tab:purple", ":", "D"),
    "cross_attention": ("tab:brown", ":", "P"), "none": ("black", "--", "X"),
}  # fmt: skip
PRETTY = {"adagn": "AdaGN", "adaln_zero": "AdaLN-Zero", "cross_attention_1": "cross-att., 1 token",
          "cross_attention": "cross-att., 4 tokens", "none": "none (control)"}  # fmt: skip
METRICS = {
    "heldout_loss": "held-out loss (mean squared error)",
    "adherence": "label adherence (share of images)",
    "distance": "Fréchet distance (classifier's features)",
}


def figure(width: float, height: float, columns: int, **options: Any) -> tuple[Figure, Sequence[Axes]]:
    fig = Figure(figsize=(width, height), layout="constrained", dpi=110)
    axes = fig.subplots(1, columns, squeeze=False, **options)[0]
    for ax in axes:
        ax.grid(alpha=0.3)
    return fig, axes


def smooth(loss: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Steps, and means over 50 steps computed from means over ten."""
    means = torch.as_tensor(loss).unfold(0, min(5, len(loss)), 1).mean(1)
    return 10 * (torch.arange(len(means)) + min(5, len(loss))), means


def training_curves(runs: Sequence[dict], live: Tensor, name: str) -> Figure:
    """Left: the recorded run of "add", and the losses (steps,) of a live run. Right: every recorded run."""
    fig, axes = figure(11, 3.8, 2)
    recorded, live = torch.tensor(runs[0]["train_loss"]), live[: len(live) // 10 * 10].view(-1, 10).mean(1)
    axes[0].plot(10 * torch.arange(1, len(recorded) + 1), recorded, color="0.6", lw=4, label="'add', as recorded")
    axes[0].plot(10 * torch.arange(1, len(live) + 1), live, color="tab:blue", lw=1.5, label=name)
    axes[0].set(title="Means of 10 steps")
    for run in runs:
        color, line, mark = STYLES[run["strategy"]]
        label = PRETTY.get(run["strategy"], run["strategy"])
        axes[1].plot(*smooth(run["train_loss"]), line, color=color, marker=mark, ms=4, markevery=4, label=label)
    axes[1].set(title="All strategies, means of 50 steps, one seed")
    for ax in axes:
        ax.set(xlabel="training step", ylabel="loss (1: no noise predicted)", yscale="log")
        ticks = [v for v in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1) if ax.get_ylim()[0] < v < ax.get_ylim()[1]]
        ax.set_yticks(ticks, [f"{v:g}" for v in ticks])
        ax.minorticks_off()
        ax.legend(fontsize=8)
    return fig


def by_strategy(
    values: Mapping[str, Mapping[str, Sequence[float]]], errors: Mapping[str, Mapping[str, float]]
) -> Figure:
    """`values[metric][strategy]`: one number per seed. The control is off the scale in all panels but the loss."""
    fig, axes = figure(3.9 * len(values) + 0.5, 4, len(values))
    for ax, (metric, of) in zip(axes, values.items()):
        shown = [n for n in of if n != "none" or metric == "heldout_loss"]
        for i, n in enumerate(shown):
            color, _, mark = STYLES[n]
            ax.errorbar(i, mean(of[n]), yerr=errors[metric].get(n), color=color, marker=mark, capsize=4, ms=7)
            ax.scatter([i + 0.25] * len(of[n]), of[n], s=12, color="0.4", zorder=3)
        ax.set(ylabel=METRICS[metric])
        ax.set_xticks(range(len(shown)), [PRETTY.get(n, n) for n in shown], rotation=40, ha="right", fontsize=9)
        if metric != "heldout_loss":
            ax.margins(y=0.2)
            ax.text(0.03, 0.03, f"control, off the scale: {mean(of['none']):.2f}", transform=ax.transAxes, fontsize=8)
    fig.suptitle("Mean over the seeds; bars: 95 %, from resampling images; small dots: each seed", fontsize=10)
    return fig


def paired_reruns(record: dict) -> Figure:
    """Difference between two designs in every rerun of a record, metric by metric."""
    fig, axes = figure(10.5, 3, len(record["differences"]))
    for ax, (metric, d) in zip(axes, record["differences"].items()):
        each = [a - b for a, b in d["pairs"]]
        ax.axhline(0, color="black", lw=0.8)
        ax.plot(range(1, len(each) + 1), each, "o", color="tab:blue")
        ax.axhline(d["mean"], color="tab:blue", ls="--", lw=1, label=f"mean {d['mean']:+.4f}, t = {d['t']:.1f}")
        ax.set(xlabel="rerun", title=METRICS[metric])
        ax.title.set_fontsize(10)
        ax.legend(fontsize=8)
    axes[0].set_ylabel("addition minus AdaLN-Zero")
    return fig


def by_level(
    times: Sequence[int], curves: Mapping[str, Tensor], worth: Mapping[str, tuple[Tensor, Tensor | None]],
    titles: tuple[str, str], unit: str,
) -> Figure:  # fmt: skip
    """Losses by noise level, and the gain from the condition: name -> (difference, its standard error or None)."""
    fig, axes = figure(10.5, 3.4, 2)
    for (name, curve), style in zip(curves.items(), ("-", "--", ":")):
        axes[0].plot(times, curve, style, marker=".", label=name)
    axes[1].axhline(0, color="black", lw=0.8)
    for (name, (gap, se)), style in zip(worth.items(), ("--", ":")):
        error = None if se is None else 1.96 * se
        axes[1].errorbar(times, gap, yerr=error, fmt=style, marker="o", ms=4, capsize=3, label=name)
    for ax, title in zip(axes, titles):
        ax.set(title=title, xlabel="timestep t (0: clean, 999: noise)", ylabel=f"mean squared error of {unit}")
        ax.legend(fontsize=8)
    axes[1].set_ylabel("extra loss")
    return fig


def token_maps(x0: Tensor, xt: Tensor, four: Tensor, alone: Tensor, title: str) -> Figure:
    """An image, its noisy version, the one-token map (H, W), and a grid of heads by tokens: four (nh, S, H, W)."""
    heads, tokens = four.shape[:2]
    fig = Figure(figsize=(9.5, 1.55 * heads + 0.5), layout="constrained", dpi=110)
    left, right = fig.subfigures(1, 2, width_ratios=(1.3, tokens))
    top = four.max().item()
    for ax, picture, name in zip(left.subplots(3, 1), (pixels(x0), pixels(xt), alone), ("image", "seen", "one token")):
        ax.imshow(picture, cmap="magma", vmin=0, vmax=top)
        ax.set_title(name, fontsize=10)
        ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, f"{alone.min():.2f} to {alone.max():.2f}", transform=ax.transAxes, ha="center", fontsize=9)
    axes = right.subplots(heads, tokens)
    for i, line in enumerate(axes):
        line[0].set_ylabel(f"head {i + 1}")
        for j, ax in enumerate(line):
            drawn = ax.imshow(four[i, j], vmin=0, vmax=top, cmap="magma")
            ax.set(xticks=[], yticks=[])
            if i == 0:
                ax.set_title(f"token {j + 1} of {tokens}", fontsize=10)
    right.colorbar(drawn, ax=axes, label="share of the pixel's attention", shrink=0.8)
    fig.suptitle(title, fontsize=11)
    return fig


def captioned(images: Tensor, captions: Sequence[str], columns: int, title: str, rows: Sequence[str] = ()) -> Figure:
    """Pictures with captions below: one per picture, or, if the rows have names, one per column. nan: left blank."""
    lines = -(-len(images) // columns)
    fig = Figure(figsize=(1.35 * columns + 0.4, (1.4 if rows else 1.8) * lines + 0.7), layout="constrained", dpi=110)
    axes = fig.subplots(lines, columns, squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[])
        if i >= len(images) or images[i].isnan().any():
            ax.spines[:].set_visible(False)
        else:
            ax.imshow(pixels(images[i]))
        if i < len(images) and (not rows or i >= len(images) - columns):
            ax.set_xlabel(fill(captions[i % columns if rows else i], 15), fontsize=8)
    for ax, name in zip(axes[:, 0], rows):
        ax.set_ylabel(name, fontsize=9)
    fig.suptitle(title, fontsize=10)
    return fig
