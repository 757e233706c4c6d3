"""The notebook to begin a challenge with: only the open functions can be edited."""

from __future__ import annotations

import json
from typing import Any

from autograder.challenges.attempts import LIMIT
from autograder.challenges.examples import examples
from autograder.challenges.published import figures
from autograder.challenges.tracks import EXTRACTOR, METRICS, PROTOCOL, Track

SETUP = {
    "conditioning": "\nfrom ddpm_core.layers import AdaLNBlock, CrossAttentionLayer",
    "prediction": "",
    "architecture": "\nimport os",
}
IMPORTS = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


def notebook(track: Track) -> str:
    """The notebook's text; the same every time."""
    cells = [
        _markdown("intro", f"# Challenge: {track.name}\n\nOpen: {track.open}. Everything else is the course's own."),
        _code("setup", IMPORTS + SETUP[track.name]),
        _markdown("contract", f"## The contract\n\n{track.contract}\n\n{ALONE}"),
        *(_code(name, source, opened=True) for name, source in track.stub.items()),
        _markdown("baselines", baselines(track)),
        _markdown("testing", testing(track)),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


ALONE = (
    "Only the open cells are taken, with nothing around them but the imports of the set-up cell: helpers belong "
    "*inside* an open cell. All of the contract is checked before anything is trained, and a design that breaks it is "
    "turned away with the reason, at no cost."
)


def baselines(track: Track) -> str:
    """What is to be beaten, in words and in published figures."""
    lines = ["## To beat\n", "| design | kind | what it is | published FID, small | medium | large |", "|---|" * 1]
    lines[-1] = "|---|---|---|---|---|---|"
    known = figures(track.name)
    for e in examples(track.name):
        row = known.get(e.name)
        cells = [row.shown(scale) for scale in ("small", "medium", "large")] if row else ["–"] * 3
        lines.append(f"| {e.name} | {e.kind} | {e.about} | {' | '.join(cells)} |")
    note = (
        "\nThe published figures are clean-fid's on CIFAR-10 after 35,000 steps on GPUs. A test here gives other "
        f"numbers, on another scale, and the two are never compared: {PROTOCOL}; distances in {EXTRACTOR}. "
        "`autograder challenge leaderboard` shows what the known designs reach in a test."
    )
    return "\n".join(lines) + "\n" + note


def testing(track: Track) -> str:
    names = ", ".join(METRICS[m].title for m in track.metrics)
    return f"""## How to test

    autograder challenge test THIS.ipynb --track {track.name} --name YOUR-NAME
    autograder challenge submit --track {track.name} --name YOUR-NAME -n 2
    autograder challenge leaderboard

A test checks the contract, then trains and samples on several seeds, in at most two minutes on two idle cores. It gives
{names}, each with its 95 % interval, and the paired difference from `{track.baseline}` on the same seeds. The Fréchet
distance decides the rank.

You have **{LIMIT} tests**, and submit one of them, once. A design that breaks the contract, and an error of ours, use
up none; a test that you stop uses up one. All of it goes into a log that keeps every line."""


def _markdown(name: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": _lock(name, "markdown"), "source": _lines(text)}


def _code(name: str, text: str, opened: bool = False) -> dict[str, Any]:
    meta = _lock(name, "code", opened)
    rest = {"execution_count": None, "outputs": []}
    return {"cell_type": "code", "id": name.replace("_", "-"), "metadata": meta, "source": _lines(text), **rest}


def _lock(name: str, kind: str, opened: bool = False) -> dict[str, Any]:
    """nbgrader's marks: an open cell can be edited but not deleted, any other neither."""
    marks = {"cell_type": kind, "grade": False, "grade_id": name, "locked": not opened, "schema_version": 3}
    meta = {"deletable": False, "nbgrader": {**marks, "solution": opened, "task": False}}
    return meta if opened else {**meta, "editable": False}


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").splitlines(keepends=True)
