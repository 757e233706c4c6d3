"""Kills grading runs at random moments, starts them again, and compares the grades with those of an undisturbed run.

    python tests/autograder/interrupted.py FOLDER [--points N] [--moments N] [--seed S]

Every run is a process of its own that ends by SIGKILL: nothing of it can tidy up. It is forked from this one, which has
imported all, so that a run costs what it does and not the import of torch. Two kinds of kill:

- at a point (most of them): right before the k-th operation by which a run makes, renames or removes a file of its
  folder, for a random k. Answers are judged by a stand-in that takes no time, since what is tried here is the order of
  what is written; in a real run nearly every random moment would fall into the judging.
- at a moment: after a random time, of a real run with a real child, tables and gradebook.

A run that is not killed ends its round; the next round begins with an empty folder. Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from nbgrader.api import Gradebook

from autograder import samples
from autograder.adapters import gradebook, table
from autograder.cli import grade
from autograder.cli.main import parser
from autograder.exercises import EXERCISES
from autograder.grading import batch, provenance, submission
from autograder.grading.results import NotebookResult, Test

IMPORTED = (gradebook, table)  # which `batch` would import anew in each run
ROOT = Path(__file__).resolve().parents[2]
POINTS = ("ada-film", "dana-first-label", "nina-nan", "otto-not-a-notebook", "zoe-blank")
MOMENTS = ("finn-forger", "zoe-blank")  # one needs a child
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def stand_in(exercise, s, grader, folder, tell):
    """What judging gives, at once: points that hang on the content, and a picture."""
    content = s.files[exercise.name].read_bytes()
    points = hashlib.sha256(content).digest()[0] % 11
    (folder / f"{exercise.name}.png").write_bytes(content[:1000])
    tests = [Test(exercise.checks[0].name, points / 11 * exercise.checks[0].points, exercise.checks[0].points, "so so")]
    return NotebookResult(exercise, "graded", "A stand-in.", tests)


def run(submitted: Path, out: Path, course: Path, before: Callable[[], None] = lambda: None) -> int:
    """Fork a run; its process id."""
    if pid := os.fork():
        return pid
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        before()
        options = ["--seed", "3", "--jobs", "2", "--course", str(course), "--notebook", samples.EXERCISE]
        grade.grade_folder(parser().parse_args(["grade", str(submitted), "--out", str(out), *options]))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def die_before(k: int, out: Path) -> None:
    """End this process right before its k-th change in `out`."""
    left = k

    def hook(event: str, args: tuple) -> None:
        nonlocal left
        writes = event in WRITES or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"))
        if writes and str(args[0]).startswith(str(out)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(pid: int) -> bool:
    """Wait for a run; whether it was killed. Any other failure is one of this test."""
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "a run failed"
    return False


def grades(out: Path) -> dict:
    """All that a run is for: records without timings, table, and gradebook where there is one."""
    found = {}
    for file in sorted(out.glob("*/*/results.json")):
        rec = json.loads(file.read_text(encoding="utf-8"))
        for n in rec["extra_data"]["notebooks"].values():
            n.pop("timings")
        beside = sorted(p.name for p in file.parent.iterdir())
        found[str(file.relative_to(out))] = [rec, beside]
    found["table"] = (out / "grades.csv").read_text(encoding="utf-8")
    if (out / "gradebook.db").is_file():
        with Gradebook(f"sqlite:///{out / 'gradebook.db'}") as gb:
            found["gradebook"] = sorted(
                [s.student.id, n.name, g.name, g.auto_score, g.manual_score]
                for a in gb.assignments
                for s in gb.assignment_submissions(a.name)
                for n in s.notebooks
                for g in n.grades
            )
            gb.engine.dispose()
    return found


def unchanged(out: Path, kept: dict[Path, bytes]) -> None:
    """A record is whole as soon as it is there, and stays as it is."""
    for file in out.glob("*/*/results.json"):
        content = file.read_bytes()
        json.loads(content)
        assert kept.setdefault(file, content) == content, f"{file} was graded twice"
        assert (file.parent / "instructor.json").is_file(), f"{file} is there before the rest"


def rounds(kills: int, start: Callable[[bool], int], out: Path, expected: dict) -> int:
    """Kill that many runs; after each round's last one the grades must be the expected ones. Returns the kills."""
    done = 0
    while done < kills:
        shutil.rmtree(out, ignore_errors=True)
        kept: dict[Path, bytes] = {}
        while killed(start(done < kills)):
            done += 1
            unchanged(out, kept)
        unchanged(out, kept)
        found = grades(out)
        differing = [name for name in expected if found.get(name) != expected[name]]
        assert found == expected, f"the grades differ from those of an undisturbed run: {differing}"
    return done


def at_points(folder: Path, kills: int, chance: random.Random) -> int:
    submitted, out, empty = folder / "few", folder / "killed", folder / "empty"
    samples.write(submitted, ROOT / "exercises", POINTS)
    empty.mkdir()
    submission.grade_notebook, real = stand_in, submission.grade_notebook
    try:
        assert not killed(run(submitted, folder / "whole", empty))
        expected = grades(folder / "whole")

        def start(kill: bool) -> int:
            k = chance.randint(1, 160) if kill else 0  # a run that has all before it makes about as many changes
            return run(submitted, out, empty, lambda: die_before(k, out))

        return rounds(kills, start, out, expected)
    finally:
        submission.grade_notebook = real


def at_moments(folder: Path, kills: int, chance: random.Random) -> int:
    submitted, out, course = folder / "real", folder / "killed-later", folder / "course"
    samples.write(submitted, ROOT / "exercises", MOMENTS)
    there = course / "solutions" / samples.ASSIGNMENT  # one notebook of the course, to save time
    there.mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", course)
    shutil.copy(ROOT / "solutions" / samples.ASSIGNMENT / samples.NOTEBOOK, there)
    began = time.monotonic()
    assert not killed(run(submitted, folder / "whole-real", course))
    took, expected = time.monotonic() - began, grades(folder / "whole-real")
    assert any(score is not None for *_, score, _ in expected["gradebook"])

    def start(kill: bool) -> int:
        pid = run(submitted, out, course)
        if kill:
            time.sleep(chance.uniform(0, 0.6 * took))
            os.kill(pid, signal.SIGKILL)
        return pid

    return rounds(kills, start, out, expected)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--points", type=int, default=44)
    p.add_argument("--moments", type=int, default=6)
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    print(f"seed {a.seed}", flush=True)
    ready = batch.make_grader(EXERCISES[samples.ASSIGNMENT, samples.EXERCISE], 3)
    provenance.grader_hash()  # read once, for all runs
    batch.make_grader = lambda exercise, seed, sandboxed: ready  # its classifier is loaded once, for all runs
    chance = random.Random(a.seed)
    points = at_points(a.folder, a.points, chance)
    moments = at_moments(a.folder, a.moments, chance) if a.moments else 0
    print(json.dumps({"points": points, "moments": moments}))


if __name__ == "__main__":
    main()
