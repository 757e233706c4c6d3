"""The grader with everything one assignment needs, as files for a machine without the course.

Every package contains model solutions and the judging classifier: only the instructor and the other grader may see it.
"""

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autograder import travel
from autograder.adapters import TEMPLATES
from autograder.exercises import assignments, of_assignment
from autograder.exercises.base import Exercise
from autograder.imports import PACKAGES
from autograder.intake.extract import grade_id, read_notebook

FILES = ("requirements.lock", "LICENSE")
NEEDED = (  # packages that grading imports; the lock gives all versions
    *("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow", "tqdm", "safetensors", "psutil"),
    "diffusers",  # answers of `architecture` may build on its U-Net
)
REQUIREMENTS = "".join(f"{name}\n" for name in NEEDED)
SETTINGS = "grader.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same course gives the same zip


def chosen(assignment: str, notebooks: Sequence[str] = ()) -> list[Exercise]:
    """The exercises of an assignment, or some of them; ValueError names what is unknown."""
    if assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    known = [e.name for e in of_assignment(assignment)]
    if unknown := [n for n in notebooks if n not in known]:
        raise ValueError(f"unknown notebook '{unknown[0]}' of {assignment}; known: {', '.join(known)}")
    return [e for e in of_assignment(assignment) if not notebooks or e.name in notebooks]


def settings(assignment: str, notebooks: Sequence[str], sandboxed: bool) -> bytes:
    """The settings for `judging_there`. `sandboxed=False` is for images in which bubblewrap cannot run."""
    told = {"assignment": assignment, "notebooks": list(notebooks), "sandboxed": sandboxed}
    return (json.dumps(told, indent=1) + "\n").encode()


def grader(course: Path, assignment: str, module: str) -> dict[str, bytes]:
    """Code, data, solutions and requirements, by path; `module` is the adapter that runs there.

    ValueError if `course` is not the course's folder.
    """
    needed = (*PACKAGES, *travel.DATA, *FILES, f"solutions/{assignment}")
    if missing := [f for f in needed if not (course / f).exists()]:
        raise ValueError(f"{course} is not the course's folder: {', '.join(missing)} missing (give it with --course)")
    paths = (*travel.to_grader(course, assignment, module), *(course / name for name in FILES))
    files = {path.relative_to(course).as_posix(): path.read_bytes() for path in paths}
    return {"requirements.txt": REQUIREMENTS.encode(), **files}


def templates(names: Iterable[str], **values: str) -> dict[str, bytes]:
    """Files of templates/ by their names, with `@KEY@` replaced by values['key']."""
    texts = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in names}
    for key, value in values.items():
        texts = {name: text.replace(f"@{key.upper()}@", value) for name, text in texts.items()}
    return {name: text.encode() for name, text in texts.items()}


def write_zip(out: Path, files: Mapping[str, bytes], programs: Iterable[str]) -> Path:
    """Write the files to a zip; `programs` are the executable ones."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name in programs else 0o644) << 16
            archive.writestr(entry, content)
    return out


def write_folder(out: Path, files: Mapping[str, bytes], programs: Iterable[str]) -> Path:
    """Write the files below `out`, replacing those of an earlier call; ValueError if it has anything else."""
    if out.is_dir() and any(out.iterdir()) and not any(out.rglob(SETTINGS)):
        raise ValueError(f"{out} contains other files; move them away, or choose another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
        (out / name).chmod(0o755 if name in programs else 0o644)
    return out


def by_hand(course: Path, exercises: Iterable[Exercise]) -> list[str]:
    """The written answers, each with its points: "ema_written (3)"."""
    items = []
    for e in exercises:
        cells = read_notebook(course / "solutions" / e.assignment / f"{e.name}.ipynb")["cells"]
        points = {grade_id(cell): cell["metadata"]["nbgrader"].get("points") for cell in cells if grade_id(cell)}
        items += [f"{name} ({points[name]:g})" for name in e.written]
    return items
