"""An assignment as a zip for Gradescope's autograder, and the program that runs there.

Gradescope unpacks the zip to /autograder/source, runs `setup.sh` once as root when it builds the image, copies
`run_autograder` to /autograder and starts it for each submission with the student's files in /autograder/submission;
the result is /autograder/results/results.json. Its `tests` have name, score, max_score, status, output and visibility;
`output`, `stdout_visibility` and `extra_data` are for the whole. Only the instructor can read what is printed. See
gradescope-autograders.readthedocs.io, "Autograder Specifications" and "Technical Details".

If the grader itself fails, results.json has neither `score` nor `tests`: Gradescope then reports that the autograder
failed and gives no score, instead of a zero. There, `python -m autograder.adapters.gradescope ROOT` is the grader.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters import packing
from autograder.adapters.judging_there import OURS, OUTPUT_BYTES, judge, read, write_results

MANUAL = "Enter the maximum in Gradescope: set Autograder Points to"
SCRIPTS = ("setup.sh", "run_autograder")  # in templates/


def package(assignment: str, out: Path, course: Path, notebooks: Sequence[str] = (), sandboxed: bool = True) -> Path:
    """Write the zip of an assignment, or of some of its notebooks, to `out`; ValueError names what is unknown."""
    packing.chosen(assignment, notebooks)
    files = packing.templates(SCRIPTS) | {packing.SETTINGS: packing.settings(assignment, notebooks, sandboxed)}
    return packing.write_zip(out, files | packing.grader(course, assignment, __spec__.name), SCRIPTS)


def advice(assignment: str, course: Path, notebooks: Sequence[str] = ()) -> str:
    """What to enter in Gradescope by hand: the maximum of the checks, and an item for each written answer."""
    exercises = packing.chosen(assignment, notebooks)
    items = packing.by_hand(course, exercises)
    by_hand = f", enable manual grading, and add the items {', '.join(items)}" if items else ""
    return f"{MANUAL} {sum(e.max_score for e in exercises):g}{by_hand}"


def results(record: dict[str, Any]) -> dict[str, Any]:
    """A record in Gradescope's format; without any score if the grader itself failed."""
    common = {"stdout_visibility": "hidden", "extra_data": record["extra_data"]}
    if record["score"] is None:
        return {"output": f"{OURS}\n\n{record['output']}", **common}
    tests = [t | {"output": t["output"][:OUTPUT_BYTES], "visibility": "visible"} for t in record["tests"]]
    return {"score": record["score"], "output": record["output"], "tests": tests, **common}


def run(root: Path) -> dict[str, Any]:
    """Grade ROOT/submission and write ROOT/results/results.json; returns it."""
    record, private = judge(root / "submission", read(root / "source" / packing.SETTINGS))
    print(private)  # only for the instructor
    return write_results(root, results(record))


if __name__ == "__main__":
    raise SystemExit(0 if "score" in run(Path(sys.argv[1])) else 1)
