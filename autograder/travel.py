"""Which files go where: to students, into the sandboxed kernel, to other graders; and what a grade depends on.

It all follows from folders and imports, so a new file needs no entry here:

* students get what they can use: no folder with answers or for building the course, and no module that cannot be
  imported without one of these or nbgrader;
* the kernel in which notebooks run sees the libraries and the data of the students' bundle;
* another grader's machine gets what grading imports there;
* a grade depends on what judging a notebook imports: no report, no adapter and no command.

What an answer's child sees is staged by `autograder/sandbox/staging.py`, exercise by exercise.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from autograder import exercises
from autograder.imports import PACKAGES, ROOT, module_of, named, reached
from ddpm_core.config import COURSE

LIBRARIES = ("ddpm_core", "ddpm_tools")
STUDENTS = ("lessons", "exercises", *LIBRARIES, "autograder", "data")
# Known answers, and code for building the course; nobody should train on the judge of record.
PRIVATE = ("autograder/authoring", "autograder/release", "autograder/samples", "data/judges")
PRIVATE_TEXTS = ("mutants.txt", "references.txt", "rubric.txt")  # of an exercise
INSTRUCTORS = (
    "nbgrader",
    "jupyter_client",
)  # students lack these packages, so modules that need them are useless to them
DATA = ("data/gates", "data/judges", "data/classifiers")  # what grading reads
JUNK = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.tmp", "*.egg-info", ".DS_Store", ".*_hints.json")


def files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in order, without the leftovers of Python, Jupyter and others."""
    for place, folders, names in os.walk(folder):
        junk = JUNK(place, [*folders, *names])
        folders[:] = sorted(set(folders) - junk)
        yield from (Path(place) / name for name in sorted(set(names) - junk))


def place(name: str, course: Path) -> Path:
    """Where `data/gates` and the like are; in an installed course in a folder of their own, not beside the packages."""
    return (COURSE if course == ROOT and name.partition("/")[0] not in PACKAGES else course) / name


def name_of(file: Path, course: Path) -> str:
    """The inverse: `data/gates/ema.json`, wherever the file is."""
    return file.relative_to(COURSE if course == ROOT and file.is_relative_to(COURSE) else course).as_posix()


def is_private(file: Path, course: Path) -> bool:
    """Whether a file has answers or is for building the course."""
    return file.name in PRIVATE_TEXTS or any(file.is_relative_to(place(folder, course)) for folder in PRIVATE)


def of_no_use(course: Path) -> set[Path]:
    """Modules of `autograder` that cannot be imported without nbgrader, or without a private module."""
    modules = {file: named(file, lazily=False) for file in files(course / "autograder") if file.suffix == ".py"}
    left_out = {file for file in modules if is_private(file, course)}
    before = -1
    while len(left_out) > before:
        before = len(left_out)
        gone = {module_of(file, course) for file in left_out}
        for file, names in modules.items():
            if not gone.isdisjoint(names) or any(name.split(".")[0] in INSTRUCTORS for name in names):
                left_out.add(file)
    return left_out


def to_students(course: Path) -> list[Path]:
    """Lessons, exercises, the libraries, the checks and the data."""
    left_out = of_no_use(course)
    every = (file for folder in STUDENTS for file in files(course / folder))
    return [file for file in every if file not in left_out and not is_private(file, course)]


def to_kernel(course: Path = ROOT) -> list[Path]:
    """What notebooks import and read."""
    return [f for folder in (*LIBRARIES, "data") for f in files(place(folder, course)) if not is_private(f, course)]


def to_grader(course: Path, assignment: str, adapter: str) -> list[Path]:
    """What grading an assignment elsewhere needs: code, data, and solutions for the cells that answers build on.

    `adapter` is the module started there.
    """
    code = reached([*judging_modules(course), adapter], course)
    more = (f for folder in (*DATA, f"solutions/{assignment}") for f in files(course / folder))
    return sorted(code) + [f for f in more if not f.name.startswith(".")]


def judging_modules(course: Path) -> list[str]:
    """The modules where judging a notebook starts: here, in the child, and those found by name."""
    found = (f for folder in ("exercises", "child") for f in files(course / "autograder" / folder) if f.suffix == ".py")
    return ["autograder.grading.judging", *(module_of(f, course) for f in found)]


def decisive(course: Path = ROOT) -> list[Path]:
    """Every file that can affect a grade: code, the gates' limits, and the supplied solutions.

    The judge of record and the version of torch are part of a record's settings (grading/provenance.py).
    """
    found = reached(judging_modules(course), course)
    for e in exercises.discovered().values():
        found |= {course / f"ddpm_core/{module}.py" for module in e.library}
        found |= set(place("data/gates", course).glob(f"{e.name}*.json")) if e.gate_cell else set()
        found |= {place(f"solutions/{e.assignment}/{e.name}.ipynb", course)} if e.needs else set()
    return sorted((file for file in found if file.is_file()), key=lambda file: name_of(file, course))


def copy(chosen: Iterable[Path], course: Path, out: Path) -> None:
    """Copy files of the course to the same places below `out`."""
    for file in chosen:
        to = out / name_of(file, course)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
