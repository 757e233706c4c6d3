"""autograder export"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

FORMATS = ("questions", "canvas", "moodle")


def run(a: argparse.Namespace) -> None:
    from autograder.adapters import database, late, lms, questions, roster  # nbgrader: not in the students' bundle
    from autograder.adapters.table import csv_text
    from autograder.grading import private
    from autograder.grading.batch import all_records
    from autograder.release.generate import load_config

    url, config = database.in_folder(a.out, a.course, a.gradebook), load_config(a.course)
    if a.format == "questions" and a.roster:
        raise ValueError("--roster goes with --format canvas or moodle; rows of questions use the folder names")
    database.must_exist(url)
    with database.open_gradebook(url, config.CourseDirectory.get("course_id", "default_course")) as gb:
        late.assign_all(gb, late.rule(config))  # there may be new marks by hand
        totals = lms.totals(gb, a.assignment)
        rows = questions.rows(gb, all_records(a.out), a.assignment) if a.format == "questions" else []
    if a.format == "questions":
        table = [list(questions.COLUMNS), *(list(row.values()) for row in rows)]
    else:
        columns = lms.CANVAS if a.format == "canvas" else lms.MOODLE
        people = roster.read(a.roster, columns, totals.scores, a.key) if a.roster else None
        table = (lms.canvas if a.format == "canvas" else lms.moodle)(totals, people)
        if people and people.absent:
            print(f"not in {a.roster}, so left out: {', '.join(people.absent)}", file=sys.stderr)
    if totals.to_mark:
        print(f"{len(totals.to_mark)} submission(s) still have unmarked written answers", file=sys.stderr)
    if empty := sum(score is None for scores in totals.scores.values() for score in scores.values()):
        remedy = "`autograder grade` without --notebook grades the rest"
        rest = "; students without any score have no row" if a.format == "canvas" else ""
        why = f"since grades are missing for {', '.join(totals.ungraded)}: {remedy}{rest}"
        print(f"{empty} submission(s) have no score yet, {why}", file=sys.stderr)
    to = a.to or a.out / f"{a.format}.csv"
    private.write_text(to, csv_text(table))
    if config.CourseDirectory.get("groupshared", False):
        private.share(a.out)
    print(to)


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Write the grades as CSV: one row per question, or the columns that Canvas or Moodle import."
    example = "build/grades --format canvas --roster canvas_export.csv --assignment 5_3_conditioning"
    p = command("export", run, about, example)
    p.add_argument("out", type=Path, help="the folder that `autograder grade` wrote")
    p.add_argument("--format", choices=FORMATS, required=True)
    p.add_argument("--assignment", action="append", default=[], help="only this one (may be repeated)")
    p.add_argument("--roster", type=Path, help=(
        "CSV export of the class from Canvas or Moodle, to match students; default: folders are named by SIS Login ID "
        "or username"
    ))  # fmt: skip
    p.add_argument(
        "--key", metavar="COLUMN", help=("the roster's column with the folder names; default: the one that fits")
    )
    p.add_argument("--to", type=Path, metavar="FILE", help="default: OUT/FORMAT.csv")
    p.add_argument("--gradebook", help="database URL; default: nbgrader_config.py's db_url, else OUT/gradebook.db")
