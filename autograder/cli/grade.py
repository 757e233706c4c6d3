"""What the commands do: grade a folder into records, table, report and gradebook, or check one notebook at home."""

import argparse
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from autograder.adapters import asked, classlist, extensions, report, table
from autograder.adapters.report.notes import Notes, flags
from autograder.cli import hints
from autograder.exercises import EXERCISES
from autograder.gate import plot
from autograder.grading import batch, private
from autograder.grading.grader import band_file
from autograder.grading.judging import judge_notebook
from autograder.grading.results import record
from autograder.intake import times, variants
from autograder.intake.look_alikes import look_alikes
from autograder.intake.model_solutions import SOLUTIONS
from autograder.intake.problems import Problem
from autograder.intake.student_ids import student_of
from autograder.intake.submissions import Submission, apart, unrecognised
from autograder.sandbox import child_process
from ddpm_tools.outputs import json_text


def grade_folder(a: argparse.Namespace) -> list[dict]:
    """`autograder grade`: grade, then write grades.csv, report.html and the gradebook from all records; returns these.

    With `--notebook`, the records hold only those notebooks; the others keep their marks in the gradebook. ValueError
    if there is nothing to grade, or no sandbox and it was not waived, or no cluster.
    """
    sandboxed = not a.unsandboxed
    if sandboxed and not a.scheduler and (why := child_process.available()):
        raise ValueError(f"{why} Or grade with --unsandboxed: every record will say so.")
    whose = dict.fromkeys(a.student) or [None]
    submissions = [s for who in whose for s in batch.find(a.submitted, a.assignment, who, tuple(a.notebook))]
    apart(submissions, a.out)
    odd = problems_of(submissions, a.submitted, a.out)
    config = settings_of(a.course)
    known = times.of(submissions, a.submitted, a.times, inbound(config))
    names = [student_of(person.name) for person in a.submitted.iterdir()]
    notes, (more, not_understood) = Notes(classlist.beside(a.submitted, names)), extensions.beside(a.submitted, names)
    requests, given = asked.beside(a.submitted), variants.beside(a.submitted, names)
    strange = variants.strangers(given, batch.find(a.submitted)) if given else []
    with batch.only_one(a.out):
        seed = batch.seed_of_batch(a.out, a.seed)
        records = batch.grade(submissions, a.out, seed, a.scheduler or a.jobs, sandboxed, regrade=a.regrade)
        everything = records if a.assignment is None and not a.student else batch.all_records(a.out)
        odd += [*not_understood, *(_kept(r["extra_data"]) for r in records if "kept" in r["extra_data"])]
        try:
            odd += write_gradebook(records, a.submitted, a.out, a.gradebook, a.course, known)
            notes = enter_class(a, notes, more, odd)
        finally:  # even if the gradebook cannot be reached
            remarks = *flags(everything, a.out), *strange
            notes = replace(notes, flags=remarks, asked=requests, variants=given.students if given else {})
            table.write_csv(everything, a.out / "grades.csv", odd, notes.absent(everything))
            page = report.write(everything, a.out, odd, notes)
            if config and config.CourseDirectory.get("groupshared", False):
                private.share(a.out)
    for problem in odd:
        print(f"problem: {problem}", file=sys.stderr)
    for remark in strange:
        print(f"remark: {remark}", file=sys.stderr)
    if a.json:
        print(json_text(table.as_data(records), indent=1, ensure_ascii=False))
        return records
    print(table.text(records))
    for student, name in report.unusable(records):
        print(f"problem: {student}, {name}: {report.STOPPED}", file=sys.stderr)
    print(f"\n{len(records)} submission(s) graded with seed {seed}; {a.out / 'grades.csv'}, {page}")
    return records


def problems_of(submissions: list[Submission], submitted: Path, out: Path) -> list[Problem]:
    """What no record shows: folders that belong to nobody, misnamed notebooks, students whose names look the same."""
    mine = [(s, f.said or f.why) for s in submissions if not s.problem_of_folder() for f in map(s.found, s.files)]
    alike = look_alikes(student_of(person.name) for person in submitted.iterdir() if person.is_dir())
    return [*unrecognised(submitted, out), *(Problem(s.student, s.assignment, why) for s, why in mine if why), *alike]


def settings_of(course: Path) -> Any:
    """The settings in the course's nbgrader_config.py; None if this is not the course's folder."""
    if not (course / "solutions").is_dir():
        return None
    from autograder.release.generate import load_config

    return load_config(course)


def inbound(config: Any) -> Path | None:
    """Where nbgrader's exchange puts submissions."""
    if config is None:
        return None
    root = Path(config.Exchange.get("root", "/usr/local/share/nbgrader/exchange"))
    return root / config.CourseDirectory.get("course_id", "") / "inbound"


def write_gradebook(
    records: list[dict],
    submitted: Path,
    out: Path,
    gradebook: str | None,
    course: Path,
    known: times.Times | None = None,
) -> list[Problem]:
    """Write nbgrader's gradebook. OUT is laid out so that nbgrader and formgrader can be started in it."""
    if not (course / "solutions").is_dir():
        why = f"{course} has no solutions/ (give the course's folder with --course)"
        print(f"no gradebook was written: {why}", file=sys.stderr)
        return []
    from autograder.adapters.gradebook import write_gradebook as write

    url = gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Object of type", module="nbgrader")  # its own way with SQLAlchemy 2
        return write(url, records, course / "solutions", submitted, out / "autograded", known)


def _kept(extra: dict) -> Problem:
    why = f"grading it again gave no result, so its record stays: {extra['kept']}"
    return Problem(extra["student"], extra["assignment"], why)


def enter_class(a: argparse.Namespace, notes: Notes, more: extensions.Given, odd: list[Problem]) -> Notes:
    """Enter names and extensions into the gradebook; returns what it knows of the class. Adds problems to `odd`."""
    if not (a.course / "solutions").is_dir():
        return notes
    from autograder.adapters import classroom, database

    url = database.in_folder(a.out, a.course, a.gradebook)
    found, problems = classroom.enter(url, a.course, more, notes.people)
    odd += problems
    return found


def check_notebook(notebook: Path, gate: bool = True, seed: int | None = None, as_json: bool = False) -> bool:
    """The same checks with the course's own classifier, on the student's machine; True if all is well."""
    if notebook.is_dir():
        some = next((f"such as {p}" for p in sorted(notebook.glob("*.ipynb"))), "a file that ends in .ipynb")
        raise ValueError(f"{notebook} is a folder; give one notebook, {some}")
    exercise = next((e for e in EXERCISES.values() if e.name == notebook.stem), None)
    if exercise is None:
        known = ", ".join(f"{e.name}.ipynb" for e in EXERCISES.values())
        raise ValueError(f"{notebook.name} is not a graded notebook; known: {known}; give yours the name it came with")
    if not notebook.is_file():
        raise ValueError(f"there is no file {notebook.absolute()}; correct the path, or go to the course's folder")
    torch.set_num_threads(1)
    walls = child_process.available() is None
    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    solutions = SOLUTIONS if SOLUTIONS.is_dir() else None  # the bundle has none
    grader = batch.make_grader(exercise, seed, walls, judge="course", solutions=solutions)
    if not gate:
        exercise = replace(exercise, gate_cell=None, gate_points=0.0)
    shape = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left"  # a rate in percent per second is no use
    with tqdm(total=100, bar_format=shape, desc=exercise.name, leave=False) as bar:

        def show(what: str, share: float) -> None:
            bar.set_description(f"{exercise.name}: {what}")
            bar.n = round(100 * share)
            bar.refresh()

        result, images = judge_notebook(exercise, notebook, grader, progress=show)
    rec = record("you", exercise.assignment, [result])
    well = result.outcome == "graded" and all(t["status"] == "passed" for t in rec["tests"])
    hint = hints.after(result, notebook)
    if as_json:
        told = {"outcome": result.outcome, "reason": result.reason, "score": rec["score"]}
        told |= {"max_score": rec["max_score"], "tests": rec["tests"], "metrics": result.metrics, "of_record": False}
        told["hint"] = hint
        print(json_text(told, indent=1, ensure_ascii=False))
        return well
    for t in rec["tests"] if result.outcome != "missing" else ():  # nothing was run: the sentence below is enough
        mark = "ok  " if t["status"] == "passed" else "FAIL"
        print(f"{mark} {t['score']:g}/{t['max_score']:g}  {t['name']}: {t['output']}")
    if printed := result.instructor.get("printed"):
        print(f"\nwhat your code printed:\n{printed}")
    if images is not None:
        picture = notebook.with_name(f"{notebook.stem}_gate.png")
        judge = grader.judge.classifier
        plot.save(picture, band_file(exercise), "course", result.metrics, images, judge, result.ended)
        print(f"\nresults of the trained answer, and its samples: {picture}")
    if hint:
        print(f"\n{hint}")
    score = "no score" if rec["score"] is None else f"{rec['score']:g} of {rec['max_score']:g} points"
    print(f"\n{result.outcome}: {score}. {result.reason}")
    rest = "." if walls else ", in a sandbox."
    print(f"Not of record: the grade comes from the instructor's run, with other inputs{rest}")
    return well
