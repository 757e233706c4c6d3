"""What a record depends on, as hashes: the submitted files, the grader's code and data, and the settings.

Together they are the record's key: a record is kept only while all three are unchanged.
"""

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from autograder import travel
from autograder.gate.harness import describe
from autograder.grading.grader import JUDGES, Grader
from autograder.grading.results import GRADER_VERSION
from autograder.imports import ROOT
from autograder.intake.extract import Unreadable, read_slim
from autograder.sandbox.session import THREADS
from ddpm_core.checkpoint import file_digest


def sha256(*contents: bytes | str) -> str:
    """Hash of all contents and of where each ends."""
    h = hashlib.sha256()
    for content in contents:
        data = content.encode() if isinstance(content, str) else content
        h.update(f"{len(data)}:".encode())
        h.update(data)
    return h.hexdigest()


@functools.cache  # a running grader does not change: its modules are loaded
def grader_hash(root: Path = ROOT) -> str:
    """Hash of every file that can affect a grade (travel.decisive); the same wherever the course is the same."""
    files = travel.decisive(root)
    return sha256(GRADER_VERSION, *(x for f in files for x in (travel.name_of(f, root), f.read_bytes())))


@functools.cache  # not once for every submission: the judge is loaded, and does not change either
def judge_digest(name: str) -> str:
    """Digest of a judge's weights."""
    return file_digest(JUDGES[name])


def settings(grader: Grader, judge: str = "judge") -> dict[str, Any]:
    """What a record depends on besides the submission and the grader's code."""
    return {
        "seed": grader.seed,
        "sandboxed": grader.sandboxed,
        "limits": asdict(grader.limits),
        "check_s": grader.check_s,
        "threads": THREADS,
        "harness": describe(grader.run) if grader.run else None,
        "bands": {k: asdict(b) for k, b in grader.bands.items()},
        "judge": judge_digest(judge),
        "torch": torch.__version__,
    }


def submission_hash(files: dict[str, Path | str]) -> str:
    """Hash of the submitted files' content; for one that is missing or unreadable, of the sentence that says why."""
    contents: list[bytes | str] = []
    for name, path in sorted(files.items()):
        try:
            contents += [name, "none", path] if isinstance(path, str) else [name, "file", read_slim(path)]
        except Unreadable as e:  # missing, a link, too large: only this sentence is judged
            contents += [name, "none", str(e)]
    return sha256(*contents)


def hashes(files: dict[str, Path | str], graders: dict[str, Grader]) -> dict[str, str]:
    """The three hashes of a record by name; `graders` are those of the exercises being judged."""
    used = {name: settings(grader) for name, grader in sorted(graders.items())}
    return {
        "submission": submission_hash(files),
        "grader": grader_hash(),
        "settings": sha256(json.dumps(used, sort_keys=True, default=str)),
    }


def key(hashes: dict[str, str]) -> str:
    """One hash of the three."""
    return sha256(json.dumps(hashes, sort_keys=True))
