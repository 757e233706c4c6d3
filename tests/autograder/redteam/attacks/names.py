"""Folders of students, named and filled so that the grader, or a program that it calls, trips over them.

Each is one student's; the harm that it could do is named beside it, as it was seen to be done.
"""

import os
import socket
from pathlib import Path

NAMES = {  # of the student's folder; what it stood in the way of
    "x.tmp": "every later `grade`: a draft that cannot be removed",
    "report.html.7.tmp": "every later `grade`",
    "X.TMP": "every later `grade`, on a disk that ignores capitals",
    "gradebook.db-journal": "the gradebook",
    "gradebook.db-wal": "the gradebook",
    "GradeBook.DB-Journal": "the gradebook, on a disk that ignores capitals",
    "gradebook.db-shm": "the gradebook",
    "questions.csv": "export --format questions",
    "canvas.csv": "export --format canvas",
    "moodle.csv": "export --format moodle",
    "grades_nbgrader.csv": "nbgrader export",
    "grades.csv.": "the table, on a disk that drops a dot at the end",
    "nbgrader_config.py": "nbgrader in this folder",
    ".progress.json": "status",
    ".lock": "the lock",
    "graded": "the copies that nbgrader reads",
    "Feedback": "the feedback, on a disk that ignores capitals",
    "solutions": "the solutions, where the output is the course's own folder",
    "autograded ": "formgrader's copies, on a disk that drops a space at the end",
    "run.json": "the seed",
    "%2E%2E": "nothing: an escape that looks like ours",
    "a%09b": "the records of `a<tab>b`, whose escaped name it is",
    "a\tb": "nothing",
    "." + "y" * 254: "its own record: escaped, the name is longer than a disk takes",
    "é" * 127: "its own record",
    "e\u0301mil": "the records of `émil`, on a disk that normalises names",
    "émil": "nothing",
}


def timestamp(folder: Path) -> None:
    (folder / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC\n")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "timestamp.txt")


def pipes(folder: Path) -> None:
    os.mkfifo(folder / "data.csv")
    os.mkfifo(folder / "label_dropout.ipynb.txt")


def listener(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # a socket's path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("timestamp.txt")
    finally:
        os.chdir(here)


def link(folder: Path) -> None:
    (folder / "timestamp.txt").symlink_to("/dev/zero")


def nonsense(folder: Path) -> None:
    (folder / "timestamp.txt").write_bytes(b"\xff\xfe tomorrow")


def huge(folder: Path) -> None:
    with (folder / "timestamp.txt").open("wb") as f:
        f.truncate(1 << 40)


TIMES = {  # what lies beside the notebook, in the student's own folder, where the deadline has passed
    "claims that it is early": timestamp,
    "a pipe that nothing writes to": pipe,
    "pipes beside the notebook": pipes,
    "a socket": listener,
    "a link to an endless file": link,
    "no time at all": nonsense,
    "a terabyte": huge,
}
