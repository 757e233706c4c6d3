"""autograder new-exercise"""

from __future__ import annotations

import argparse
from collections.abc import Callable


def run(a: argparse.Namespace) -> None:
    from autograder.authoring import new_exercise  # not in the students' bundle

    folder, notebook = new_exercise.create(a.name, a.assignment, a.course)
    print(f"{folder}\n{notebook}\nnow edit both, then run: python -m autograder.release.generate {a.course}")


def register(
    command: Callable[..., argparse.ArgumentParser], course: Callable[[argparse.ArgumentParser], None]
) -> None:
    p = command(
        *("new-exercise", run, "Begin an exercise: a folder with checks and known answers, and a solution notebook."),
        "autograder new-exercise signal_to_noise --assignment 5_1_unconditional",
    )
    p.add_argument("name", help="of the folder, the notebook and the answer: a Python identifier")
    p.add_argument("--assignment", required=True)
    course(p)
