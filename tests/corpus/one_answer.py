"""One released notebook with an answer in it, and what no student may be told; for the tests of other graders."""

import json
import re
from pathlib import Path

from autograder.cli.main import main
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[2]
ASSIGNMENT, NOTEBOOK, CELL = "5_2_guidance", "label_dropout", "drop_labels"
CRASH = "import os\n\n\ndef drop_labels(*args, **kwargs):\n    os._exit(3)\n"
HIDDEN = re.compile(r"\d{17,}|traceback|\"printed\"|\"seed\"", re.I)  # a seed of a batch has some 19 digits


def handed_in(source: str | None = None) -> str:
    """The notebook with `source` as its answer, or as it was released."""
    nb = json.loads((ROOT / "exercises" / ASSIGNMENT / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if source is not None and grade_id(cell) == CELL:
            cell["source"] = source
    return json.dumps(nb)


def package(kind: str, out: Path, *more: str) -> Path:
    """The notebook as `autograder package --format kind` writes it to `out`."""
    words = ["package", ASSIGNMENT, "--format", kind, "--notebook", NOTEBOOK, "--course", str(ROOT)]
    main([*words, "--out", str(out), *more])
    return out
