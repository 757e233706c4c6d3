"""The demo: class grid, guidance sweep, class interpolation and EMA against raw weights, on one page."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator
from tqdm.auto import tqdm

from ddpm_core import checkpoint, plots, samplers
from ddpm_core.checkpoint import CheckpointError, Loaded
from ddpm_core.config import DATA_DIR, PRESETS
from ddpm_core.interpolation import InterpolationConfig, interpolate_classes
from ddpm_core.metrics.distances import diversity
from ddpm_core.samplers import SampleConfig
from ddpm_core.streams import derive_seed
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.vision import TORCHVISION
from ddpm_tools.drawing import COLOUR_PAIRS, Drawing, check_guidance, draw, known_pairs
from ddpm_tools.evaluation.judges import Judge, classes_of, judge_of
from ddpm_tools.evaluation.reference import shipped_reference
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import ReferenceStatistics, score
from ddpm_tools.outputs import json_text
from ddpm_tools.reports import demo_page, moving
from ddpm_tools.reports.plots import gif, sweep_plot
from ddpm_tools.train.resume import exists
from ddpm_tools.train.runs import class_index, shortened, train_run
from ddpm_tools.train.warm_start import training_behind

SCALES = (1, 1.25, 1.5, 2, 4, 6, 8, 10)
COLOUR = DATA_DIR / "checkpoints/cifar10"
COLOUR_SCALES = (1, 2, 4, 8)
WAY_W = 3.0  # for the animations and the colour walks: enough to recognise the classes, and natural colours


@dataclass(frozen=True)
class Sizes:
    """How much the demo draws; the defaults take about a minute on two cores."""

    sweep_n: int = 500  # images per guidance scale in the sweep
    sweep_steps: int = 20  # DDIM steps in the sweep
    steps: int = 50  # DDIM steps for all other pictures of digits
    colour_n: int = 100  # CIFAR-10 images per scale: with 16 times the pixels of a digit, each takes that much longer
    colour_steps: int = 10  # steps of DPM-Solver++(2M), which needs fewer than DDIM
    way_steps: int = 24  # frames of the animations


def reference_statistics(data: str, judge: Judge) -> ReferenceStatistics:
    """Statistics of the real images to measure against; the shipped ones for data that would need a download."""
    if data in TORCHVISION and (kept := shipped_reference(data, judge.name)):
        return ReferenceStatistics(str(kept.config), kept.moments, diversity(kept.features, kept.labels))
    return ReferenceStatistics.of(load_data(data, "all"), judge.model)


def grid(loaded: Loaded, out: Path, how: Drawing) -> Path:
    """Ten images of each class."""
    classes = classes_of(loaded)
    images = draw(loaded, torch.arange(len(classes)).repeat_interleave(10), how)
    return plots.save(plots.class_grid(images, classes, f"w = {how.w:g}, {how.steps} DDIM steps"), out / "grid.png")


def sweep(
    loaded: Loaded, out: Path, scales: Sequence[float], how: Drawing, classifier: Path | None = None
) -> list[Path]:
    """Images, a plot and figures (sweep.json) for each guidance scale, all from the same noise."""
    classes, judge = classes_of(loaded), judge_of(loaded, classifier)
    real = reference_statistics(loaded.preset.data, judge)
    if how.n < 2 * len(classes):
        raise ValueError(f"--n must be at least {2 * len(classes)}, two images per class, got {how.n}")
    y = torch.arange(how.n) % len(classes)
    rows, scores = [], []
    for w in scales:
        images = draw(loaded, y, replace(how, w=w))
        about = Provenance(judge.name.replace("-", " "), how.n, real.name, how.seed, how.steps, w, "ema")
        scores.append(score(images, y, real, judge.model, about))
        rows.append(images[: len(classes)])
    names, title = [f"w = {w:g}" for w in scales], "same noise, growing guidance scale"
    strip = plots.grid(torch.cat(rows), len(classes), names, classes, title, column_label="class asked for")
    write_json(out / "sweep.json", [s.as_dict() | {"sampling": asdict(how.config)} for s in scores])
    pictures = {"sweep.png": strip, "sweep_plot.png": sweep_plot(scales, scores)}
    return [*(plots.save(figure, out / name) for name, figure in pictures.items()), out / "sweep.json"]


def interpolate(
    loaded: Loaded, out: Path, pairs: Sequence[Sequence[str]], how: Drawing, mode: str = "linear", vary: str = "class"
) -> list[Path]:
    """One strip and one GIF per pair of classes. A strip starts from a single noise, unless `vary` says otherwise."""
    classes, n, w = classes_of(loaded), how.n, how.w
    diffusion, written = replace(loaded.diffusion(), **how.changes), []
    check_guidance(diffusion, w, how.config)
    config = InterpolationConfig(vary, mode, how.steps, how.config)
    ends = [(class_index(a, classes), class_index(b, classes)) for a, b in pairs]  # check all names before drawing
    for (a, b), labels in zip(tqdm(pairs, desc="interpolating", unit="pair", disable=not how.progress), ends):
        rng = Generator().manual_seed(derive_seed(how.seed, "interpolate", a, b))
        row = interpolate_classes(diffusion, *labels, n, w, rng, config).cpu()
        names = [f"{i / max(1, n - 1):.1f}" for i in range(n)]
        path = "mixed scores" if mode == "scores" else f"{mode} class embedding"
        title = {
            "class": f"{a} → {b}: one noise, {path}, w = {w:g}",
            "noise": f"class {a}: from one noise to another, w = {w:g}",
            "both": f"{a} → {b}: {path}, and from one noise to another, w = {w:g}",
        }[vary]
        share = "the second noise" if vary == "noise" else f"class {b}"
        strip = plots.grid(row, n, (), names, title, column_label=f"share of {share}", cell=0.7)
        written.append(plots.save(strip, out / f"interpolate_{a}_{b}.png"))
        written.append(gif(row, out / f"interpolate_{a}_{b}.gif", max(1, 128 // loaded.preset.unet.image_size)))
    return written


def ema_against_raw(loaded: Loaded, out: Path, w: float = 1.0, steps: int = 50, seed: int = 0) -> Path:
    """Averaged and raw weights from the same noise, in pairs of rows."""
    classes, k = classes_of(loaded), len(classes_of(loaded))
    y = torch.arange(2 * k) % k
    ema, raw = (draw(loaded, y, Drawing(w=w, steps=steps, seed=seed, raw=raw)) for raw in (False, True))
    rows = torch.cat([ema[:k], raw[:k], ema[k:], raw[k:]])  # (4K, C, H, W)
    names = ["EMA, noise 1", "raw, noise 1", "EMA, noise 2", "raw, noise 2"]
    title = f"averaged against raw weights, same noise, w = {w:g}"
    return plots.save(plots.grid(rows, k, names, classes, title, column_label="class asked for"), out / "ema_raw.png")


def way(loaded: Loaded, out: Path, seed: int, steps: int, w: float = WAY_W) -> list[Path]:
    """An animation from noise to one picture per class, and its last frame for readers who turn motion off."""
    classes = classes_of(loaded)
    taken = samplers.sample_trajectory(
        *(loaded.diffusion(), torch.arange(len(classes)), w, steps, seed, SampleConfig("dpm++"), steps)
    )
    shown = moving.denoising(taken, classes, w)
    shown[-1][0].save(out / "way.png")
    return [moving.write(shown, out / "way.webp"), out / "way.png"]


def write_json(path: Path, value: Any) -> None:
    checkpoint.write_text(path, json_text(value, indent=1) + "\n")


def colour(out: Path, seed: int, sizes: Sizes, path: Path = COLOUR) -> None:
    """The CIFAR-10 model's sweep and walks; skipped if no shipped model fits the code."""
    try:
        loaded = checkpoint.load(path)
    except CheckpointError as e:
        print(f"skipped CIFAR-10: {e}")
        return
    how = Drawing(sizes.colour_n, steps=sizes.colour_steps, seed=seed, config=SampleConfig("dpm++"), progress=True)
    sweep(loaded, out, COLOUR_SCALES, how)
    way(loaded, out, seed, sizes.way_steps)
    interpolate(loaded, out, COLOUR_PAIRS, replace(how, n=11, w=WAY_W, steps=2 * sizes.colour_steps), "scores")
    device, millions = loaded.record["provenance"]["device"], sum(p.numel() for p in loaded.ema.parameters()) / 1e6
    minutes = training_behind(loaded.record)["minutes"]
    note = (
        f"A small network ({millions:.1f} million parameters), trained for {minutes:.0f} minutes on "
        f"{'a CPU' if device == 'cpu' else device}. It shows what a laptop can train, "
        "not what the method can do."
    )
    write_json(out / "model.json", {"note": note})


def matching_checkpoint(path: Path, out: Path, seed: int, retrain: bool) -> Path:
    """The shipped checkpoint, or, on request, one trained here once. CheckpointError if the shipped one is missing or
    does not fit the code: the demo never starts a training run unasked."""
    if not retrain:
        try:
            checkpoint.load(path)
            return path
        except CheckpointError as e:
            raise CheckpointError(f"{e}; or add --train, and the demo trains one in a minute or two") from e
    return train_run(shortened(PRESETS["digits"], None, seed), out / "checkpoint/digits")


def parts(loaded: Loaded, out: Path, seed: int, sizes: Sizes) -> dict[str, Callable[[], Any]]:
    """The parts of the demo by name, in the order in which they are made."""
    how = Drawing(11, 3.0, sizes.steps, seed, progress=True)
    return {
        "grid": lambda: grid(loaded, out, how),
        "sweep": lambda: sweep(loaded, out, SCALES, replace(how, n=sizes.sweep_n, steps=sizes.sweep_steps)),
        "way": lambda: way(loaded, out, seed, sizes.way_steps),
        "interpolation": lambda: interpolate(loaded, out, known_pairs(classes_of(loaded)), replace(how, w=2.0)),
        "weights": lambda: ema_against_raw(loaded, out, steps=sizes.steps, seed=seed),
        "colour": lambda: colour(out / "cifar10", seed, sizes),
    }


def run(out: Path, path: Path, seed: int = 0, retrain: bool = False, sizes: Sizes | None = None) -> Path:
    """Draw all pictures and the page that shows them; returns the page's path. Parts that are done already are kept."""
    sizes = sizes or Sizes()
    path = matching_checkpoint(path, out, seed, retrain)
    loaded = checkpoint.load(path)
    weights = [checkpoint.file_digest(p) for p in (path, COLOUR) if exists(p)]
    stamp = {"checkpoint": checkpoint.digest({"weights": weights}), "seed": seed, **vars(sizes)}
    file = out / "demo.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    done = before.get("parts", []) if before.get("made_with") == stamp else []
    for part, make in parts(loaded, out, seed, sizes).items():
        if part not in done:
            make()
            done = [*done, part]
            write_json(file, {"made_with": stamp, "step": loaded.step, "parts": done})
    return demo_page.write(out)
