"""What people show each other: class grid, guidance sweep, class interpolation, EMA against raw, on one page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from ddpm_core import checkpoint, plots
from ddpm_core.checkpoint import CheckpointError, Loaded
from ddpm_core.config import DATA_DIR, PRESETS
from ddpm_core.interpolation import InterpolationConfig, interpolate_classes
from ddpm_core.metrics.distances import diversity
from ddpm_core.samplers import SampleConfig, sample
from ddpm_core.streams import derive_seed
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.vision import CIFAR10_CLASSES, FASHION_CLASSES, TORCHVISION
from ddpm_tools.evaluation.judges import Judge, known_classifier, load_judge
from ddpm_tools.evaluation.reference import shipped_reference
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import ReferenceStatistics, score
from ddpm_tools.reports import demo_page
from ddpm_tools.reports.plots import gif, sweep_plot
from ddpm_tools.train.resume import exists
from ddpm_tools.train.runs import class_index, shortened, train_run

SCALES = (1, 2, 4, 6, 8, 10)
PAIRS = (("3", "8"), ("1", "7"), ("4", "9"), ("0", "6"))
COLOUR = DATA_DIR / "checkpoints/cifar10"
COLOUR_PAIRS = (("cat", "dog"), ("airplane", "ship"), ("automobile", "truck"), ("bird", "airplane"))
COLOUR_SCALES = (1, 2, 4, 8)
KNOWN_CLASSES = {"digits": tuple("0123456789"), "cifar10": CIFAR10_CLASSES, "fashion-mnist": FASHION_CLASSES}


@dataclass(frozen=True)
class Sizes:
    """How much the demo draws; the defaults take about a minute on two cores."""

    sweep_n: int = 500
    sweep_steps: int = 20
    steps: int = 50
    colour_n: int = 100  # of CIFAR-10, a scale: sixteen times the pixels of a digit take a CPU that much longer
    colour_steps: int = 10  # of DPM-Solver++(2M), which needs fewer than DDIM


def classes_of(loaded: Loaded) -> tuple[str, ...]:
    """Class names from the checkpoint, else by the name of its data, else numbers; one for all where it knows none."""
    if not (k := loaded.preset.unet.num_classes):
        return ("any",)
    told = loaded.record.get("provenance", {}).get("classes")
    if isinstance(told, list) and len(told) == k and all(isinstance(name, str) for name in told):
        return tuple(told)
    return KNOWN_CLASSES.get(loaded.preset.data) or tuple(map(str, range(k)))


def known_pairs(classes: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of the course that these classes have, to walk between."""
    return [(a, b) for a, b in (*PAIRS, *COLOUR_PAIRS) if a in classes and b in classes]


def judge_of(loaded: Loaded, path: Path | None = None) -> Judge:
    """The classifier at `path`, else one that ships and knows the model's classes; ValueError where there is none."""
    u, classes = loaded.preset.unet, classes_of(loaded)
    if found := known_classifier((u.image_channels, u.image_size, u.image_size), classes, path):
        return load_judge(found)
    raise ValueError(
        f"no classifier knows {loaded.preset.data}'s classes; train one with `ddpm classifier`, then --classifier"
    )


def reference_statistics(data: str, judge: Judge) -> ReferenceStatistics:
    """The real images to measure against; of those that would have to be downloaded, the statistics that ship."""
    if data in TORCHVISION and (kept := shipped_reference(data, judge.name)):
        return ReferenceStatistics(str(kept.config), kept.moments, diversity(kept.features, kept.labels))
    return ReferenceStatistics.of(load_data(data, "all"), judge.model)


def draw(
    loaded: Loaded,
    y: Tensor,
    w: float,
    steps: int,
    seed: int,
    raw: bool = False,
    progress: bool = False,
    config: SampleConfig | None = None,
    **changes: Any,
) -> Tensor:
    """Samples of a checkpoint, from its averaged or its raw weights; `changes` are fields of its Diffusion."""
    return sample(replace(loaded.diffusion(raw), **changes), y, w, steps, seed, config, progress)


def sweep(
    loaded: Loaded,
    out: Path,
    scales: Sequence[float] = SCALES,
    n: int = 500,
    steps: int = 20,
    seed: int = 0,
    classifier: Path | None = None,
    progress: bool = False,
    **options: Any,
) -> list[Path]:
    """Images, plot and figures (sweep.json) for each guidance scale, all from the same noise."""
    classes, judge = classes_of(loaded), judge_of(loaded, classifier)
    real = reference_statistics(loaded.preset.data, judge)
    if n < 2 * len(classes):
        raise ValueError(f"--n must be at least {2 * len(classes)}, two images a class, got {n}")
    y = torch.arange(n) % len(classes)
    rows, scores = [], []
    for w in scales:
        images = draw(loaded, y, w, steps, seed, progress=progress, **options)
        about = Provenance(judge.name.replace("-", " "), n, real.name, seed, steps, w, "ema")
        scores.append(score(images, y, real, judge.model, about))
        rows.append(images[: len(classes)])
    strip = plots.grid(
        torch.cat(rows), len(classes), [f"w = {w:g}" for w in scales], classes,
        "same noise, growing guidance scale", column_label="class asked for",
    )  # fmt: skip
    how = {"sampling": asdict(options.get("config") or SampleConfig())}
    checkpoint.write_text(out / "sweep.json", json.dumps([s.as_dict() | how for s in scores], indent=1) + "\n")
    return [
        plots.save(strip, out / "sweep.png"),
        plots.save(sweep_plot(scales, scores), out / "sweep_plot.png"),
        out / "sweep.json",
    ]


def interpolate(
    loaded: Loaded,
    out: Path,
    pairs: Sequence[tuple[str, str]],
    n: int = 11,
    w: float = 3.0,
    steps: int = 50,
    seed: int = 0,
    mode: str = "spherical",
    progress: bool = False,
    vary: str = "class",
    config: SampleConfig | None = None,
    **changes: Any,
) -> list[Path]:
    """One strip and one GIF a pair of classes; all of a strip starts from one noise, unless `vary` says otherwise."""
    classes, u = classes_of(loaded), loaded.preset.unet
    diffusion, written = replace(loaded.diffusion(), **changes), []
    how = InterpolationConfig(vary, mode, steps, config or SampleConfig())
    for a, b in tqdm(pairs, desc="interpolating", unit="pair", disable=not progress):
        ends = class_index(a, classes), class_index(b, classes)
        rng = Generator().manual_seed(derive_seed(seed, "interpolate", a, b))
        row = interpolate_classes(diffusion, *ends, n, w, rng, how).cpu()
        names = [f"{i / max(1, n - 1):.1f}" for i in range(n)]
        title = {
            "class": f"{a} → {b}: one noise, {mode} class embedding, w = {w:g}",
            "noise": f"class {a}: from one noise to another, w = {w:g}",
            "both": f"{a} → {b}: {mode} class embedding, and from one noise to another, w = {w:g}",
        }[vary]
        share = "the second noise" if vary == "noise" else f"class {b}"
        strip = plots.grid(row, n, (), names, title, column_label=f"share of {share}", cell=0.7)
        written.append(plots.save(strip, out / f"interpolate_{a}_{b}.png"))
        zoom = max(1, 128 // u.image_size)
        written.append(gif(row, out / f"interpolate_{a}_{b}.gif", zoom))
    return written


def ema_against_raw(loaded: Loaded, out: Path, w: float = 1.0, steps: int = 50, seed: int = 0) -> Path:
    """Averaged and raw weights from the same noise, one pair of rows."""
    classes = classes_of(loaded)
    y = torch.arange(2 * len(classes)) % len(classes)
    both = torch.cat([draw(loaded, y, w, steps, seed, raw=raw) for raw in (False, True)])  # (4K, C, H, W)
    k = len(classes)
    order = torch.cat([both[:k], both[2 * k : 3 * k], both[k : 2 * k], both[3 * k :]])
    names = ["EMA, noise 1", "raw, noise 1", "EMA, noise 2", "raw, noise 2"]
    title = f"averaged against raw weights, same noise, w = {w:g}"
    return plots.save(plots.grid(order, k, names, classes, title, column_label="class asked for"), out / "ema_raw.png")


def colour(out: Path, seed: int, sizes: Sizes, path: Path = COLOUR) -> None:
    """The CIFAR-10 model's sweep and walks; nothing where none ships that fits the code."""
    try:
        loaded = checkpoint.load(path)
    except CheckpointError as e:
        print(f"left out CIFAR-10, since {e}")
        return
    config = SampleConfig("dpm++")
    sweep(loaded, out, COLOUR_SCALES, sizes.colour_n, sizes.colour_steps, seed, progress=True, config=config)
    interpolate(loaded, out, COLOUR_PAIRS, steps=2 * sizes.colour_steps, seed=seed, progress=True, config=config)
    told = loaded.record["provenance"]
    note = (
        f"A small network ({sum(p.numel() for p in loaded.ema.parameters()) / 1e6:.1f} million parameters) after "
        f"{told['step']:,} steps of {loaded.preset.train.batch_size} images on {told['device']}, {told['minutes']:.0f} "
        "minutes: something to look at, which a laptop can train, and no measure of the method."
    )
    checkpoint.write_text(out / "model.json", json.dumps({"note": note}) + "\n")


def matching_checkpoint(path: Path, out: Path, seed: int, retrain: bool) -> Path:
    """The shipped checkpoint where it fits the code, else (or on request) one trained here; trained once, then kept."""
    if not retrain:
        try:
            checkpoint.load(path)
            return path
        except CheckpointError as e:
            print(f"training, since {e}")
    own = out / "checkpoint/digits"
    return train_run(shortened(PRESETS["digits"], None, seed), own)


def run(out: Path, path: Path, seed: int = 0, retrain: bool = False, sizes: Sizes | None = None) -> Path:
    """All pictures and the page that shows them; returns the page's path. What is already there is kept."""
    sizes = sizes or Sizes()
    path = matching_checkpoint(path, out, seed, retrain)
    loaded = checkpoint.load(path)
    weights = [checkpoint.file_digest(p) for p in (path, COLOUR) if exists(p)]
    stamp = {"checkpoint": checkpoint.digest({"weights": weights}), "seed": seed, **vars(sizes)}
    done = out / "demo.json"
    if not (done.is_file() and json.loads(done.read_text(encoding="utf-8")).get("made_with") == stamp):
        classes = classes_of(loaded)
        y = torch.arange(len(classes)).repeat_interleave(10)
        images = draw(loaded, y, 3.0, sizes.steps, seed, progress=True)
        plots.save(plots.class_grid(images, classes, f"w = 3, {sizes.steps} DDIM steps"), out / "grid.png")
        sweep(loaded, out, SCALES, sizes.sweep_n, sizes.sweep_steps, seed, progress=True)
        interpolate(loaded, out, known_pairs(classes), steps=sizes.steps, seed=seed, progress=True)
        ema_against_raw(loaded, out, steps=sizes.steps, seed=seed)
        colour(out / "cifar10", seed, sizes)
        checkpoint.write_text(done, json.dumps({"made_with": stamp, "step": loaded.step}, indent=1) + "\n")
    return demo_page.write(out)
