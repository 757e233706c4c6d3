"""The command `autograder`: its parser, grouped by task; most commands' arguments are in their own modules."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from autograder.cli import challenge, collect, export, package, post, release
from autograder.sandbox import scratch  # torch is imported later, when `main` can catch a Ctrl-C
from ddpm_tools import outputs
from ddpm_tools.cli.arguments import json_option, positive
from ddpm_tools.cli.terminal import Command, Parser, Root, parse
from ddpm_tools.outputs import json_text


def private_folder(path: Path) -> Path:
    """A folder for output; if it must be created, only its owner can read it."""
    from autograder.grading import private

    outputs.made(outputs.folder(path).parent)
    return private.folder(path)


def cmd_grade(a: argparse.Namespace) -> None:
    from autograder.cli import grade

    if (a.course / "solutions").is_dir():
        from autograder.adapters import database  # nbgrader: not needed by students

        a.gradebook = database.in_folder(a.out, a.course, a.gradebook)
        database.check(a.gradebook)  # before hours of grading, not after
    private_folder(a.out)
    grade.grade_folder(a)


def cmd_status(a: argparse.Namespace) -> None:
    from autograder.grading import progress

    print(json_text(progress.state(a.out), indent=1) if a.json else progress.describe(a.out))


def cmd_check(a: argparse.Namespace) -> None:
    from autograder.cli import grade

    passed = grade.check_notebook(a.notebook, gate=not a.no_gate, seed=a.seed, as_json=a.json)
    raise SystemExit(0 if passed else 1)


def cmd_calibrate(a: argparse.Namespace) -> None:
    from autograder.authoring.calibrate import calibrate  # reference answers: not in the students' bundle
    from autograder.exercises import EXERCISES
    from autograder.grading.grader import band_file

    exercise = next((e for e in EXERCISES.values() if e.name == a.exercise and e.gate_cell), None)
    if exercise is None:
        known = ", ".join(e.name for e in EXERCISES.values() if e.gate_cell)
        raise ValueError(f"unknown gated exercise '{a.exercise}'; known: {known}")
    calibrate(exercise, a.out or Path("data/gates", band_file(exercise, a.one_look).name), a.reruns, a.one_look)


def cmd_demo(a: argparse.Namespace) -> None:
    from autograder.demo import run  # sample submissions: not in the students' bundle

    run(outputs.made(a.out), a.seed, a.train, a.course)


def cmd_similarity(a: argparse.Namespace) -> None:
    from autograder.adapters import similarity

    print(similarity.report(a.submitted, private_folder(a.out), a.assignment, a.course, a.threshold, a.json))


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {value}")
    return value


# By task, in the order of a term.
TASKS = {
    "For students": ("check", "challenge"),
    "Release": ("release", "package"),
    "Collect": ("collect", "roster"),
    "Grade": ("grade", "status", "similarity"),
    "Give back": ("export", "post", "return"),
    "Author": ("new-exercise", "calibrate"),
    "Try": ("demo",),
}
TASK = {name: task for task, names in TASKS.items() for name in names}


# Packages of the extra `grader`, which a student's installation does not have, and of the extra `lti`.
GRADERS = ("nbgrader", "nbformat", "sqlalchemy", "psycopg", "dask", "distributed", "copydetect")
LTI = ("pylti1p3",)
RESUMES = ("calibrate", "demo", "grade", "post")  # the others begin again


def parser() -> Root:
    root = Root([], prog="autograder", description="From submitted notebooks to grades.")
    sub = root.add_subparsers(dest="command", metavar="COMMAND", prog="autograder", parser_class=Parser)

    def command(name: str, run: Callable, about: str, example: str, course: bool = True) -> argparse.ArgumentParser:
        epilog = f"example: autograder {name} {example}"
        root.commands.append(Command(name, TASK[name], about, example, ""))
        p = sub.add_parser(name, help=about, description=about, epilog=epilog)
        p.set_defaults(run=run)
        if course:
            p.add_argument("--course", type=Path, default=Path("."), help=(
                "the folder with solutions/ (default: the current one, else the one installed with the grader)"
            ))  # fmt: skip
        return p

    once = {"action": "append", "default": [], "metavar": "NAME", "help": "only this one (may be repeated)"}
    about = "Grade SUBMITTED/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb. A killed run can be resumed."
    p = command("grade", cmd_grade, about, "submitted --out build/grades --assignment 5_3_conditioning --jobs 2")
    p.add_argument("submitted", type=Path)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--assignment", help="default: all")
    p.add_argument("--student", **once)
    p.add_argument("--notebook", **once)
    p.add_argument(
        "--regrade",
        action="store_true",
        help=("grade again what already has a record; the old one stays until there is a new one"),
    )
    p.add_argument("--times", type=Path, metavar="FILE", help=(
        "submission times (student, assignment, submitted_at, attempt); default: times.csv beside SUBMITTED, if it "
        "exists"
    ))  # fmt: skip
    p.add_argument(
        "--jobs", type=positive, default=max(1, (os.cpu_count() or 2) // 2), help=("submissions graded in parallel")
    )
    p.add_argument(
        "--scheduler", metavar="ADDRESS", help=("grade on this Dask cluster (tcp://HOST:8786) instead of here")
    )
    p.add_argument("--seed", type=int, help="seed of the inputs; default: drawn once and kept in OUT/run.json")
    p.add_argument("--gradebook", help="database URL of nbgrader's gradebook, such as "
                   "postgresql+psycopg://me@host/grades; default: nbgrader_config.py's db_url, else OUT/gradebook.db",
    )  # fmt: skip
    p.add_argument(
        "--unsandboxed", action="store_true", help=("run student code without a sandbox; every record says so")
    )
    json_option(p)

    about = "Show the progress of a batch from another terminal: done, running, left."
    p = command("status", cmd_status, about, "--out build/grades", course=False)
    p.add_argument("--out", type=Path, default=Path("build/grades"), help="the folder that `autograder grade` fills")
    json_option(p)

    about = "Run the checks on your own notebook, on your own machine. These are not grades of record."
    p = command("check", cmd_check, about, "exercises/5_3_conditioning/conditioner.ipynb", course=False)
    p.add_argument("notebook", type=Path)
    p.add_argument("--no-gate", action="store_true", help="skip the brief training")
    p.add_argument("--seed", type=int, help="seed of the inputs; default: a new one every time")
    json_option(p)

    release.register(command)
    package.register(command)
    challenge.register(command)
    collect.register(command)
    export.register(command)
    post.register(command)

    about = "Find answers in SUBMITTED that were copied, renamed or reordered. Runs no student code."
    p = command("similarity", cmd_similarity, about, "submitted --assignment 5_3_conditioning --out build/similarity")
    p.add_argument("submitted", type=Path)
    p.add_argument("--assignment", help="default: all")
    p.add_argument("--out", type=Path, default=Path("build/similarity"))
    p.add_argument("--threshold", type=share, default=0.8, help="share of both answers that must match (default: 0.8)")
    json_option(p)

    if find_spec("autograder.authoring"):  # not in the students' bundle
        from autograder.authoring import new_exercise

        new_exercise.register(command)

    about = "Rerun the reference designs and controls, and write a gate's limits."
    p = command("calibrate", cmd_calibrate, about, "conditioner --reruns 8", course=False)
    p.add_argument("exercise")
    p.add_argument("--reruns", type=positive, default=8)
    p.add_argument("--one-look", action="store_true", help="for the run used by the challenge tracks")
    p.add_argument("--out", type=Path)

    p = command("demo", cmd_demo, "All pictures, and a graded batch of sample submissions.", "--out build/demo")
    p.add_argument("--out", type=Path, default=Path("build/demo"))
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--train", action="store_true", help="train the model even if the shipped one matches")
    root.commands.sort(key=lambda c: list(TASK).index(c.name))
    return root


def course_of(given: Path) -> Path:
    """The course's folder; if none is given and this is not one, the folder installed with the wheel."""
    from ddpm_core.config import COURSE, PACKAGES

    return COURSE if given == Path(".") and COURSE != PACKAGES and not (given / "solutions").is_dir() else given


def sentence_of(error: Exception) -> str:
    """What went wrong; system errors without their numbers, with a remedy."""
    package = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in (*GRADERS, *LTI):
        extra = "grader" if package in GRADERS else "lti"
        return f"this needs {package}, a package of the extra `{extra}`: run `pip install {package}`"
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("autograder."):
        return "this command is for instructors: it needs the whole course, not the students' bundle"
    if isinstance(error, OSError) and error.filename and error.strerror:
        path = error.filename2 or error.filename  # for a rename, the new name
        return f"{os.fspath(path)} cannot be used ({error.strerror}); choose another path, or check its permissions"
    return str(error)


def main(argv: Sequence[str] | None = None) -> None:
    a = parse(argv, lambda command: parser())
    try:
        if a is not None:
            if "course" in a:
                a.course = course_of(a.course)
            a.run(a)
    except (ValueError, OSError, ImportError) as e:
        print(f"autograder {a.command}: {sentence_of(e)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as e:
        again = "to continue where it stopped" if a.command in RESUMES else "again"
        told = str(e) or f"interrupted; run the same command {again}"
        print(f"\nautograder {a.command}: {told}", file=sys.stderr)
        sys.stderr.flush()
        scratch.clear()
        os._exit(130)  # threads may still wait for children, which end with this process
