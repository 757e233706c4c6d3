"""One submission from its folder to the files of its record."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from autograder.exercises.base import Exercise
from autograder.gate import plot
from autograder.grading import provenance, results
from autograder.grading.blame import Unusable, of_the_answer
from autograder.grading.checking import noted
from autograder.grading.grader import Grader, band_file
from autograder.grading.judging import judge_notebook
from autograder.grading.messages import sentence
from autograder.grading.results import NotebookResult, record
from autograder.intake.submissions import Submission
from autograder.sandbox.scratch import temporary
from ddpm_tools.outputs import json_text


def judge_submission(
    s: Submission, graders: dict[str, Grader], hashes: dict[str, str], progress: Callable[[str], None]
) -> dict[str, bytes]:
    """The files of a submission's record, by name. `hashes` are taken before its notebooks are read."""
    notebooks: list[NotebookResult] = []
    with temporary() as scratch:
        for exercise in s.exercises:

            def tell(what: str, share: float, name: str = exercise.name) -> None:
                progress(f"{s.student[:24]}/{name}: {what} {share:.0%}")

            try:
                notebooks.append(grade_notebook(exercise, s, graders[exercise.name], Path(scratch), tell))
            except Exception as e:  # our fault, not the student's: report it, and go on with the batch
                notebooks.append(NotebookResult(exercise, "infrastructure_error", f"The grader failed: {e!r}."))
        pictures = {file.name: file.read_bytes() for file in sorted(Path(scratch).iterdir())}
    first = graders[s.exercises[0].name]
    # not the seed: with it and the checks in the bundle, a student could work out every input of the next attempt
    extra = {"key": provenance.key(hashes), "hashes": hashes, "sandboxed": first.sandboxed}
    rec = record(s.student, s.assignment, notebooks, **extra, grader_version=results.GRADER_VERSION)
    private = {"seed": first.seed} | {n.exercise.name: n.instructor for n in notebooks}
    texts = {"instructor.json": private, "results.json": rec}
    return pictures | {name: (json_text(content, indent=1) + "\n").encode() for name, content in texts.items()}


def grade_notebook(
    exercise: Exercise, s: Submission, grader: Grader, folder: Path, tell: Callable[[str, float], None]
) -> NotebookResult:
    """Judge one notebook of a submission; the gate's picture, if there is one, goes into `folder`."""
    if why := s.problem(exercise.name):
        return NotebookResult(exercise, "missing", sentence(why))
    result, images = judge_notebook(exercise, s.files[exercise.name], grader, tell)
    if taken := s.taken(exercise.name):
        result.reason = f"{result.reason} {sentence(taken)}"
    if images is not None:
        judge = grader.judge.classifier
        with contextlib.suppress(Unusable), of_the_answer(partial(noted, result, "picture")):  # no points depend on it
            file = folder / f"{exercise.name}.png"
            plot.save(file, band_file(exercise), "judge", result.metrics, images, judge, result.ended)
    return result


def hashes_of(s: Submission, graders: dict[str, Grader]) -> dict[str, str]:
    """Hashes of what this submission's record depends on."""
    files = {f"{name}{s.taken(name)}": s.problem(name) or path for name, path in s.files.items()}
    return provenance.hashes(files, {e.name: graders[e.name] for e in s.exercises})
