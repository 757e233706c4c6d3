"""autograder collect, roster and return: from the LMS's download to the feedback pages it hands out"""

import argparse
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FORMATS = ("canvas", "moodle", "zip", "nbgrader")
SAID = 40  # sentences on the terminal; a class of 300 can all make the same mistake


def zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"there is no time zone '{text}'; write one like Europe/Berlin") from None


def say(problems: Iterable[str], file: Path | None = None) -> None:
    """One line each, on stderr."""
    lines = list(problems)
    for line in lines[:SAID]:
        print(line, file=sys.stderr)
    if more := lines[SAID:]:
        print(f"and {len(more)} more like these", file=sys.stderr)


def run_collect(a: argparse.Namespace) -> None:
    from autograder.adapters.collect import collect
    from autograder.adapters.collect.source import Source
    from autograder.adapters.collect.taking import ASIDE

    source = Source(a.format, a.assignment, a.roster, a.key, a.times, a.timezone)
    done = collect(a.file, source, a.to)
    say(done.problems)
    print(f"{done.notebooks} notebook(s) of {len(done.students)} student(s) in {a.to}")
    if done.late:
        print(f"late according to {a.format.title()}: {', '.join(sorted(done.late))}")
    if a.format == "nbgrader":
        print("`autograder grade` reads the submission times from the exchange")
    elif done.untimed:
        remedy = {
            "canvas": "Canvas's download has none: give them with --times FILE.csv (student, submitted_at)",
            "moodle": "give the grading worksheet with --roster",
            "zip": "--times entries uses those of the archive, which are only as reliable as its maker's clock",
        }[a.format]
        print(f"{len(done.untimed)} student(s) have no submission time, so they cannot be late; {remedy}")
    elif a.timezone is None and a.format != "canvas":
        print(
            f"times are read in this machine's time zone ({datetime.now().astimezone():%Z}); --timezone names another"
        )
    if a.format == "moodle" and not a.roster:
        print("people are identified only by their names; to be sure, give the grading worksheet with --roster")
    if (aside := a.to.parent / ASIDE).is_dir():
        print(f"files that do not count are kept in {aside}")


def run_roster(a: argparse.Namespace) -> None:
    from autograder.adapters import classlist
    from autograder.intake.student_ids import spelt

    people = classlist.read(a.file, a.key)
    file = classlist.save(people, a.submitted)
    sections = {p.section for p in people if p.section}
    print(f"{len(people)} people" + (f" in {len(sections)} section(s)" if sections else "") + f"; {file}")
    there = {p.name for p in a.submitted.iterdir() if p.is_dir()} if a.submitted.is_dir() else set()
    if strange := there - set(spelt([p.id for p in people], there).values()):
        say([f"in {a.submitted} but not in the roster: {', '.join(sorted(strange))}"])


def run_return(a: argparse.Namespace) -> None:
    from autograder.adapters.collect import giving_back
    from autograder.exercises import assignments
    from autograder.grading.batch import all_records

    if a.assignment not in assignments():
        raise ValueError(f"unknown assignment '{a.assignment}'; known: {', '.join(assignments())}")
    problems = [] if a.as_they_are else giving_back.generate(a.out, a.assignment)
    if a.format == "nbgrader" and not a.to:
        raise ValueError("give the exchange's feedback folder with --to EXCHANGE/COURSE/feedback")
    to = a.to or a.out / f"feedback_{a.assignment}_{a.format}.zip"
    given = giving_back.give_back(a.out, a.submitted, a.format, a.assignment, all_records(a.out), to)
    say([*problems, *given.problems])
    print(f"{given.pages} page(s) of {len(given.students)} student(s): {to}")


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Import an LMS's download of submissions: files, times and names. The last of several attempts counts."
    p = command(
        "collect", run_collect, about, "submissions.zip --format canvas --assignment 5_2_guidance", course=False
    )
    p.add_argument("file", type=Path, help=(
        "the downloaded zip, the folder it was unpacked into, or nbgrader's EXCHANGE/COURSE/inbound"
    ))  # fmt: skip
    p.add_argument("--format", choices=FORMATS, required=True)
    p.add_argument("--assignment", help="the assignment handed in; a plain zip can say so by its folders")
    p.add_argument("--roster", type=Path, help="CSV of the class: Canvas's gradebook export, Moodle's grading "
                   "worksheet, or a list with id, first_name, last_name, email, section")  # fmt: skip
    p.add_argument("--key", metavar="COLUMN", help="the roster's column that names students' folders")
    p.add_argument(
        "--times", metavar="FILE", help=("CSV with student and submitted_at, or `entries` for the archive's own times")
    )
    p.add_argument("--timezone", type=zone, metavar="ZONE", help="the zone of times without one, such as Europe/Berlin")
    p.add_argument("--to", type=Path, default=Path("submitted"), help="default: submitted")

    about = "Enter the class list: it gives names to formgrader and the report, and shows who handed in nothing."
    p = command("roster", run_roster, about, "canvas_export.csv", course=False)
    p.add_argument("file", type=Path)
    p.add_argument("--key", metavar="COLUMN", help="the column that names students' folders")
    p.add_argument("--submitted", type=Path, default=Path("submitted"), help="roster.csv is written beside this folder")

    about = "Make a zip of feedback pages for upload to the LMS, or put them into nbgrader's exchange."
    p = command("return", run_return, about, "build/grades --format canvas --assignment 5_2_guidance", course=False)
    p.add_argument("out", type=Path, help="the folder that `autograder grade` wrote")
    p.add_argument("--format", choices=FORMATS, required=True)
    p.add_argument("--assignment", required=True)
    p.add_argument("--submitted", type=Path, default=Path("submitted"), help="the folder with collected.csv beside it")
    p.add_argument("--as-they-are", action="store_true", help="use the existing pages, do not regenerate them")
    p.add_argument("--to", type=Path, metavar="PATH", help=(
        "default: OUT/feedback_ASSIGNMENT_FORMAT.zip; for nbgrader's exchange, EXCHANGE/COURSE/feedback"
    ))  # fmt: skip
