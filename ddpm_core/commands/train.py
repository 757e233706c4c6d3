"""`ddpm train` and `ddpm classifier`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ddpm_core.commands.base import command, device_of, positive
from ddpm_core.config import PRESETS, preset
from ddpm_core.runs import shortened, train_run


def train(a: argparse.Namespace) -> None:
    config = shortened(preset(a.preset), a.steps, a.seed)
    changes = {"data": a.data, "conditioning": a.conditioner, "parameterization": a.parameterization}
    config = replace(config, **{k: v for k, v in changes.items() if v})
    try:
        path = train_run(config, a.out, device_of(a.device), previews=a.previews)
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on where {a.out} stopped", file=sys.stderr)
        raise SystemExit(130) from None
    print(f"wrote {path}.safetensors and {path}.json")


def classifier(a: argparse.Namespace) -> None:
    from ddpm_core.metrics.classifier import fit_and_save

    print(f"held-out accuracy {fit_and_save(a.data, a.out, a.seed, a.steps):.4f}; wrote {a.out}")


def register(sub: argparse._SubParsersAction) -> None:
    p = command(
        sub, "train", train, "Train a preset; an interrupted run goes on where it stopped.",
        "ddpm train --preset digits --conditioner adagn --out build/runs/adagn",
        checkpoint=False, out="build/runs/digits",
    )  # fmt: skip
    p.add_argument("--preset", default="digits", help=f"one of {', '.join(PRESETS)}")
    p.add_argument("--data", help="another data set: a name, or the path of a data set zip")
    p.add_argument("--conditioner", help="how the class enters the network (see ddpm_core/conditioning.py)")
    p.add_argument("--parameterization", choices=["epsilon", "v", "x0", "blend"], help="what the network predicts")
    p.add_argument("--steps", type=positive, help="default: the preset's")
    p.add_argument("--previews", type=Path, help="a folder for sample grids during training")

    p = command(
        sub, "classifier", classifier, "Train a classifier that measures adherence and features.",
        "ddpm classifier --data digits --seed 7 --out build/classifier",
        checkpoint=False, out="build/classifier",
    )  # fmt: skip
    p.add_argument("--data", default="digits")
    p.add_argument("--steps", type=positive, default=1500)
