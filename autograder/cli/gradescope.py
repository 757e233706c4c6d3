"""autograder package-gradescope"""

import argparse
from collections.abc import Callable
from pathlib import Path


def run(a: argparse.Namespace) -> None:
    from autograder.adapters import gradescope

    out = a.out or Path(f"build/gradescope_{a.assignment}.zip")
    print(gradescope.package(a.assignment, out, a.course, tuple(a.notebook), not a.unsandboxed))


def register(
    command: Callable[..., argparse.ArgumentParser], course: Callable[[argparse.ArgumentParser], None]
) -> None:
    p = command(
        *(
            "package-gradescope",
            run,
            "Make the zip that Gradescope's autograder takes: set-up, grader, data, solutions.",
        ),
        "autograder package-gradescope 5_2_guidance --out build/guidance.zip",
    )
    p.add_argument("assignment")
    p.add_argument("--out", type=Path, help="default: build/gradescope_ASSIGNMENT.zip")
    p.add_argument("--notebook", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    p.add_argument("--unsandboxed", action="store_true", help="for images without bubblewrap; every record says so")
    course(p)
