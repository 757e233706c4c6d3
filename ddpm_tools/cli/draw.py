"""`ddpm sample`, `sweep`, `interpolate` and `demo`: pictures from a checkpoint."""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_core import checkpoint, plots, samplers
from ddpm_core.checkpoint import Loaded
from ddpm_core.interpolation import PATHS, VARY
from ddpm_core.samplers import SAMPLERS, SPACINGS, SampleConfig
from ddpm_tools import demo, outputs
from ddpm_tools.cli.arguments import json_option
from ddpm_tools.cli.base import beside, command, device_of, distinct, positive, room_for, scale
from ddpm_tools.drawing import Drawing, draw
from ddpm_tools.evaluation.judges import classes_of
from ddpm_tools.train.runs import class_index


def config_of(a: argparse.Namespace) -> SampleConfig:
    """The options of `sampling_options`; ValueError if some exclude each other."""
    given = {f.name: getattr(a, f.name) for f in fields(SampleConfig) if hasattr(a, f.name)}
    return SampleConfig(**given | {"interval": tuple(a.interval) if a.interval else None})


def changes_of(a: argparse.Namespace, loaded: Loaded) -> dict[str, Any]:
    """--no-clip and --weak as fields of a Diffusion; ValueError if the weak model is not comparable."""
    if getattr(a, "weak", None) is None:
        return {"clip": not a.no_clip}
    other = checkpoint.load(a.weak, device_of(a.device))
    for name, of in (
        ("images", lambda p: (p.unet.image_channels, p.unet.image_size)),
        ("classes", lambda p: p.unet.num_classes),
        ("schedule", lambda p: p.make_schedule().alphas_cumprod.tolist()),
        ("parameterization", lambda p: p.parameterization),
    ):
        if of(other.preset) != of(loaded.preset):
            raise ValueError(f"--weak {a.weak} has other {name} than {a.checkpoint}; use a snapshot of the same run")
    return {"clip": not a.no_clip, "weak": other.ema}


def method(a: argparse.Namespace) -> str:
    """How the images were drawn, for the title."""
    guidance = f"CFG++ lam = {a.lam:g}" if a.lam is not None else f"w = {a.w:g}"
    within = f" at t {a.interval[0]}-{a.interval[1]}" if a.interval else ""
    solver = f" {a.sampler}" if a.sampler != "ddim" else ""
    return f"{guidance}{within}, {a.steps}{solver} steps, seed {a.seed}"


def drawing(a: argparse.Namespace, loaded: Loaded, **options: Any) -> Drawing:
    """The options as a Drawing."""
    common = {"seed": a.seed, "config": config_of(a), "changes": changes_of(a, loaded), "progress": True}
    return Drawing(a.n, steps=a.steps, **common, **options)


def draw_trajectory(loaded: Loaded, a: argparse.Namespace, y: Tensor, names: Sequence[str]) -> Path:
    """The trajectory of the first image of every class: the network's input, and its estimate of the image."""
    diffusion, config = replace(loaded.diffusion(a.raw), **changes_of(a, loaded)), config_of(a)
    firsts, device = list(range(0, len(y), a.n)), diffusion.device
    times = samplers.spaced_timesteps(diffusion.schedule, a.steps, config.spacing)
    xt = samplers.initial_noise(firsts, diffusion.shape, a.seed).to(device)  # the same images as in the grid
    denoise = samplers.denoiser(diffusion, y[firsts].to(device), a.w, config)
    steps = samplers.solve(denoise, xt, diffusion.schedule, times, config, samplers.step_noise(firsts, a.seed))
    way = samplers.record(steps, xt, times, a.trajectory)
    rows = torch.stack([way.xt, way.x0_hat]).permute(2, 0, 1, 3, 4, 5)  # (2, S, K, C, H, W) -> (K, 2, S, C, H, W)
    labels = [f"{name}, {what}" for name in names for what in ("xt", "x0_hat")]
    times = [f"t = {t}" for t in way.t]
    picture = plots.grid(rows.flatten(0, 2), len(times), labels, times, method(a), cell=0.7)
    return plots.save(picture, a.out.with_name(f"{a.out.stem}_trajectory{a.out.suffix}"))


def sample(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    classes = classes_of(loaded)
    names = a.classes or classes
    y = torch.tensor([class_index(c, classes) for c in names]).repeat_interleave(a.n)
    images = draw(loaded, y, drawing(a, loaded, w=a.w, raw=a.raw))
    print(plots.save(plots.class_grid(images, names, method(a)), a.out))
    if a.trajectory:
        print(draw_trajectory(loaded, a, y, names))


def sweep(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    if a.lam is not None:
        raise ValueError("a sweep varies w, which CFG++ (--lam) does not use; omit --lam")
    distinct(a.w, "--w")
    room_for(a.n, loaded)
    made = demo.sweep(loaded, a.out, a.w, drawing(a, loaded), a.classifier)
    print(made[-1].read_text(encoding="utf-8").strip() if a.json else "\n".join(map(str, made)))


def interpolate(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    print(*demo.interpolate(loaded, a.out, a.pair, drawing(a, loaded, w=a.w), a.mode, a.vary), sep="\n")


def all_pictures(a: argparse.Namespace) -> None:
    print(demo.run(a.out, a.checkpoint, a.seed, retrain=a.train))


def sampling_options(p: argparse.ArgumentParser, steps: int, weak: bool = False) -> None:
    """Options that all three commands share: the solver, its steps, and how guidance is applied."""
    p.add_argument("--steps", type=positive, default=steps, help="network evaluations per image")
    p.add_argument("--sampler", choices=SAMPLERS, default="ddim", help="default: ddim; dpm++ needs fewer steps")
    p.add_argument("--eta", type=float, default=0.0, help="fresh noise in DDIM's steps, 0 (none) to 1 (as in DDPM)")
    p.add_argument("--spacing", choices=SPACINGS, default="uniform", help="spacing of the timesteps (default: uniform)")
    within = "guide only at timesteps LOW to HIGH, w = 1 elsewhere"
    p.add_argument("--interval", type=int, nargs=2, metavar=("LOW", "HIGH"), help=within)
    p.add_argument("--rescale", type=float, default=0.0, help="how far to restore the unguided contrast, 0 to 1")
    p.add_argument("--lam", type=float, help="CFG++ with this scale, 0 to 1, instead of w")
    p.add_argument("--no-clip", action="store_true", help="do not clamp predicted images to [-1, 1]")
    p.add_argument("--batch-size", type=positive, default=256, help="images at once; limits memory (default: 256)")
    if weak:
        p.add_argument("--weak", type=Path, metavar="CHECKPOINT", help="autoguidance with this earlier snapshot")


def register(sub: argparse._SubParsersAction) -> None:
    p = command(sub, "sample", sample, out="build/samples.png", writes=outputs.picture)
    p.add_argument("--classes", nargs="+", metavar="NAME", help="default: all")
    p.add_argument("--n", type=beside, default=10, help="images per class")
    p.add_argument("--w", type=scale, default=4.0, help="guidance scale: 0 unconditional, 1 conditional, >1 guided")
    p.add_argument("--raw", action="store_true", help="raw weights instead of their moving average")
    p.add_argument("--trajectory", type=beside, metavar="N", help="also a second picture: N steps from noise to image")
    sampling_options(p, steps=50, weak=True)

    p = command(sub, "sweep", sweep, out="build/sweep")
    p.add_argument("--w", type=scale, nargs="+", default=[1, 1.25, 1.5, 2, 4, 6, 8, 10], help="guidance scales")
    p.add_argument("--n", type=positive, default=500, help="images per scale")
    json_option(p)
    p.add_argument("--classifier", type=Path, help="to measure adherence; default: a shipped one with the same classes")
    sampling_options(p, steps=20, weak=True)

    p = command(sub, "interpolate", interpolate, out="build/interpolate")
    p.add_argument("--pair", nargs=2, action="append", required=True, metavar=("FROM", "TO"))
    p.add_argument("--n", type=beside, default=11, help="images per row")
    p.add_argument("--w", type=scale, default=2.0, help="guidance scale (default: 2)")
    p.add_argument("--mode", choices=PATHS, default="linear", help="path between class embeddings (default: linear)")
    p.add_argument("--vary", choices=VARY, default="class", help="what changes along the row (default: class)")
    sampling_options(p, steps=50)

    p = command(sub, "demo", all_pictures, out="build/demo", device=False)
    p.add_argument("--train", action="store_true", help="train even if the shipped checkpoint matches the code")
