"""autograder release"""

import argparse
from collections.abc import Callable
from pathlib import Path

from ddpm_tools.cli.arguments import positive


def run(a: argparse.Namespace) -> None:
    from autograder.release import bundle

    if a.variants is None:
        if a.roster or a.seed is not None:
            raise ValueError("--roster and --seed go with --variants N: without it, all students get the same numbers")
        print(bundle.make(a.out, a.course))
        return
    from autograder.adapters import classlist
    from autograder.intake.variants import FILE
    from autograder.release import variants

    people = [p.id for p in classlist.read(a.roster, a.key)] if a.roster else []
    record = a.submitted.resolve().parent / FILE
    made = variants.release(a.out, a.course, a.variants, record, people, a.seed)
    print(f"{a.out}: the bundle for all students, without exercises/")
    whose = f"one zip for each of {len(people)} students" if people else f"one zip for each of {a.variants} variants"
    print(f"{made / 'students'}: {whose}, to unpack inside the bundle")
    print(f"{made / 'answers'}: the solutions with each variant's numbers, for the markers")
    print(f"{record}: who has which variant; keep it beside {a.submitted}/, where `autograder grade` looks for it")


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Make the students' bundle: lessons, exercises, library, checks; no solutions."
    p = command("release", run, about, "--out build/students --variants 40 --roster roster.csv")
    p.add_argument("--out", type=Path, default=Path("build/students"))
    p.add_argument("--variants", type=positive, metavar="N", help=(
        "make N variants with different numbers in the exercises, and give each student one of them"
    ))  # fmt: skip
    p.add_argument("--roster", type=Path, help="CSV of the class, as for `collect`; default: one zip per variant")
    p.add_argument("--key", metavar="COLUMN", help="the roster's column that names students' folders")
    p.add_argument("--seed", type=int, help="seed of the variants; default: drawn once and kept in variants.json")
    p.add_argument(
        "--submitted", type=Path, default=Path("submitted"), help=("variants.json is written beside this folder")
    )
