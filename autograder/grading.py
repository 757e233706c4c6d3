"""A batch: find submissions, judge them side by side, write each record at once, go on where a killed run stopped."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from autograder import gate_plot, results
from autograder.exercises import EXERCISES, assignments, of_assignment
from autograder.exercises.base import Exercise
from autograder.gate import load_bands
from autograder.harness import HARNESSES, Judge, describe
from autograder.judging import THREADS, Grader, judge_notebook
from autograder.names import folder_of, student_of
from autograder.results import NotebookResult, record, submission_key
from ddpm_core.checkpoint import digest, file_digest, write_text
from ddpm_core.config import DATA_DIR
from ddpm_core.metrics.classifier import load_classifier

JUDGES = {"judge": DATA_DIR / "judges/digits", "course": DATA_DIR / "classifiers/digits"}


@dataclass(frozen=True)
class Submission:
    """One student's folder of one assignment, or some of its notebooks."""

    student: str
    assignment: str
    folder: Path
    only: tuple[str, ...] = ()  # notebooks to grade; none named: all

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(e for e in of_assignment(self.assignment) if not self.only or e.name in self.only)

    @property
    def files(self) -> dict[str, Path]:
        return {e.name: self.folder / f"{e.name}.ipynb" for e in self.exercises}

    @property
    def is_link(self) -> bool:
        """Whether the folder is really another one, such as another student's."""
        return self.folder.is_symlink() or self.folder.parent.is_symlink()

    def records(self, out: Path) -> Path:
        return out / folder_of(self.student) / self.assignment


def find(
    submitted: Path, assignment: str | None = None, student: str | None = None, only: tuple[str, ...] = ()
) -> list[Submission]:
    """Submissions in nbgrader's layout; ValueError names what is unknown or missing. `only`: these notebooks alone."""
    if assignment and assignment not in assignments():
        raise ValueError(f"unknown assignment '{assignment}'; known: {', '.join(assignments())}")
    known = {e.name: a for (a, _), e in EXERCISES.items() if assignment in (None, a)}
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"unknown notebook '{unknown[0]}'; known: {', '.join(known)}")
    if not submitted.is_dir():
        raise ValueError(f"there is no folder {submitted}; it should hold STUDENT/ASSIGNMENT/NOTEBOOK.ipynb")
    wanted = (assignment,) if assignment else tuple(a for a in assignments() if not only or a in map(known.get, only))
    found = [
        Submission(student_of(person.name), a, person / a, only)
        for person in sorted(submitted.iterdir())
        if student in (None, person.name, student_of(person.name))
        for a in wanted
        if _may_hold(person / a)
    ]
    if not found:
        whose = f" of {student}" if student else ""
        raise ValueError(f"no submission{whose} in {submitted}; it should hold STUDENT/ASSIGNMENT/NOTEBOOK.ipynb")
    return found


def _may_hold(folder: Path) -> bool:
    """Whether something is handed in there; what cannot even be looked at gets a record that says so."""
    try:
        return folder.is_dir() or folder.is_symlink()
    except OSError:
        return True


def band_file(exercise: Exercise) -> Path:
    """The limits of an exercise's gate, with every run behind them."""
    return DATA_DIR / f"gates/{exercise.name}.json"


def make_grader(exercise: Exercise, seed: int, sandboxed: bool = True, judge: str = "judge", **changes: Any) -> Grader:
    """The grader of an exercise; its gate has the judge of record or the course's own classifier."""
    if not exercise.gate_cell:
        return Grader(None, {}, seed, sandboxed, **changes)
    bands = load_bands(band_file(exercise), judge)
    changes = {"run": HARNESSES[exercise.name], **changes}
    return Grader(Judge.of(load_classifier(JUDGES[judge])), bands, seed, sandboxed, **changes)


def settings(grader: Grader, judge: str = "judge") -> dict[str, Any]:
    """What a record depends on besides the submission."""
    return {
        "seed": grader.seed,
        "sandboxed": grader.sandboxed,
        "limits": asdict(grader.limits),
        "check_s": grader.check_s,
        "threads": THREADS,
        "harness": describe(grader.run),
        "bands": {k: asdict(b) for k, b in grader.bands.items()},
        "judge": file_digest(JUDGES[judge]),
        "torch": torch.__version__,
    }


def grade_one(s: Submission, graders: dict[str, Grader], out: Path, progress: Callable[[str], None]) -> dict:
    """Judge one submission and write its record last, so that a record is there only when all of it is."""
    folder = s.records(out)
    shutil.rmtree(folder, ignore_errors=True)  # an old grade never survives a failed regrade
    folder.mkdir(parents=True)
    notebooks: list[NotebookResult] = []
    for exercise in s.exercises:

        def tell(what: str, share: float, name: str = exercise.name) -> None:
            progress(f"{s.student[:24]}/{name}: {what} {share:.0%}")

        try:
            notebooks.append(grade_notebook(exercise, s, graders[exercise.name], folder, tell))
        except Exception as e:  # ours, not the student's: said so, and the batch goes on
            notebooks.append(NotebookResult(exercise, "infrastructure_error", f"The grader failed: {e!r}."))
    first = graders[s.exercises[0].name]
    # not the seed: with it, and the checks of the bundle, a student could look up every input of the next attempt
    extra = {"key": key_of(s, graders), "sandboxed": first.sandboxed, "grader_version": results.GRADER_VERSION}
    rec = record(s.student, s.assignment, notebooks, **extra)
    private = {"seed": first.seed} | {n.exercise.name: n.instructor for n in notebooks}
    write_text(folder / "instructor.json", json.dumps(private, indent=1) + "\n")
    write_text(folder / "results.json", json.dumps(rec, indent=1) + "\n")
    return rec


def grade_notebook(
    exercise: Exercise, s: Submission, grader: Grader, folder: Path, tell: Callable[[str, float], None]
) -> NotebookResult:
    """Judge one notebook of a submission; the picture of its gate, where it came to that, goes into `folder`."""
    if s.is_link:
        why = f"The folder {s.student}/{s.assignment} is a link; hand in the files themselves."
        return NotebookResult(exercise, "missing", why)
    result, images = judge_notebook(exercise, s.files[exercise.name], grader, tell)
    if images is not None:
        judge = grader.judge.classifier
        gate_plot.save(folder / f"{exercise.name}.png", band_file(exercise), "judge", result.metrics, images, judge)
    return result


def key_of(s: Submission, graders: dict[str, Grader]) -> str:
    """What this submission's record depends on, as a hash."""
    files = {} if s.is_link else s.files
    return submission_key(files, **{e.name: settings(graders[e.name]) for e in s.exercises})


def existing(s: Submission, graders: dict[str, Grader], out: Path) -> dict | None:
    """The record of an earlier run, if it is of exactly this submission and grader; never an infrastructure error."""
    try:
        rec = json.loads((s.records(out) / "results.json").read_text(encoding="utf-8"))
        extra, key = rec["extra_data"], key_of(s, graders)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rec if extra.get("key") == key and extra.get("outcome") != "infrastructure_error" else None


@contextlib.contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Two graders at once would write over each other's records."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise ValueError(
                f"another `autograder grade` is writing to {out}; wait for it, or choose another --out"
            ) from e
        yield


def seed_of_batch(out: Path, seed: int | None) -> int:
    """The seed given, or the one of an earlier run into the same folder, or a fresh one; written down first."""
    file = out / "run.json"
    if seed is None and file.is_file():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return int(json.loads(file.read_text(encoding="utf-8"))["seed"])
    seed = int.from_bytes(os.urandom(8), "big") if seed is None else seed  # too many to try them all
    write_text(file, json.dumps({"seed": seed, "settings": digest({"version": results.GRADER_VERSION})}) + "\n")
    return seed


def grade(
    submissions: list[Submission],
    out: Path,
    seed: int,
    jobs: int = 1,
    sandboxed: bool = True,
    progress: bool = True,
    **changes: Any,
) -> list[dict]:
    """Records of all submissions, in order: those that are done already are kept byte for byte."""
    torch.set_num_threads(1)  # the parent's sums must not depend on the machine's load
    needed = {e.name: e for s in submissions for e in s.exercises}
    graders = {name: make_grader(e, seed, sandboxed, **changes) for name, e in needed.items()}
    done = {i: rec for i, s in enumerate(submissions) if (rec := existing(s, graders, out))}
    bar = tqdm(total=len(submissions), initial=len(done), unit="submission", desc="grading", disable=not progress)

    def work(s: Submission) -> dict:
        try:
            return grade_one(s, graders, out, bar.set_postfix_str)
        except Exception as e:  # its record could not be written: the others go on, and the next run tries again
            why = f"The record could not be written ({e})."
            failed = [NotebookResult(x, "infrastructure_error", why) for x in s.exercises]
            return record(s.student, s.assignment, failed)

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="grading")
    try:
        waiting = {pool.submit(work, s): i for i, s in enumerate(submissions) if i not in done}
        for future in as_completed(waiting):
            done[waiting[future]] = future.result()
            bar.update()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        bar.close()
    return [done[i] for i in range(len(submissions))]


def all_records(out: Path) -> list[dict]:
    """Every record below OUT, also of runs that graded other students or assignments."""
    return [json.loads(f.read_text(encoding="utf-8")) for f in sorted(out.glob("*/*/results.json"))]
