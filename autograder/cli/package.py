"""autograder package"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

FORMATS = {  # the default of --out
    "gradescope": "build/gradescope_{0}.zip",
    "prairielearn": "build/prairielearn",
    "otter": "build/otter_{0}.zip",
    "github": "build/github_{0}.yml",
}


def run(a: argparse.Namespace) -> None:
    adapter = import_module(f"autograder.adapters.{a.format}")
    out, names = a.out or Path(FORMATS[a.format].format(a.assignment)), tuple(a.notebook)
    more = {"image": a.image} if a.format == "prairielearn" and a.image else {}
    print(adapter.package(a.assignment, out, a.course, names, not a.unsandboxed, **more))
    print(adapter.advice(a.assignment, a.course, names))


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Pack an assignment and its grader for Gradescope, PrairieLearn or Otter, or write GitHub's workflow."
    p = command("package", run, about, "5_2_guidance --format gradescope --out build/guidance.zip")
    p.add_argument("assignment")
    p.add_argument("--format", choices=FORMATS, required=True)
    p.add_argument("--out", type=Path, help="default: build/FORMAT_ASSIGNMENT.zip or .yml, or build/prairielearn")
    p.add_argument("--notebook", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    p.add_argument("--unsandboxed", action="store_true", help="for images without bubblewrap; every record says so")
    p.add_argument("--image", help="image of PrairieLearn's questions (default: ddpm-grader)")
