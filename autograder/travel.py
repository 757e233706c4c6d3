"""Decides which files go where (to students, into the sandboxed kernel, to other graders) and which affect a grade.

All of it follows from folders and imports, so a new file is placed automatically:

* students get what they can use, so no folder that holds answers or builds the course, and no module that cannot be
  imported without one of these or nbgrader;
* the kernel in which notebooks run sees the libraries and the data of the students' bundle;
* another grader's machine gets what grading there imports;
* a grade depends on what judging a notebook imports: no report, no adapter and no command.

What an answer's child sees is staged by `autograder/sandbox/staging.py`, for each exercise.
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
# Known answers, and what builds the course. The judge of record is kept back so that nobody can train on it.
PRIVATE = ("autograder/authoring", "autograder/release", "autograder/samples", "data/judges", "data/evidence")
PRIVATE_TEXTS = ("mutants.txt", "references.txt", "rubric.txt")  # in an exercise's folder
INSTRUCTORS = ("nbgrader", "jupyter_client")  # a module that needs one of these is of no use to a student
DATA = ("data/gates", "data/judges", "data/classifiers")  # what grading reads
JUNK = shutil.ignore_patterns(
    *("__pycache__", ".ipynb_checkpoints", "*.tmp", "*.egg-info", ".venv", ".DS_Store", ".*_hints.json")
)


def files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, in order, except what Python, Jupyter and others leave behind."""
    for place, folders, names in os.walk(folder):
        junk = JUNK(place, [*folders, *names])
        folders[:] = sorted(set(folders) - junk)
        yield from (Path(place) / name for name in sorted(set(names) - junk))


def place(name: str, course: Path) -> Path:
    """Return where `data/gates` and the like lie: in an installed course not beside its packages, but in COURSE."""
    return (COURSE if course == ROOT and name.partition("/")[0] not in PACKAGES else course) / name


def name_of(file: Path, course: Path) -> str:
    """Return a file's name in the course, such as `data/gates/ema.json`: the inverse of `place`."""
    return file.relative_to(COURSE if course == ROOT and file.is_relative_to(COURSE) else course).as_posix()


def is_private(file: Path, course: Path) -> bool:
    """Whether a file holds answers or builds the course."""
    return file.name in PRIVATE_TEXTS or any(file.is_relative_to(place(folder, course)) for folder in PRIVATE)


def of_no_use(course: Path) -> set[Path]:
    """Return the modules of `autograder` that are private or cannot be imported without nbgrader or a private one."""
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
    """Return the files for students: lessons, exercises, the libraries, the checks and the data."""
    left_out = of_no_use(course)
    every = (file for folder in STUDENTS for file in files(course / folder))
    return [file for file in every if file not in left_out and not is_private(file, course)]


def to_kernel(course: Path = ROOT) -> list[Path]:
    """Return the files that notebooks import and read."""
    return [f for folder in (*LIBRARIES, "data") for f in files(place(folder, course)) if not is_private(f, course)]


def to_grader(course: Path, assignment: str, adapter: str) -> list[Path]:
    """Return the files that grade an assignment elsewhere: code, data, and the solutions on which answers build.

    `adapter` is the module that is started there.
    """
    code = reached([*judging_modules(course), adapter], course)
    more = (f for folder in (*DATA, f"solutions/{assignment}") for f in files(course / folder))
    return sorted(code) + [f for f in more if not f.name.startswith(".")]


def judging_modules(course: Path) -> list[str]:
    """Return the modules where judging a notebook begins: here, in the child, and those that are loaded by name."""
    found = (f for folder in ("exercises", "child") for f in files(course / "autograder" / folder) if f.suffix == ".py")
    return ["autograder.grading.judging", *(module_of(f, course) for f in found)]


def decisive(course: Path = ROOT) -> list[Path]:
    """Return every file whose change may change a grade: code, the gates' limits, and the supplied solutions.

    The judge of record and the version of torch are among a record's settings (grading/provenance.py).
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
