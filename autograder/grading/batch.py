"""A batch: find submissions, judge them in parallel, write each record at once, resume a killed run."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from autograder.grading import provenance, results
from autograder.grading.grader import JUDGES, Grader, make_grader
from autograder.grading.private import write_bytes, write_text
from autograder.grading.progress import Progress, only_one
from autograder.grading.provenance import settings
from autograder.grading.results import NotebookResult, record
from autograder.grading.submission import hashes_of, judge_submission
from autograder.intake.student_ids import folder_of
from autograder.intake.submissions import Submission, find
from autograder.sandbox import forks
from autograder.sandbox.limits import BUSY
from ddpm_core.files import digest
from ddpm_tools.outputs import json_text

DRAFT = ".new"  # suffix of a record's file while it is being replaced
TWICE = "Graded twice: the first time, the machine was too busy to give it a processor."

__all__ = ["JUDGES", "Submission", "all_records", "find", "grade", "make_grader", "only_one", "settings"]


def withdraw(s: Submission, out: Path) -> None:
    """Remove the old record: it must not survive a failed regrade, and a new record must not lie beside an old picture.

    Files that the grader did not write stay, and so does another student's record (see `owner`).
    """
    if owner(s, out) not in (None, s.student):
        return
    _remove(s.records(out))
    for file in s.records(out).glob(f"*{DRAFT}"):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # missing or not empty
        s.records(out).rmdir()


def _remove(folder: Path) -> None:
    (folder / "results.json").unlink(missing_ok=True)  # first: without it, the rest is not a record
    for file in (folder / "instructor.json", *folder.glob("*.png"), *folder.glob("*.tmp")):
        file.unlink(missing_ok=True)


def write_record(s: Submission, files: dict[str, bytes] | str, out: Path, old: dict | None = None) -> dict:
    """Write a record and return it. results.json comes last, so a record exists only when it is complete.

    If it cannot be written, or if `files` says why there is none, it is an infrastructure error, which the next run
    tries again. An `old` record of the same submission and grader stays if grading again gives nothing.
    """
    folder, rec = s.records(out), None
    try:
        if isinstance(files, dict) and (other := owner(s, out)) not in (None, s.student):
            files = f"On this disk, its record folder is the same as that of '{other}'; rename one of the two."
        if isinstance(files, dict):
            rec = json.loads(files["results.json"])
            if not old or rec["extra_data"]["outcome"] != "infrastructure_error":
                for name, content in files.items():  # first beside the old ones, since the disk may be full
                    write_bytes(folder / f"{name}{DRAFT}", content)
                _remove(folder)
                for name in sorted(files, key=lambda name: name == "results.json"):
                    os.replace(folder / f"{name}{DRAFT}", folder / name)
                return rec
    except OSError as e:
        rec, files = None, f"The record could not be written ({e})."
        for file in folder.glob(f"*{DRAFT}"):
            file.unlink(missing_ok=True)
    whole = [NotebookResult(x, "infrastructure_error", str(files)) for x in s.exercises]
    rec = rec or record(s.student, s.assignment, whole)
    return old | {"extra_data": old["extra_data"] | {"kept": rec["output"]}} if old else rec


def owner(s: Submission, out: Path) -> str | None:
    """Whose record is in this one's place: another student's if the disk treats `Ada` and `ada` as one name."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((s.records(out) / "results.json").read_text(encoding="utf-8"))["extra_data"]["student"]
    return None


def existing(s: Submission, graders: dict[str, Grader], out: Path) -> dict | None:
    """The record of an earlier run, if it is for exactly this submission and grader; never an infrastructure error."""
    try:
        rec = json.loads((s.records(out) / "results.json").read_text(encoding="utf-8"))
        extra, key = rec["extra_data"], provenance.key(hashes_of(s, graders))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = extra.get("key") == key and extra.get("student") == s.student
    return rec if same and extra.get("outcome") != "infrastructure_error" else None


def starved(rec: dict) -> bool:
    """Whether a notebook has no result only because the machine was busy."""
    return any(n.get("code") == BUSY for n in rec["extra_data"]["notebooks"].values())


def seed_of_batch(out: Path, seed: int | None) -> int:
    """The given seed, or that of an earlier run into the same folder, or a new one; written down first."""
    file = out / "run.json"
    if seed is None and file.is_file():
        try:
            return int(json.loads(file.read_text(encoding="utf-8"))["seed"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{file} is damaged, so the seed of this batch is lost; pass it with --seed (each instructor.json has "
                "it), or remove the file to grade everything again with new inputs"
            ) from None
    seed = int.from_bytes(os.urandom(8), "big") if seed is None else seed  # too many to try them all
    write_text(file, json.dumps({"seed": seed, "settings": digest({"version": results.GRADER_VERSION})}) + "\n")
    return seed


def grade(
    submissions: list[Submission],
    out: Path,
    seed: int,
    jobs: int | str = 1,
    sandboxed: bool = True,
    progress: bool = True,
    regrade: bool = False,
    **changes: Any,
) -> list[dict]:
    """Records of all submissions, in order. Finished ones are kept byte for byte, unless `regrade`.

    `jobs` is a number of threads of this process or the address of a Dask cluster. Submissions that a busy machine
    starved are graded once more at the end, one at a time, and the instructor is told so.
    """
    for left in out.glob("*.tmp"):  # by a run killed while writing
        if left.is_file():
            left.unlink()
    torch.set_num_threads(1)  # the parent's sums must not depend on the machine's load
    needed = {e.name: e for s in submissions for e in s.exercises}
    graders = {name: make_grader(e, seed, sandboxed, **changes) for name, e in needed.items()}
    old = {s: rec for s in submissions if (rec := existing(s, graders, out))}
    done = {} if regrade else {s: rec for s, rec in old.items() if not starved(rec)}
    todo, again = [s for s in submissions if s not in done], []
    progress_file = Progress(out, len(submissions), [rec["extra_data"]["outcome"] for rec in done.values()])
    bar = tqdm(total=len(submissions), initial=len(done), unit="submission", desc="grading", disable=not progress)

    def finish(s: Submission) -> None:
        progress_file.finish(s.name, done[s]["extra_data"]["outcome"])
        bar.update()

    here = sum(len(s.exercises) for s in todo) if sandboxed and isinstance(jobs, int) else 0
    say = partial(bar.write, file=sys.stderr) if progress else lambda why: None
    with contextlib.closing(bar), forks.serving(here, say) as zygote, workers(jobs if todo else 1, sandboxed) as judged:
        graders = {name: replace(grader, zygote=zygote) for name, grader in graders.items()}
        for s in todo:
            with contextlib.suppress(OSError):  # then its new record cannot be written either, which is reported
                if s not in old:
                    withdraw(s, out)
        for s, files in judged(todo, graders, progress_file, bar):
            done[s] = write_record(s, files, out, old.get(s))
            again.append(s) if starved(done[s]) else finish(s)
        for waiting in again:
            for s, files in judged([waiting], graders, progress_file, bar):
                done[s] = write_record(s, noted(files, TWICE), out, done[s])
                finish(s)
    progress_file.end()
    return [done[s] for s in submissions]


def noted(files: dict[str, bytes] | str, flag: str) -> dict[str, bytes] | str:
    """The same files, with a sentence for the instructor added."""
    if isinstance(files, str):
        return files
    private = json.loads(files["instructor.json"])
    private["flags"] = [*private.get("flags", []), flag]
    return files | {"instructor.json": (json_text(private, indent=1) + "\n").encode()}


Judged = Iterator[tuple[Submission, dict[str, bytes] | str]]  # in the order they finish


@contextlib.contextmanager
def workers(
    jobs: int | str, sandboxed: bool
) -> Iterator[Callable[[list[Submission], dict[str, Grader], Progress, tqdm], Judged]]:
    """The workers: a cluster, or threads of this process, each waiting for its own child."""
    if isinstance(jobs, str):
        from autograder.grading import cluster

        with contextlib.closing(cluster.connect(jobs, sandboxed)) as client:
            yield lambda todo, graders, progress_file, bar: cluster.run(client, todo, graders, progress_file.start)
        return
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="grading")

    def judged(todo: list[Submission], graders: dict[str, Grader], progress_file: Progress, bar: tqdm) -> Judged:
        def work(s: Submission) -> dict[str, bytes] | str:
            progress_file.start(s.name)
            try:
                return judge_submission(s, graders, hashes_of(s, graders), bar.set_postfix_str)
            except Exception as e:  # our fault: the others continue, and the next run tries again
                return f"The grader failed ({e!r})."

        waiting = {pool.submit(work, s): s for s in todo}
        for future in as_completed(waiting):
            yield waiting.pop(future), future.result()  # popped: it holds a record's files, which are written now

    try:
        yield judged
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def all_records(out: Path) -> list[dict]:
    """Every record below OUT, including those of other runs; ValueError names a damaged one.

    A record that is not in its student's folder (an older version put it there) does not count.
    """
    records = []
    for file in sorted(out.glob("*/*/results.json")):
        try:
            rec = json.loads(file.read_text(encoding="utf-8"))
            where = folder_of(rec["extra_data"]["student"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{file} is damaged; remove it and grade that student again") from None
        records += [rec] if where == file.parts[-3] else []
    return records
