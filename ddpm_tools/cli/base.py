"""What every command shares: argument types, default paths, and the common options of a sub-command."""

import argparse
import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import torch

import ddpm_tools.unet2d  # noqa: F401 - checkpoints may name it
from ddpm_core.checkpoint import Loaded
from ddpm_core.config import DATA_DIR
from ddpm_tools import outputs
from ddpm_tools.cli.arguments import positive
from ddpm_tools.cli.commands import COMMANDS

CHECKPOINT = DATA_DIR / "checkpoints/digits"
CLASSIFIER = DATA_DIR / "classifiers/digits"
STRICT = "stop if a picture cannot be used, instead of reporting it and going on without it"
MAX_COLUMNS = 600  # matplotlib draws at most 65,536 pixels in a row, and an image takes about a hundred


def beside(text: str) -> int:
    """How many images stand side by side in one picture."""
    value = positive(text)
    if value > MAX_COLUMNS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_COLUMNS}, as many as fit into one picture, got {value}")
    return value


def number(text: str) -> float:
    """A number; nan is refused here, -inf and inf are left to the caller."""
    with contextlib.suppress(ValueError):
        if not math.isnan(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"must be a number, got '{text[:40]}'")


def scale(text: str) -> float:
    value = number(text)
    if not -100 <= value <= 100:
        raise argparse.ArgumentTypeError(f"must be a number of moderate size, got {text}")
    return value


def place(text: str) -> Path:
    """A path. An empty string is refused, since Path would read it as the working folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a place, got ''")
    return Path(text)


def distinct(values: Sequence[float], option: str) -> Sequence[float]:
    """The values; ValueError if one occurs twice: measuring it twice would look like more evidence."""
    if twice := [v for i, v in enumerate(values) if v in values[:i]]:
        raise ValueError(f"{option} names {twice[0]} more than once; give each value once")
    return values


def device_of(name: str) -> str:
    """The device named by `--device`; ValueError if there is none."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise ValueError(f"unknown device '{name}'; known: auto, cpu, cuda, mps")
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.mps.is_available()):
        raise ValueError("no such GPU is available here; omit --device, or use --device cpu")
    try:
        torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device '{name}'; a number may follow the kind, such as cuda:0") from None
    return name


def room_for(n: int, loaded: Loaded) -> None:
    """ValueError if n images of the model, plus one copy of them, do not fit into free memory."""
    u, free = loaded.preset.unet, psutil.virtual_memory().available
    need = 8 * n * u.image_channels * u.image_size**2
    if need > free:
        gigabytes = f"{need / 1e9:.3g} GB, and {free / 1e9:.3g} GB of memory is free"
        raise ValueError(f"--n {n} images need {gigabytes}; draw fewer")


def bare(
    sub: argparse._SubParsersAction, name: str, run: Callable[[argparse.Namespace], None], more: str = ""
) -> argparse.ArgumentParser:
    """A sub-command without options, with an example in its help."""
    listed = next(c for c in COMMANDS if c.name == name)
    example = f"example: ddpm {name} {listed.example}".strip()
    p = sub.add_parser(name, help=listed.about, description=f"{listed.about} {more}".strip(), epilog=example)
    p.set_defaults(run=run)
    return p


def command(
    sub: argparse._SubParsersAction, name: str, run: Callable[[argparse.Namespace], None], more: str = "",
    *, out: str, writes: Callable[[Path], Path] = outputs.folder, checkpoint: bool = True, device: bool = True,
) -> argparse.ArgumentParser:  # fmt: skip
    """A sub-command with the options that most share. `device` is false for commands that run only on the CPU. `writes`
    checks --out before any work, and raises ValueError if it cannot be written."""

    def looked_ahead(a: argparse.Namespace) -> None:
        if a.out is not None:
            writes(a.out)
        run(a)

    p = bare(sub, name, looked_ahead, more)
    if checkpoint:
        p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=place, default=Path(out), help=f"default: {out}")
    p.add_argument("--seed", type=int, default=None if name == "train" else 0, help="seed of all random numbers")
    if device:
        p.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    return p
