"""The figures of lesson 5.3 about interpolation: what a classifier sees on the way, how grainy the middle is, and which
words receive attention."""

from collections.abc import Mapping, Sequence
from statistics import mean

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_core.plots import pixels
from ddpm_tools.evaluation.estimates import proportion

KINDS = {"first class": ("-", "o"), "second class": ("--", "s"), "anything else": (":", "^")}
MARKS = {"linear": ("tab:blue", "o"), "spherical": ("tab:red", "s"), "scores": ("tab:green", "^")}


def kinds(votes: Tensor, a: int, b: int) -> dict[str, Tensor]:
    """Which of the votes (walks, points) go to the first class, to the second, and to neither."""
    return dict(zip(KINDS, (votes == a, votes == b, (votes != a) & (votes != b))))


def vote_curves(alphas: Tensor, votes: Mapping[tuple[str, str], Mapping[str, Tensor]], title: str) -> Figure:
    """`votes[mode, pair][kind]`: hits (walks, points). A row per mode, a column per pair, Wilson's 95 % intervals."""
    modes, pairs = (list(dict.fromkeys(key[i] for key in votes)) for i in (0, 1))
    size = (2.7 * len(pairs) + 0.6, 2.1 * len(modes) + 0.7)
    fig = Figure(figsize=size, layout="constrained", dpi=110)
    axes = fig.subplots(len(modes), len(pairs), sharex=True, sharey=True, squeeze=False)
    for (mode, pair), hits in votes.items():
        ax = axes[modes.index(mode), pairs.index(pair)]
        for name, (style, mark) in KINDS.items():
            e = [proportion(h) for h in hits[name].T]
            line = ax.plot(alphas, [x.value for x in e], style, marker=mark, ms=3.5, label=name)[0]
            if name != "anything else":
                ax.fill_between(alphas, [x.low for x in e], [x.high for x in e], alpha=0.12, color=line.get_color())
        ax.grid(alpha=0.3)
    for ax, pair in zip(axes[0], pairs):
        ax.set_title(pair)
    for ax in axes[-1]:
        ax.set_xlabel("alpha")
    for ax, mode in zip(axes[:, 0], modes):
        ax.set_ylabel(f"{mode}\nshare of images")
    axes[0, -1].legend(fontsize=7, title="classified as", title_fontsize=7)
    fig.suptitle(title, fontsize=11)
    return fig


def grain_of(record: dict, pair: Sequence[str], w: float, path: str, alpha: float) -> list[float]:
    """The grain in a record, one value per image."""
    (row,) = [r for r in record["rows"] if (r["pair"], r["w"], r["path"], r["alpha"]) == (list(pair), w, path, alpha)]
    return row["grain"]


def grain_plot(record: dict) -> Figure:
    """Grain at the ends and half-way (mean over the noises), one panel per pair and w."""
    pairs, scales = (
        [*dict.fromkeys(f(r) for r in record["rows"])] for f in (lambda r: tuple(r["pair"]), lambda r: r["w"])
    )
    fig = Figure(figsize=(2.6 * len(pairs) + 0.6, 2.2 * len(scales) + 0.7), layout="constrained", dpi=110)
    axes = fig.subplots(len(scales), len(pairs), sharex=True, sharey=True, squeeze=False)
    for line, w in zip(axes, scales):
        for ax, pair in zip(line, pairs):
            for path, (color, mark) in MARKS.items():
                alphas = sorted({r["alpha"] for r in record["rows"]})
                each = [grain_of(record, pair, w, path, alpha) for alpha in alphas]
                se = [torch.tensor(e).std().item() / len(e) ** 0.5 for e in each]
                ax.errorbar(alphas, [mean(e) for e in each], [1.96 * s for s in se], color=color, marker=mark, ms=4,
                            capsize=3, label=path)  # fmt: skip
            ax.grid(alpha=0.3)
            if w == scales[0]:
                ax.set_title(" → ".join(pair), fontsize=10)
        line[0].set_ylabel(f"w = {w:g}\ngrain")
    for ax in axes[-1]:
        ax.set_xlabel("alpha")
    axes[0, -1].legend(fontsize=8)
    axes[0, 0].set_ylim(0, None)
    n = len(record["rows"][0]["grain"])
    told = f"{n} noises, {record['steps']} steps of {record['sampler']}, EMA weights; bars: 95 %"
    fig.suptitle(f"Mean distance of a pixel from its 2×2 block's mean: {told}", fontsize=10)
    return fig


def word_rows(pictures: Sequence[Tensor], words: Sequence[Sequence[str]], maps: Sequence[Tensor], title: str) -> Figure:
    """One row per caption: the picture (C, H, W), and the map of each of its words (S, H, W); brightness by row."""
    columns = 1 + max(len(w) for w in words)
    fig = Figure(figsize=(1.5 * columns + 0.3, 1.65 * len(words) + 0.4), layout="constrained", dpi=110)
    for line, picture, names, shares in zip(fig.subplots(len(words), columns, squeeze=False), pictures, words, maps):
        line[0].imshow(pixels(picture))
        line[0].set_title("drawn, w = 3", fontsize=8)
        top = shares[: len(names)].max().item()
        for ax, name, share in zip(line[1:], names, shares):
            ax.imshow(share, cmap="magma", vmin=0, vmax=top)
            ax.set_title(f"{name} ({share.mean():.0%})", fontsize=8)
        for ax in line:
            ax.set(xticks=[], yticks=[])
        for ax in line[1 + len(names) :]:
            ax.axis("off")
    fig.suptitle(title, fontsize=10)
    return fig
