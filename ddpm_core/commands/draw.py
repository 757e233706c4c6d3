"""`ddpm sample`, `sweep`, `interpolate` and `demo`: pictures from a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ddpm_core import checkpoint, demo, plots
from ddpm_core.commands.base import CLASSIFIER, command, device_of, positive, scale
from ddpm_core.interpolation import MODES
from ddpm_core.runs import class_index


def sample(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    classes = demo.classes_of(loaded)
    names = a.classes or classes
    y = torch.tensor([class_index(c, classes) for c in names]).repeat_interleave(a.n)
    images = demo.draw(loaded, y, a.w, a.steps, a.seed, raw=a.raw, progress=True)
    print(plots.save(plots.class_grid(images, names, f"w = {a.w:g}, {a.steps} steps, seed {a.seed}"), a.out))


def sweep(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    for path in demo.sweep(loaded, a.out, a.w, a.n, a.steps, a.seed, a.classifier, progress=True):
        print(path)


def interpolate(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    pairs = [tuple(p) for p in a.pair]
    for path in demo.interpolate(loaded, a.out, pairs, a.n, a.w, a.steps, a.seed, a.mode, progress=True):
        print(path)


def all_pictures(a: argparse.Namespace) -> None:
    print(demo.run(a.out, a.checkpoint, a.seed, retrain=a.train))


def register(sub: argparse._SubParsersAction) -> None:
    p = command(sub, "sample", sample, "Draw a grid of samples, one row a class.",
                "ddpm sample --classes 3 8 --w 4 --n 10 --out build/three.png", out="build/samples.png")  # fmt: skip
    p.add_argument("--classes", nargs="+", metavar="NAME", help="default: all")
    p.add_argument("--n", type=positive, default=10, help="images a class")
    p.add_argument("--w", type=scale, default=4.0, help="guidance scale: 0 unconditional, 1 conditional, >1 guided")
    p.add_argument("--steps", type=positive, default=50)
    p.add_argument("--raw", action="store_true", help="raw weights in place of their moving average")

    p = command(sub, "sweep", sweep, "Sweep the guidance scale: images, plot and figures with error bars.",
                "ddpm sweep --w 1 2 4 --n 500 --out build/sweep", out="build/sweep")  # fmt: skip
    p.add_argument("--w", type=scale, nargs="+", default=[1, 2, 4, 6, 8, 10])
    p.add_argument("--n", type=positive, default=500, help="images a scale")
    p.add_argument("--steps", type=positive, default=20)
    p.add_argument("--classifier", type=Path, default=CLASSIFIER, help="its accuracy is adherence")

    p = command(sub, "interpolate", interpolate, "Walk from one class to another, from one noise.",
                "ddpm interpolate --pair 3 8 --pair 1 7 --out build/walk", out="build/interpolate")  # fmt: skip
    p.add_argument("--pair", nargs=2, action="append", required=True, metavar=("FROM", "TO"))
    p.add_argument("--n", type=positive, default=11, help="images a row")
    p.add_argument("--w", type=scale, default=3.0)
    p.add_argument("--steps", type=positive, default=50)
    p.add_argument("--mode", choices=MODES, default="spherical")

    p = command(
        sub, "demo", all_pictures, "All pictures of the course's model on one page.", "ddpm demo --train",
        out="build/demo",
    )  # fmt: skip
    p.add_argument("--train", action="store_true", help="train even where the shipped checkpoint matches the code")
