"""An assignment as externally graded questions for PrairieLearn, and the program that runs in their container.

PrairieLearn starts `entrypoint` in the question's image, with the student's files in /grade/student, the question's
`tests` in /grade/tests and the course's shared files in /grade/serverFilesCourse; the result is
/grade/results/results.json, of at most 1 MB. It has `score` from 0 to 1 and `tests` with name, points, max_points and
message. With `"gradable": false` no points are given or lost, and no attempt is used up; this is used if the grader
itself failed, or if there is no answer yet. See https://prairielearn.readthedocs.io/en/latest/externalGrading/.

Anything a container prints may be shown to the student, so nothing is printed here.
"""

import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters import packing
from autograder.adapters.judging_there import OURS, OUTPUT_BYTES, judge, read, write_results
from autograder.exercises.base import Exercise

IMAGE = "ddpm-grader"
PROGRAMS = ("run_prairielearn",)
SHARED = (*PROGRAMS, "Dockerfile")  # in templates/
TIMEOUT_S = {False: 120, True: 600}  # without and with a gate; 600 is the most that PrairieLearn allows


def package(
    assignment: str,
    out: Path,
    course: Path,
    notebooks: Sequence[str] = (),
    sandboxed: bool = True,
    image: str = IMAGE,
) -> Path:
    """Write questions/NOTEBOOK/ and serverFilesCourse/ddpm_grader_ASSIGNMENT/ below `out`, a PrairieLearn course.

    ValueError names what is unknown, and folders that contain something else.
    """
    exercises, shared = packing.chosen(assignment, notebooks), f"ddpm_grader_{assignment}"
    files = packing.templates(SHARED) | {packing.SETTINGS: packing.settings(assignment, (), sandboxed)}
    files |= packing.grader(course, assignment, __spec__.name)
    for e in exercises:
        folder = out / "questions" / e.name
        told = packing.settings(assignment, (e.name,), sandboxed)
        released = (course / "exercises" / assignment / f"{e.name}.ipynb").read_bytes()
        page = packing.templates(("question.html",), name=e.name)
        parts = {"info.json": info(e, shared, image), f"clientFilesQuestion/{e.name}.ipynb": released}
        packing.write_folder(folder, {**parts, **page, f"tests/{packing.SETTINGS}": told}, ())
    packing.write_folder(out / "serverFilesCourse" / shared, files, PROGRAMS)
    return out


def info(e: Exercise, shared: str, image: str) -> bytes:
    """A question's info.json; the same exercise has the same uuid in every export."""
    entrypoint = f"/grade/serverFilesCourse/{shared}/{PROGRAMS[0]}"
    grading = {"enabled": True, "image": image, "entrypoint": entrypoint, "serverFilesCourse": [f"{shared}/"]}
    told = {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{e.assignment}/{e.name}")),
        "title": e.name.replace("_", " ").capitalize(),
        "topic": "Conditional diffusion models",
        "tags": [e.assignment],
        "type": "v3",
        "gradingMethod": "External",
        "externalGradingOptions": grading | {"timeout": TIMEOUT_S[bool(e.gate_cell)]},
    }
    return (json.dumps(told, indent=2) + "\n").encode()


def advice(assignment: str, course: Path, notebooks: Sequence[str] = ()) -> str:
    """What is left to do by hand."""
    exercises = packing.chosen(assignment, notebooks)
    points = ", ".join(f"{e.name} {e.max_score:g}" for e in exercises)
    items = packing.by_hand(course, exercises)
    rest = f"; mark by hand {', '.join(items)}" if items else ""
    folder = f"serverFilesCourse/ddpm_grader_{assignment}"
    return f"Build the image in {folder}, and give the questions their points: {points}{rest}"


def results(record: dict[str, Any]) -> dict[str, Any]:
    """A record in PrairieLearn's format; not gradable if the grader itself failed, or if there is no answer."""
    outcome = record["extra_data"]["outcome"]
    if record["score"] is None or outcome == "missing":
        why = [OURS, record["output"]] if record["score"] is None else [record["output"]]
        return {"gradable": False, "format_errors": why, "message": "\n".join(why)}
    tests = [
        {"name": t["name"], "points": t["score"], "max_points": t["max_score"], "message": t["output"][:OUTPUT_BYTES]}
        for t in record["tests"]
    ]
    share = record["score"] / record["max_score"]
    return {"gradable": True, "score": round(share, 6), "message": record["output"], "tests": tests}


def run(root: Path) -> dict[str, Any]:
    """Grade ROOT/student and write ROOT/results/results.json; returns it."""
    record, _ = judge(root / "student", read(root / "tests" / packing.SETTINGS))
    return write_results(root, results(record))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
