"""An assignment as a zip for Gradescope's autograder, and the program that runs there.

Gradescope unpacks the zip to /autograder/source, runs `setup.sh` once as root when it builds the image, copies
`run_autograder` to /autograder and starts it for each submission with the student's files in /autograder/submission;
what counts is /autograder/results/results.json. Its `tests` have name, score, max_score, status, output and visibility;
`output`, `stdout_visibility` and `extra_data` belong to the whole. What is printed is the instructor's to read. See
gradescope-autograders.readthedocs.io, "Autograder Specifications" and "Technical Details".

Where the grader itself fails, results.json has neither `score` nor `tests`: Gradescope then reports that the autograder
failed and gives no score, in place of a zero. There, `python -m autograder.adapters.gradescope ROOT` is the grader.
"""

import json
import os
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autograder import travel
from autograder.adapters import TEMPLATES
from autograder.exercises import assignments, of_assignment
from autograder.imports import PACKAGES
from autograder.intake.extract import grade_id, read_notebook
from autograder.sandbox.scratch import temporary
from ddpm_tools.outputs import json_text

MANUAL = "Gradescope needs to be told the maximum: set Autograder Points to"
FILES = ("requirements.lock", "LICENSE")
NEEDED = (  # packages of the lock that grading imports; the rest of the lock only says which versions
    *("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow", "tqdm", "safetensors", "psutil"),
    "diffusers",  # answers of `architecture` may build on its U-Net
)
SETTINGS = "gradescope.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same course gives the same zip
OUTPUT_BYTES = 20_000  # of one test's output; Gradescope truncates long ones itself, at an undocumented length
SCRIPTS = ("setup.sh", "run_autograder")  # in templates/


def package(assignment: str, out: Path, course: Path, notebooks: Sequence[str] = (), sandboxed: bool = True) -> Path:
    """Write the zip of an assignment, or of some of its notebooks, to `out`; ValueError names what is unknown.

    `sandboxed=False` is for images in which bubblewrap may not run; every record then says so.
    """
    if assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    known = [e.name for e in of_assignment(assignment)]
    if unknown := [n for n in notebooks if n not in known]:
        raise ValueError(f"unknown notebook '{unknown[0]}' of {assignment}; known: {', '.join(known)}")
    needed = (*PACKAGES, *travel.DATA, *FILES, f"solutions/{assignment}")
    if missing := [f for f in needed if not (course / f).exists()]:
        raise ValueError(f"{course} is not the course's folder: {', '.join(missing)} missing (name it with --course)")
    settings = {"assignment": assignment, "notebooks": list(notebooks), "sandboxed": sandboxed}
    texts = {
        **{name: (TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS},
        "requirements.txt": "".join(f"{name}\n" for name in NEEDED),
        SETTINGS: json.dumps(settings, indent=1) + "\n",
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            _add(archive, name, text.encode(), executable=name in SCRIPTS)
        for path in (*travel.to_gradescope(course, assignment), *(course / name for name in FILES)):
            _add(archive, path.relative_to(course).as_posix(), path.read_bytes())
    return out


def advice(assignment: str, course: Path, notebooks: Sequence[str] = ()) -> str:
    """What to enter in Gradescope by hand: the most that the checks give, and an item for each written answer."""
    chosen = [e for e in of_assignment(assignment) if not notebooks or e.name in notebooks]
    items = []
    for e in chosen:
        cells = read_notebook(course / "solutions" / assignment / f"{e.name}.ipynb")["cells"]
        points = {grade_id(cell): cell["metadata"]["nbgrader"].get("points") for cell in cells if grade_id(cell)}
        items += [f"{name} ({points[name]:g})" for name in e.written]
    by_hand = f", enable manual grading, and add the items {', '.join(items)}" if items else ""
    return f"{MANUAL} {sum(e.max_score for e in chosen):g}{by_hand}"


def _add(archive: zipfile.ZipFile, name: str, content: bytes, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if executable else 0o644) << 16
    archive.writestr(entry, content)


def results(record: dict[str, Any]) -> dict[str, Any]:
    """A record in Gradescope's format; without any score where the grader itself failed."""
    common = {"stdout_visibility": "hidden", "extra_data": record["extra_data"]}
    if record["score"] is None:
        again = "The grader could not finish (its failure, not yours): no score was given; please hand in again later."
        return {"output": f"{again}\n\n{record['output']}", **common}
    tests = [t | {"output": t["output"][:OUTPUT_BYTES], "visibility": "visible"} for t in record["tests"]]
    return {"score": record["score"], "output": record["output"], "tests": tests, **common}


def submitted_folder(submission: Path, names: Iterable[str]) -> Path:
    """Where the notebooks lie: in the submission's folder, or in the one folder of an uploaded zip that holds any."""
    files = [f"{name}.ipynb" for name in names]
    folders = [submission, *sorted(p for p in submission.rglob("*") if p.is_dir() and not p.is_symlink())]
    held = [folder for folder in folders if any((folder / file).exists() for file in files)]
    return held[0] if held else submission


def run(root: Path) -> dict[str, Any]:
    """Grade ROOT/submission and write ROOT/results/results.json; returns it."""
    from autograder.grading import batch
    from autograder.intake.submissions import Submission

    settings = json.loads((root / "source" / SETTINGS).read_text(encoding="utf-8"))
    only, seed = tuple(settings["notebooks"]), int.from_bytes(os.urandom(8), "big")
    names = only or [e.name for e in of_assignment(settings["assignment"])]
    folder = submitted_folder(root / "submission", names)
    with temporary() as scratch:
        handed_in = [Submission("submission", settings["assignment"], folder, only)]
        record = batch.grade(handed_in, Path(scratch), seed, sandboxed=settings["sandboxed"], progress=False)[0]
        private = next(Path(scratch).glob("*/*/instructor.json"), None)
        print(private.read_text(encoding="utf-8") if private else f"seed {seed}")  # for the instructor alone
    written = results(record)
    (root / "results").mkdir(exist_ok=True)
    (root / "results/results.json").write_text(json_text(written, indent=1) + "\n", encoding="utf-8")
    return written


if __name__ == "__main__":
    raise SystemExit(0 if "score" in run(Path(sys.argv[1])) else 1)
