"""A workflow that runs the students' bundle's checks in each student's repository, for GitHub Classroom's reporter.

GitHub Classroom's starter repository is what `autograder release` makes, with this file in .github/workflows/. Its
reporter expects a workflow "Autograding Tests" with one job `run-autograding-tests`. Each step has an output `result`:
JSON in base64 with version, status (pass, fail or error), max_score, and tests of name, status, score and message. See
https://github.com/classroom-resources/autograding-grading-reporter, which says that GitHub has ended Classroom: the
workflow then still shows each student the checks on every push.

Anyone who can push can also change the workflow and the checks, and read any secret they get. So nothing private is in
the repository, and these points are not of record. For those, clone the repositories into
submitted/STUDENT/ASSIGNMENT/ and run `autograder grade`.

In the workflow, `autograder check NOTEBOOK --json | python -m autograder.adapters.github` prints the line `result=…`.
"""

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.adapters import packing

WORKFLOW, STEP = "github_classroom.yml", "github_step.yml"  # in templates/
MINUTES = {False: 5, True: 30}  # without and with a gate
STATUS = {True: "pass", False: "fail"}


def package(assignment: str, out: Path, course: Path, notebooks: Sequence[str] = (), sandboxed: bool = True) -> Path:
    """Write the workflow to `out`; ValueError names what is unknown. No grade depends on it, so it needs no sandbox."""
    exercises = packing.chosen(assignment, notebooks)
    steps, results = b"", ""
    for e in exercises:
        minutes, path = str(MINUTES[bool(e.gate_cell)]), f"exercises/{assignment}/{e.name}.ipynb"
        steps += packing.templates((STEP,), name=e.name, path=path, minutes=minutes)[STEP]
        results += f"          {e.name.upper()}_RESULTS: ${{{{ steps.{e.name}.outputs.result }}}}\n"
    names = ",".join(e.name for e in exercises)
    whole = packing.templates((WORKFLOW,), steps=steps.decode(), results=results, runners=names)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(whole[WORKFLOW])
    return out


def advice(assignment: str, course: Path, notebooks: Sequence[str] = ()) -> str:
    """What is left to do by hand."""
    return "Put it into .github/workflows/ of the students' bundle. Its points are not of record: `autograder grade` is"


def result(told: dict[str, Any]) -> dict[str, Any]:
    """What `autograder check --json` says, in the form that the reporter reads."""
    tests = [
        {"name": t["name"], "status": STATUS[t["status"] == "passed"], "score": t["score"], "message": t["output"]}
        for t in told["tests"]
    ]
    well = bool(tests) and all(t["status"] == "pass" for t in tests) and told["outcome"] == "graded"
    status = "error" if told["outcome"] == "infrastructure_error" else STATUS[well]
    return {"version": 1, "status": status, "max_score": told["max_score"], "tests": tests}


def nothing(why: str) -> dict[str, Any]:
    """The result if the check itself ended without one."""
    return {"version": 1, "status": "error", "max_score": 0, "tests": [], "message": why}


def run(text: str) -> str:
    """The step's output, made from what the check printed."""
    try:
        found = result(json.loads(text))
    except (ValueError, KeyError, TypeError):
        found = nothing("the check ended without a result; the log of this step says why")
    return f"result={base64.b64encode(json.dumps(found).encode()).decode()}"


if __name__ == "__main__":
    print(run(sys.stdin.read()))
