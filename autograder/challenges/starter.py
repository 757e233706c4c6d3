"""Makes the notebook with which a challenge starts. Only the open functions can be edited."""

import json
from typing import Any

from autograder.challenges import TEMPLATES
from autograder.challenges.attempts import LIMIT
from autograder.challenges.examples import examples
from autograder.challenges.published import SCALES, figures
from autograder.challenges.tracks import EXTRACTOR, METRICS, Track
from ddpm_tools.reports.html import render

SETUP = {
    "conditioning": "\nfrom ddpm_core.layers import AdaLNBlock, CrossAttentionLayer",
    "prediction": "",
    "architecture": "\nimport os",
    "few_steps": "\nfrom ddpm_core.schedule import DiffusionSchedule",
}
IMPORTS = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"


def notebook(track: Track) -> str:
    """Return the notebook's text, which is the same every time."""
    fids = {name: [row.shown(scale) for scale in SCALES] for name, row in figures(track.name).items()}
    designs = [(e, fids.get(e.name, ["–"] * len(SCALES))) for e in examples(track.name)]
    titles = [METRICS[m].title for m in track.metrics]
    kind = "few_steps" if track.evaluations else track.name
    cells = [
        _cell(
            "markdown",
            "intro",
            f"# Challenge: {track.name}\n\nOpen: {track.open}. Everything else is the course's own.",
        ),
        _cell("code", "setup", IMPORTS + SETUP[kind]),
        _cell("markdown", "contract", _text(f"contract_{kind}", n=track.evaluations)),
        *(_cell("code", name, source, opened=True) for name, source in track.stub.items()),
        *([_cell("code", "try", _text("try_few_steps", n=track.evaluations))] if track.evaluations else ()),
        _cell("markdown", "baselines", _text("baselines", track=track, designs=designs, EXTRACTOR=EXTRACTOR)),
        _cell("markdown", "testing", _text("testing", track=track, titles=titles, LIMIT=LIMIT)),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def _text(name: str, **values: Any) -> str:
    return render(TEMPLATES / f"{name}.md", **values)


def _cell(kind: str, name: str, text: str, opened: bool = False) -> dict[str, Any]:
    """Return a cell with nbgrader's metadata. No cell can be deleted, and only open ones can be edited."""
    marks = {"cell_type": kind, "grade": False, "grade_id": name, "locked": not opened, "schema_version": 3}
    meta = {"deletable": False, "nbgrader": {**marks, "solution": opened, "task": False}}
    meta |= {} if opened else {"editable": False}
    source = text.rstrip("\n").splitlines(keepends=True)
    more = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": name.replace("_", "-"), "metadata": meta, "source": source, **more}
