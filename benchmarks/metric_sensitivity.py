"""Which faults does each figure see, and to which is it blind? Plants known faults in real held-out images.

    python benchmarks/metric_sensitivity.py [--data NAME_OR_PATH] [--heldout PATH] [--extractor NAME] [--n 280]

Prints one Markdown table with a row for each fault and a column for each figure. ● marks a figure that is worse than
that of the untouched images by more than three standard errors of the difference. All rows have the same n and the same
reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ddpm_core.data import ImageData
from ddpm_tools.cli.evaluate import default_network
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.estimates import Estimate, interval
from ddpm_tools.evaluation.evaluation import Evaluation, evaluate
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.judges import find_judge
from ddpm_tools.evaluation.metrics import METRICS, EvaluationConfig
from ddpm_tools.evaluation.reference import reference_for
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.sources import tensor_source

COLUMNS = [m for m in METRICS if m not in ("frechet_inf",)]
ABOUT = Provenance("", 0, "", 0, None, None, "unknown")
Fault = Callable[[ImageData, int, Generator], ImageData]  # (pool, n, rng) -> n images


def noise(pool: ImageData, n: int, rng: Generator) -> ImageData:
    x = pool.images[:n].float() + 20 * torch.randn(pool.images[:n].shape, generator=rng)
    return part(pool, n, x)


def blur(pool: ImageData, n: int, rng: Generator) -> ImageData:
    c = pool.images.shape[1]
    line = torch.tensor([1.0, 2.0, 1.0]) / 4  # binomial, about 0.7 pixels wide
    kernel = torch.outer(line, line).expand(c, 1, 3, 3)
    return part(pool, n, F.conv2d(F.pad(pool.images[:n].float(), (1,) * 4, mode="replicate"), kernel, groups=c))


def grey(pool: ImageData, n: int, rng: Generator) -> ImageData:
    """Remove the colour; pictures without any lose half of their contrast."""
    x = pool.images[:n].float()
    return part(pool, n, x.mean(1, keepdim=True).expand_as(x) if x.shape[1] == 3 else x.mean() + (x - x.mean()) / 2)


def shuffled_labels(pool: ImageData, n: int, rng: Generator) -> ImageData:
    clean = part(pool, n)
    return replace(clean, labels=clean.labels[torch.randperm(n, generator=rng)])


def dropped_classes(pool: ImageData, n: int, rng: Generator) -> ImageData:
    """Leave out the first fifth of the classes."""
    keep = pool.labels >= max(1, len(pool.classes) // 5)
    return part(replace(pool, images=pool.images[keep], labels=pool.labels[keep]), n)


def duplicated(pool: ImageData, n: int, rng: Generator) -> ImageData:
    """Repeat a tenth of the images ten times each."""
    index = torch.arange(n) % (n // 10)
    return replace(pool, images=pool.images[index], labels=pool.labels[index])


def part(pool: ImageData, n: int, images: Tensor | None = None) -> ImageData:
    """Return the first n, with other pixels if these are given; ValueError if there are fewer than n."""
    if n > len(pool):
        raise ValueError(f"--n {n} needs at least that many held-out images after a fifth of the classes is dropped")
    x = pool.images[:n] if images is None else images.round().clamp(0, 255).byte()
    return replace(pool, images=x, labels=pool.labels[:n])


FAULTS: dict[str, Fault] = {
    "none": lambda pool, n, rng: part(pool, n),
    "noise (sd 20 of 255)": noise,
    "blur (3×3)": blur,
    "grey": grey,
    "labels shuffled": shuffled_labels,
    "a fifth of the classes missing": dropped_classes,
    "a tenth of the images, ten times each": duplicated,
}


def figures(e: Evaluation) -> dict[str, Estimate]:
    """Return every column's estimate, with the mean of the distances by class."""
    found = {f.metric: f.estimate for f in e.results}
    rows = [r.distance for r in e.per_class if r.distance is not None]
    if rows:
        se = sum(r.se**2 for r in rows) ** 0.5 / len(rows)
        found["per_class"] = interval(sum(r.value for r in rows) / len(rows), se)
    return found


def worse(metric: str, clean: Estimate, now: Estimate) -> bool:
    """Whether a figure is worse by more than three standard errors."""
    change = (now.value - clean.value) / max((now.se**2 + clean.se**2) ** 0.5, 1e-12)
    better = METRICS[metric].better
    return (
        change > 3
        if better == "lower" or metric == "copies"
        else change < -3
        if better == "higher"
        else abs(change) > 3
    )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="digits")
    p.add_argument("--heldout", help="a data set in which to plant the faults; default: the data's own held-out part")
    p.add_argument("--extractor")
    p.add_argument("--n", type=int, default=280)
    p.add_argument("--repeats", type=int, default=100)
    a = p.parse_args()
    torch.set_num_threads(1)
    train = load_data(a.data, "all" if a.heldout else "train")
    train = replace(train, split="train")
    held = load_data(a.heldout, "all") if a.heldout else load_data(a.data, "heldout")
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(0))
    pool = replace(held, images=held.images[order], labels=held.labels[order])
    net, judge = network(a.extractor or default_network(train)), find_judge(train)
    reference = reference_for(train, net, held, progress=True)
    rng = torch.Generator().manual_seed(1)
    sets = {name: fault(pool, a.n, rng) for name, fault in FAULTS.items()}
    sets["training images themselves"] = part(replace(pool, images=train.images, labels=train.labels), a.n)
    results = {}
    for name, images in sets.items():
        source = tensor_source(name, images.images, images.labels)
        config = EvaluationConfig(COLUMNS, a.repeats)
        results[name] = figures(evaluate(source, train, reference, net, ABOUT, judge, config))
    columns = [c for c in COLUMNS if c in results["none"]]
    print(f"{Path(a.data).stem}, n = {a.n}, {net.name}, reference {reference.config}\n")
    print("| fault | " + " | ".join(METRICS[c].title for c in columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, found in results.items():
        marks = ["● " if worse(c, results["none"][c], found[c]) else "" for c in columns]
        print(f"| {name} | " + " | ".join(f"{m}{found[c].value:.3g}" for c, m in zip(columns, marks)) + " |")


if __name__ == "__main__":
    main()
