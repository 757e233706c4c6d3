"""What the commands do: grade a folder into records, table, report and gradebook; check one notebook at home."""

import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from autograder.adapters import table
from autograder.exercises import EXERCISES, assignments
from autograder.gate import plot
from autograder.grading import batch
from autograder.grading.grader import band_file
from autograder.grading.judging import judge_notebook
from autograder.grading.results import record
from autograder.intake.model_solutions import SOLUTIONS
from autograder.intake.submissions import apart, unrecognised
from autograder.sandbox import child_process


def grade_folder(
    submitted: Path,
    out: Path,
    assignment: str | None = None,
    student: str | None = None,
    jobs: int = 1,
    seed: int | None = None,
    sandboxed: bool = True,
    gradebook: str | None = None,
    course: Path = Path("."),
    progress: bool = True,
    only: tuple[str, ...] = (),
    scheduler: str | None = None,
) -> list[dict]:
    """Grade, then write grades.csv, report.html and the gradebook from all records; returns the records.

    `only` names the notebooks to grade; the records then hold no others, whose marks in the gradebook stay. `scheduler`
    is the address of a Dask cluster that judges, in place of `jobs` threads here.

    ValueError where there is nothing to grade, or no sandbox and none was waived, or no cluster.
    """
    if sandboxed and not scheduler and (why := child_process.available()):
        raise ValueError(f"{why} Or grade with --unsandboxed: every record will say so.")
    submissions = batch.find(submitted, assignment, student, only)
    apart(submissions, out)
    if student is None and (odd := unrecognised(submitted, out)):
        print(f"not graded, since no assignment has this name: {', '.join(odd)}", file=sys.stderr)
    with batch.only_one(out):
        seed = batch.seed_of_batch(out, seed)
        records = batch.grade(submissions, out, seed, jobs, sandboxed, progress, scheduler)
        everything = records if assignment is None and student is None else batch.all_records(out)
        table.write_csv(everything, out / "grades.csv")
        report = table.write_report(everything, out)
        write_gradebook(records, submitted, out, gradebook, course)
    print(table.text(records))
    print(f"\n{len(records)} submission(s) graded with seed {seed}; {out / 'grades.csv'}, {report}")
    return records


def write_gradebook(records: list[dict], submitted: Path, out: Path, gradebook: str | None, course: Path) -> None:
    """Into nbgrader's gradebook; OUT is laid out so that nbgrader and formgrader can be started in it."""
    if not (course / "solutions").is_dir():
        print(
            f"no gradebook written: {course} has no solutions/ (name the course's folder with --course)",
            file=sys.stderr,
        )
        return
    from autograder.adapters.gradebook import write_gradebook as write

    url = gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Object of type", module="nbgrader")  # its own way with SQLAlchemy 2
        problems = write(url, records, course / "solutions", submitted, out / "autograded")
    for problem in problems:
        print(f"gradebook: {problem}", file=sys.stderr)


def check_notebook(notebook: Path, gate: bool = True, seed: int | None = None) -> bool:
    """The same checks with the course's own classifier, on the student's machine; True where all is well."""
    exercise = next((e for e in EXERCISES.values() if e.name == notebook.stem), None)
    if exercise is None:
        known = ", ".join(f"{e.name}.ipynb" for e in EXERCISES.values())
        raise ValueError(f"{notebook.name} is not a graded notebook; known: {known} (of {', '.join(assignments())})")
    if notebook.is_dir():
        raise ValueError(f"{notebook} is a folder; name the notebook itself")
    if not notebook.is_file():
        raise ValueError(f"there is no file {notebook}")
    torch.set_num_threads(1)
    walls = child_process.available() is None
    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    solutions = SOLUTIONS if SOLUTIONS.is_dir() else None  # the bundle has none
    grader = batch.make_grader(exercise, seed, walls, judge="course", solutions=solutions)
    if not gate:
        exercise = replace(exercise, gate_cell=None, gate_points=0.0)
    with tqdm(total=100, unit="%", desc=exercise.name, leave=False) as bar:

        def show(what: str, share: float) -> None:
            bar.set_description(f"{exercise.name}: {what}")
            bar.n = round(100 * share)
            bar.refresh()

        result, images = judge_notebook(exercise, notebook, grader, progress=show)
    rec = record("you", exercise.assignment, [result])
    for t in rec["tests"] if result.outcome != "missing" else ():  # nothing was run: the sentence below says all
        mark = "ok  " if t["status"] == "passed" else "FAIL"
        print(f"{mark} {t['score']:g}/{t['max_score']:g}  {t['name']}: {t['output']}")
    if printed := result.instructor.get("printed"):
        print(f"\nwhat your code printed:\n{printed}")
    if images is not None:
        picture = notebook.with_name(f"{notebook.stem}_gate.png")
        c = grader.judge.classifier
        plot.save(picture, band_file(exercise), "course", result.metrics, images, c)
        print(f"\nwhere the trained answer fell, and what it drew: {picture}")
    score = "no score" if rec["score"] is None else f"{rec['score']:g} of {rec['max_score']:g} points"
    print(f"\n{result.outcome}: {score}. {result.reason}")
    print(
        "Not of record: the grade comes from the instructor's run, with other inputs"
        + ("." if walls else ", in a sandbox.")
    )
    return result.outcome == "graded" and all(t["status"] == "passed" for t in rec["tests"])
