"""The command `ddpm`: train, sample, sweep, interpolate, demo, and the course classifier."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ddpm_core import checkpoint, demo, plots
from ddpm_core.config import DATA_DIR, PRESETS, preset
from ddpm_core.interpolation import MODES
from ddpm_core.runs import class_index, shortened, train_run

CHECKPOINT = DATA_DIR / "checkpoints/digits"
CLASSIFIER = DATA_DIR / "classifiers/digits"


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def scale(text: str) -> float:
    value = float(text)
    if not -100 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be a number of moderate size, got {text}")
    return value


def device_of(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("no GPU is available here; leave --device out, or say --device cpu")
    return name


def cmd_train(a: argparse.Namespace) -> None:
    config = shortened(preset(a.preset), a.steps, a.seed)
    changes = {"data": a.data, "conditioning": a.conditioner, "parameterization": a.parameterization}
    config = replace(config, **{k: v for k, v in changes.items() if v})
    try:
        path = train_run(config, a.out, device_of(a.device), previews=a.previews)
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on where {a.out} stopped", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"wrote {path}.safetensors and {path}.json")


def cmd_sample(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    classes = demo.classes_of(loaded)
    names = a.classes or classes
    y = torch.tensor([class_index(c, classes) for c in names]).repeat_interleave(a.n)
    images = demo.draw(loaded, y, a.w, a.steps, a.seed, raw=a.raw, progress=True)
    print(plots.save(plots.class_grid(images, names, f"w = {a.w:g}, {a.steps} steps, seed {a.seed}"), a.out))


def cmd_sweep(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    for path in demo.sweep(loaded, a.out, a.w, a.n, a.steps, a.seed, a.classifier, progress=True):
        print(path)


def cmd_interpolate(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint, device_of(a.device))
    pairs = [tuple(p) for p in a.pair]
    for path in demo.interpolate(loaded, a.out, pairs, a.n, a.w, a.steps, a.seed, a.mode, progress=True):
        print(path)


def cmd_demo(a: argparse.Namespace) -> None:
    print(demo.run(a.out, a.checkpoint, a.seed, retrain=a.train))


def cmd_classifier(a: argparse.Namespace) -> None:
    from ddpm_core.metrics.classifier import fit_and_save

    print(f"held-out accuracy {fit_and_save(a.data, a.out, a.seed, a.steps):.4f}; wrote {a.out}")


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="ddpm", description=__doc__)
    sub = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run, about: str, example: str, *, checkpoint: bool = True, out: str
    ) -> argparse.ArgumentParser:
        p = sub.add_parser(name, help=about, description=about, epilog=f"example: {example}")
        p.set_defaults(run=run)
        if checkpoint:
            p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
        p.add_argument("--out", type=Path, default=Path(out), help=f"default: {out}")
        p.add_argument("--seed", type=int, default=None if name == "train" else 0)
        p.add_argument("--device", default="auto", help="auto, cpu or cuda")
        return p

    p = command(
        "train", cmd_train, "Train a preset; an interrupted run goes on where it stopped.",
        "ddpm train --preset digits --conditioner adagn --out build/runs/adagn",
        checkpoint=False, out="build/runs/digits",
    )  # fmt: skip
    p.add_argument("--preset", default="digits", help=f"one of {', '.join(PRESETS)}")
    p.add_argument("--data", help="another data set: a name, or the path of a data set zip")
    p.add_argument("--conditioner", help="how the class enters the network (see ddpm_core/conditioning.py)")
    p.add_argument("--parameterization", choices=["epsilon", "v", "x0", "blend"], help="what the network predicts")
    p.add_argument("--steps", type=positive, help="default: the preset's")
    p.add_argument("--previews", type=Path, help="a folder for sample grids during training")

    p = command("sample", cmd_sample, "Draw a grid of samples, one row a class.",
                "ddpm sample --classes 3 8 --w 4 --n 10 --out build/three.png", out="build/samples.png")  # fmt: skip
    p.add_argument("--classes", nargs="+", metavar="NAME", help="default: all")
    p.add_argument("--n", type=positive, default=10, help="images a class")
    p.add_argument("--w", type=scale, default=4.0, help="guidance scale: 0 unconditional, 1 conditional, >1 guided")
    p.add_argument("--steps", type=positive, default=50)
    p.add_argument("--raw", action="store_true", help="raw weights in place of their moving average")

    p = command("sweep", cmd_sweep, "Sweep the guidance scale: images, plot and figures with error bars.",
                "ddpm sweep --w 1 2 4 --n 500 --out build/sweep", out="build/sweep")  # fmt: skip
    p.add_argument("--w", type=scale, nargs="+", default=[1, 2, 4, 6, 8, 10])
    p.add_argument("--n", type=positive, default=500, help="images a scale")
    p.add_argument("--steps", type=positive, default=20)
    p.add_argument("--classifier", type=Path, default=CLASSIFIER, help="its accuracy is adherence")

    p = command("interpolate", cmd_interpolate, "Walk from one class to another, from one noise.",
                "ddpm interpolate --pair 3 8 --pair 1 7 --out build/walk", out="build/interpolate")  # fmt: skip
    p.add_argument("--pair", nargs=2, action="append", required=True, metavar=("FROM", "TO"))
    p.add_argument("--n", type=positive, default=11, help="images a row")
    p.add_argument("--w", type=scale, default=3.0)
    p.add_argument("--steps", type=positive, default=50)
    p.add_argument("--mode", choices=MODES, default="spherical")

    p = command(
        "demo", cmd_demo, "All pictures of the course's model on one page.", "ddpm demo --train", out="build/demo"
    )
    p.add_argument("--train", action="store_true", help="train even where the shipped checkpoint matches the code")

    p = command("classifier", cmd_classifier, "Train a classifier that measures adherence and features.",
                "ddpm classifier --data digits --seed 7 --out build/classifier",
                checkpoint=False, out="build/classifier")  # fmt: skip
    p.add_argument("--data", default="digits")
    p.add_argument("--steps", type=positive, default=1500)
    return root


def main(argv: Sequence[str] | None = None) -> None:
    a = parser().parse_args(argv)
    try:
        a.run(a)
    except (ValueError, FloatingPointError, OSError, json.JSONDecodeError) as e:
        print(f"ddpm {a.command}: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"\nddpm {a.command}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
