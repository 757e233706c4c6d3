"""One submission, judged on another grader's machine with the files from `packing`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autograder.exercises import of_assignment
from autograder.sandbox.scratch import temporary
from ddpm_tools.outputs import json_text

OUTPUT_BYTES = 20_000  # per test's output; other graders truncate long ones themselves, or reject the whole
OURS = "The grader could not finish (its failure, not yours): no score was given. Please hand in again later."


def judge(submission: Path, told: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The record, and a text only for the instructor. `told` are the settings that `packing.settings` writes."""
    from autograder.grading import batch
    from autograder.intake.submissions import Submission

    only, seed = tuple(told["notebooks"]), int.from_bytes(os.urandom(8), "big")
    folder = submitted_folder(submission, only or [e.name for e in of_assignment(told["assignment"])])
    with temporary() as scratch:
        handed_in = [Submission("submission", told["assignment"], folder, only)]
        record = batch.grade(handed_in, Path(scratch), seed, sandboxed=told["sandboxed"], progress=False)[0]
        private = next(Path(scratch).glob("*/*/instructor.json"), None)
        return record, private.read_text(encoding="utf-8") if private else f"seed {seed}"


def read(settings: Path) -> dict[str, Any]:
    """What `packing.settings` wrote."""
    return json.loads(settings.read_text(encoding="utf-8"))


def submitted_folder(submission: Path, names: Iterable[str]) -> Path:
    """The folder with the notebooks: the submission's, or the one in an uploaded zip that has any."""
    files = [f"{name}.ipynb" for name in names]
    folders = [submission, *sorted(p for p in submission.rglob("*") if p.is_dir() and not p.is_symlink())]
    held = [folder for folder in folders if any((folder / file).exists() for file in files)]
    return held[0] if held else submission


def write_results(root: Path, results: dict[str, Any]) -> dict[str, Any]:
    """Write ROOT/results/results.json; returns `results`."""
    (root / "results").mkdir(exist_ok=True)
    (root / "results/results.json").write_text(json_text(results, indent=1) + "\n", encoding="utf-8")
    return results
