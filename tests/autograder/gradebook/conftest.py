"""A course with a gradebook, on SQLite or on a PostgreSQL server that is started once and stopped at the end."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nbformat
import psycopg
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import ExportApp, GenerateFeedbackApp

from autograder.adapters.gradebook import write_gradebook
from autograder.intake.times import Times
from autograder.release.generate import CONFIG_FILE

ROOT = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK, FILE = "5_3_conditioning", "conditioner", "conditioner.ipynb"
CHECKS, GATE, WRITTEN = "conditioner_checks", "conditioner_gate", "conditioner_written"


def make_record(
    student: str, checks: float | None = 10.0, gate: float | None = 5.0, outcome: str = "graded", **more
) -> dict:
    cells = {} if checks is None else {CHECKS: checks, GATE: gate}
    test = {"name": "conditioner: output depends on the label", "score": checks, "max_score": 10.0}
    test |= {"status": "passed" if checks else "failed", "output": "" if checks else "<script>alert(1)</script> `same`"}
    notebooks = {NOTEBOOK: {"outcome": outcome, "reason": "", "cells": cells}}
    extra = {"student": student, "assignment": TASK, "outcome": outcome, "notebooks": notebooks}
    score = None if checks is None else checks + gate
    return {"score": score, "max_score": 20.0, "tests": [test], "extra_data": extra} | more


@pytest.fixture(scope="session")
def record() -> Callable[..., dict]:
    return make_record


class Course:
    """solutions/ and submitted/ in `root`, and in `out` what `autograder grade --out` writes there."""

    def __init__(self, root: Path, db: str | None = None):
        self.root, self.out = root, root / "grades"
        self.out.mkdir(exist_ok=True)
        self.times: Times = {}  # of submissions, as `autograder grade` knows them
        self.db = db or f"sqlite:///{self.out / 'gradebook.db'}"
        (root / "solutions" / TASK).mkdir(parents=True)  # one notebook of the assignment: the others are like it
        shutil.copy(ROOT / "solutions" / TASK / FILE, root / "solutions" / TASK)
        shutil.copy(ROOT / CONFIG_FILE, root)

    def submit(self, student: str, answer: str = "one key, one weight: 1", content: bytes | None = None) -> Path:
        nb = nbformat.read(ROOT / "exercises" / TASK / FILE, as_version=4)
        next(c for c in nb.cells if c.id == WRITTEN).source = answer
        path = self.root / "submitted" / student / TASK / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nbformat.writes(nb).encode() if content is None else content)
        return path

    def write(self, *records: dict) -> list[str]:
        return self.write_all(records)

    def write_all(self, records: Iterable[dict]) -> list[str]:
        folders = self.root / "solutions", self.root / "submitted", self.out / "autograded"
        return [str(problem) for problem in write_gradebook(self.db, records, *folders, self.times)]

    def book(self) -> Gradebook:
        return Gradebook(self.db, "conditional-diffusion")

    def state(self, student: str) -> dict[str, tuple]:
        """(auto_score, manual_score, needs_manual_grade) by cell, and whether the notebook is flagged."""
        with self.book() as gb:
            entry = gb.find_submission_notebook(NOTEBOOK, TASK, student)
            grades = {g.name: (g.auto_score, g.manual_score, g.needs_manual_grade) for g in entry.grades}
            return grades | {"flagged": entry.flagged}

    def comment(self, student: str, cell: str = "ClassConditioner") -> str | None:
        with self.book() as gb:
            return gb.find_comment(cell, NOTEBOOK, TASK, student).comment

    def mark(self, student: str, score: float, cell: str = WRITTEN) -> None:
        """What formgrader does when a marker enters a score."""
        with self.book() as gb:
            grade = gb.find_grade(cell, NOTEBOOK, TASK, student)
            grade.manual_score, grade.needs_manual_grade = score, False
            gb.find_comment(WRITTEN, NOTEBOOK, TASK, student).manual_comment = "nicely put"
            gb.db.commit()

    def shown(self, student: str) -> nbformat.NotebookNode:
        return nbformat.read(self.out / "autograded" / student / TASK / FILE, as_version=4)

    def nbgrader(self, *arguments: str, **keywords) -> subprocess.CompletedProcess:
        """A command of nbgrader's in `out`, which finds its settings there."""
        command = [sys.executable, "-m", "nbgrader", *arguments]
        return subprocess.run(command, cwd=self.out, env=environment(), capture_output=True, text=True, **keywords)

    def exported(self) -> dict[str, dict[str, str]]:
        """`nbgrader export`, in this process: starting another costs seconds, and a test may do it twice."""
        with contextlib.chdir(self.out):
            app = ExportApp()
            app.initialize(["--to", "grades.csv"])
            app.start()
        return {row["student_id"]: row for row in csv.DictReader((self.out / "grades.csv").open())}

    def give_feedback(self) -> None:
        """`nbgrader generate_feedback`, in this process too; test_rubrics.py starts the command."""
        with contextlib.chdir(self.out):
            app = GenerateFeedbackApp()
            app.initialize([TASK])
            app.start()


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


class Server:
    """A PostgreSQL server of its own: a folder, a socket in it, no port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://grader@/{database}?host={self.folder}"

    def sql(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="grader", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not binaries:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has at most 107 bytes
    who: dict = {"cwd": folder}
    if os.getuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        who |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    options = ["--auth=trust", "--username=grader", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
    with (folder / "log").open("wb") as log:
        kept = {"stdout": log, "stderr": log, **who}
        subprocess.run([binaries[-1] / "initdb", "-D", folder / "data", *options], check=True, timeout=60, **kept)
        run = [binaries[-1] / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-F"]
        # `timeout`: whatever becomes of the tests, no server outlives them by hours; SIGINT is its fast shutdown
        process = subprocess.Popen(["timeout", "-s", "INT", "2h", *run], **kept)
    server = Server(folder)
    try:
        for _ in range(300):
            try:
                server.sql("SELECT 1")
                break
            except psycopg.OperationalError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield server
    finally:
        process.send_signal(2)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def blank(tmp_path_factory) -> Path:
    """An empty gradebook, to copy: making one takes nbgrader seconds."""
    new = Course(tmp_path_factory.mktemp("blank"))
    assert new.write() == []
    return new.root / "grades"


@pytest.fixture(scope="session")
def template(postgresql: Server, tmp_path_factory) -> str:
    """The same on the server."""
    postgresql.sql("CREATE DATABASE blank")
    assert Course(tmp_path_factory.mktemp("template"), postgresql.url("blank")).write() == []
    return "blank"


@pytest.fixture
def course(request, tmp_path: Path) -> Course:
    """On SQLite, unless the test is parametrised to run on "postgresql" too."""
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copytree(request.getfixturevalue("blank"), tmp_path / "grades")
        return Course(tmp_path)
    server, template = request.getfixturevalue("postgresql"), request.getfixturevalue("template")
    server.sql("DROP DATABASE IF EXISTS grades WITH (FORCE)")
    server.sql(f"CREATE DATABASE grades TEMPLATE {template}")
    return Course(tmp_path, server.url("grades"))
