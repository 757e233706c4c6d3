"""What every command shares: argument types, where things lie by default, and the frame of a sub-command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from ddpm_core.config import DATA_DIR

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
    """The device that `--device` names; ValueError where there is no such one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise ValueError(f"unknown device '{name}'; known: auto, cpu, cuda, mps")
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.mps.is_available()):
        raise ValueError("no such GPU is available here; leave --device out, or say --device cpu")
    return name


def command(
    sub: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], None],
    about: str,
    example: str,
    *,
    out: str,
    checkpoint: bool = True,
) -> argparse.ArgumentParser:
    """A sub-command with the options that all of them have, and an example in its help."""
    p = sub.add_parser(name, help=about, description=about, epilog=f"example: {example}")
    p.set_defaults(run=run)
    if checkpoint:
        p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=Path, default=Path(out), help=f"default: {out}")
    p.add_argument("--seed", type=int, default=None if name == "train" else 0)
    p.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return p
