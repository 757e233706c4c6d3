"""autograder similarity"""

import argparse
from collections.abc import Callable
from pathlib import Path

from ddpm_tools import outputs


def run(a: argparse.Namespace) -> None:
    from autograder.adapters import similarity

    print(similarity.report(a.submitted, outputs.made(a.out), a.assignment, a.course, a.threshold))


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {value}")
    return value


def register(
    command: Callable[..., argparse.ArgumentParser], course: Callable[[argparse.ArgumentParser], None]
) -> None:
    p = command(
        *("similarity", run, "Find answers of SUBMITTED that were copied, renamed or reordered. Runs none of them."),
        "autograder similarity submitted --assignment 5_3_conditioning --out build/similarity",
    )
    p.add_argument("submitted", type=Path)
    p.add_argument("--assignment", help="default: all")
    p.add_argument("--out", type=Path, default=Path("build/similarity"))
    p.add_argument("--threshold", type=share, default=0.8, help="share of both answers that must match (default: 0.8)")
    course(p)
