"""What a record depends on, as hashes: the submitted files, the grader's code and data, and the settings.

The three together are the record's key: a record is kept only while all of them are as they were.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from autograder.gate.harness import describe
from autograder.grading.judging import THREADS, Grader
from autograder.grading.results import GRADER_VERSION
from autograder.intake.extract import Unreadable, read_bytes
from ddpm_core.checkpoint import file_digest
from ddpm_core.config import DATA_DIR

ROOT = Path(__file__).resolve().parents[2]
JUDGES = {"judge": DATA_DIR / "judges/digits", "course": DATA_DIR / "classifiers/digits"}
PARTS = dict.fromkeys(("autograder", "ddpm_core", "ddpm_tools"), "*.py") | {
    "data/gates": "*.json",
    "solutions": "*.ipynb",
}
# Nothing of these reaches a grade: what is made of records, what only tests or an instructor run, how work is spread.
OUTSIDE = (
    *("adapters", "mutants", "samples", "references", "cli", "challenges", "release"),
    *("reports", "diagnosis", "export"),
)
OUTSIDE_FILES = (
    *("autograder/grading/progress.py", "autograder/grading/cluster.py"),
    *("autograder/sandbox/kernel.py", "autograder/demo.py", "ddpm_tools/demo.py"),
    "data/gates/threads.json",
)


def sha256(*parts: bytes | str) -> str:
    """Of all parts and of where each ends."""
    h = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        h.update(f"{len(content)}:".encode())
        h.update(content)
    return h.hexdigest()


@functools.cache  # a grader does not change while it runs: its modules are loaded
def grader_hash(root: Path = ROOT) -> str:
    """Of every file whose change may change a grade; the same on every machine with the same course."""
    files = {
        path.relative_to(root).as_posix(): path
        for folder, pattern in PARTS.items()
        for path in (root / folder).rglob(pattern)
        if not set(path.relative_to(root).parts) & set(OUTSIDE)
    }
    judging = [part for name in sorted(files.keys() - set(OUTSIDE_FILES)) for part in (name, files[name].read_bytes())]
    return sha256(GRADER_VERSION, *judging)


def settings(grader: Grader, judge: str = "judge") -> dict[str, Any]:
    """What a record depends on besides the submission and the grader's code."""
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


def submission_hash(files: dict[str, Path]) -> str:
    """Of the submitted files' content; of one that cannot be read, of the sentence that says why."""
    parts: list[bytes | str] = []
    for name, path in sorted(files.items()):
        try:
            parts += [name, "file", read_bytes(path)]
        except Unreadable as e:  # absent, a link, too large: all that is judged of it is this sentence
            parts += [name, "none", str(e)]
    return sha256(*parts)


def hashes(files: dict[str, Path], graders: dict[str, Grader]) -> dict[str, str]:
    """The three hashes of a record by name; `graders` of the exercises that are judged."""
    used = {name: settings(grader) for name, grader in sorted(graders.items())}
    return {
        "submission": submission_hash(files),
        "grader": grader_hash(),
        "settings": sha256(json.dumps(used, sort_keys=True, default=str)),
    }


def key(parts: dict[str, str]) -> str:
    """One hash of the three."""
    return sha256(json.dumps(parts, sort_keys=True))
