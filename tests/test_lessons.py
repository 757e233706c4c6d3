"""Every lesson is committed clean, runs from top to bottom in a real kernel, and finds what its text says it finds.

A cell appended here gathers the lesson's figures from its variables and prints them. CHECKS judges what the text says
of them in words, CLAIMS what it says in numbers (see tests/lesson_claims).
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from tests.lesson_claims import Claim, conditioning, flows, guidance, unclaimed, unconditional, wrong
from website.lessons import keep

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(p.stem for p in ROOT.glob("lessons/*.ipynb"))
TIME_LIMIT = 900  # seconds for a whole lesson: a few minutes on two idle cores, and the machine may be busy
MARK = "RESULTS as JSON:"


CHECKS: dict[str, Callable[[dict], None]] = {
    "5_1_unconditional": unconditional.holds,
    "5_2_guidance": guidance.holds,
    "5_3_conditioning": conditioning.holds,
    "5_4_flow": flows.holds,
}
SAID = {  # MEASURED, CLAIMS, SETTINGS
    "5_1_unconditional": unconditional,
    "5_2_guidance": guidance,
    "5_3_conditioning": conditioning,
    "5_4_flow": flows,
}
FIGURES = {"5_1_unconditional": 24, "5_2_guidance": 15, "5_3_conditioning": 22, "5_4_flow": 18}  # at least


def read(lesson: str) -> NotebookNode:
    return nbformat.read(ROOT / "lessons" / f"{lesson}.ipynb", as_version=4)


@pytest.fixture
def own_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python3` is this interpreter, whatever kernels, start-up files and settings the user has."""
    spec = {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python"}
    folder = tmp_path / "jupyter/kernels/python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec | {"display_name": "Python 3"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)


def execute(nb: NotebookNode, lesson: str) -> dict:
    """Run the cells in the lessons' folder, as a student would; returns RESULTS, gathered by a cell at the end."""
    measured = SAID[lesson].MEASURED if lesson in SAID else ""
    nb.cells.append(nbformat.v4.new_code_cell(f"{measured}\nimport json\nprint({MARK!r}, json.dumps(RESULTS))"))
    folder = {"metadata": {"path": str(ROOT / "lessons")}}
    NotebookClient(nb, timeout=TIME_LIMIT, kernel_name="python3", resources=folder).execute()
    return json.loads(nb.cells[-1].outputs[0].text.removeprefix(MARK))


def figures(nb: NotebookNode) -> list[np.ndarray]:
    """The pictures that the cells displayed, as arrays."""
    outputs = [o for c in nb.cells if c.cell_type == "code" for o in c.outputs if "data" in o]
    pngs = [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.data]
    return [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in pngs]


def test_there_are_lessons_and_each_has_its_checks():
    assert set(LESSONS) == set(CHECKS) == set(FIGURES)


@pytest.mark.parametrize("lesson", LESSONS)
def test_committed_lessons_are_clean(lesson: str):
    nb = read(lesson)
    nbformat.validate(nb)
    assert (nb.nbformat, nb.nbformat_minor) == (4, 5)
    assert nb.metadata.kernelspec.name == "python3"
    assert len({c.id for c in nb.cells}) == len(nb.cells)
    for cell in nb.cells:
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)
        assert cell.metadata == {}
        assert str(ROOT) not in cell.source


@pytest.mark.parametrize("lesson", LESSONS)
def test_links_lead_somewhere(lesson: str):
    text = "\n".join(c.source for c in read(lesson).cells if c.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert links and not [link for link in links if not (ROOT / "lessons" / link).exists()]


def test_a_number_that_the_run_does_not_bear_out_is_found():
    cell = nbformat.v4.new_markdown_cell(
        "> Predict: 3.3?\n\nIt is 97.2 % at\n$w$ = 1.25, and 0.86 of all.", id="a-reading"
    )
    nb = nbformat.v4.new_notebook(cells=[cell])
    claim = Claim("a-reading", r"is ([\d.]+) % at", lambda r: [r["share"]], 0.1)
    assert wrong(nb, [claim], {"share": 97.25}) == []
    assert "the run 96.8" in wrong(nb, [claim], {"share": 96.8})[0]
    assert "0 times" in wrong(nb, [replace(claim, words="was ([0-9.]+) %")], {"share": 97.25})[0]
    assert unclaimed(nb, [claim], ("1.25",)) == ["a-reading: 0.86"]


@pytest.mark.parametrize("lesson", SAID)
def test_no_number_is_quoted_without_a_claim(lesson: str):
    assert unclaimed(read(lesson), SAID[lesson].CLAIMS, SAID[lesson].SETTINGS) == []


@pytest.mark.parametrize("lesson", SAID)
def test_a_lesson_is_worked_not_read(lesson: str):
    """Cells of the student's own, short and run as they are; the library's answers folded, after the student's."""
    nb = read(lesson)
    code = [c for c in nb.cells if c.cell_type == "code"]
    own = [c.source for c in code if c.id.startswith("yours-")]
    assert len(own) >= 5 and all(s.startswith("# Your turn: ") and s.count("\n") < 12 for s in own)
    assert "RESULTS" not in "".join(c.source for c in code)
    assert [line for c in code for line in c.source.splitlines() if len(line) > 88] == []
    answers, seen = student_answers(), set()
    for cell in code:
        plugged = set(re.findall(r"student\(\s*\"(\w+)\"", cell.source))
        assert plugged <= answers
        shown, folded = (re.findall(rf"\b{f}\(([^)]*)\)", cell.source) for f in ("show", "fold"))
        assert not answers & set(re.findall(r"\w+", " ".join(shown))), "an exercise's answer is printed"
        assert answers & set(re.findall(r"\w+", " ".join(folded))) <= seen, "folded before the student's own"
        seen |= plugged
    assert len(seen) >= 3
    text = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    assert text.count("https://arxiv.org/abs/") > 15 and text.count("$$") > 10


def student_answers() -> set[str]:
    """What the exercises ask for, by name."""
    notebooks = [nbformat.read(file, as_version=4) for file in ROOT.glob("exercises/*/*.ipynb")]
    marks = [c.metadata.get("nbgrader", {}) for nb in notebooks for c in nb.cells if c.cell_type == "code"]
    return {m["grade_id"] for m in marks if m.get("solution")}


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.parametrize("lesson", LESSONS)
def test_lesson_runs_and_finds_what_it_says(lesson: str, own_kernel: None):
    nb = read(lesson)
    results = execute(nb, lesson)
    drawn = figures(nb)
    assert len(drawn) >= FIGURES[lesson]
    assert all(picture.std() > 1 for picture in drawn), "a figure is empty"
    streams = [o for c in nb.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "stream"]
    assert not [o.text for o in streams if o.name == "stderr"], "warnings are not for students"
    CHECKS[lesson](results)
    if lesson in SAID:
        assert wrong(nb, SAID[lesson].CLAIMS, results) == []
    nb.cells.pop()  # the one that printed RESULTS
    keep(nb, ROOT / "lessons" / f"{lesson}.ipynb")  # `make site` need not run it again


TINY = """
# The preset's cells with a network, data and steps that a test can afford.
import dataclasses
from ddpm_core.data import ImageData
UNET = replace(UNET, channels=(8,) * len(UNET.channels), blocks_per_level=1)
STEPS, SAMPLING_STEPS = 10, 2
TRAIN = replace(TRAIN, steps=STEPS, batch_size=4)

def load_data(name, split, root):
    from ddpm_tools.datasets.vision import TORCHVISION
    images = torch.randint(256, (200, *SHAPE), dtype=torch.uint8, generator=stream(0, split))
    return ImageData(name, split, images, torch.arange(200) % 10, TORCHVISION[name])
"""


SOLVED = f"""
from pathlib import Path
import ddpm_tools.lessons
ddpm_tools.lessons.EXERCISES = Path({str(ROOT / "solutions")!r})
"""

EMOJI = """
noise_data = load_data

def load_data(name, split, root, size=None):
    from ddpm_tools.datasets import load_data as real
    if name != "emoji":
        return noise_data(name, split, root)
    data = real(name, split, root, size=size)
    return replace(data, images=data.images[:400], labels=data.labels[:400], captions=data.captions[:400])
"""

MORE = {  # what else a test cannot afford
    "5_1_unconditional": "SEEDS, N_IMAGES, SWEEP = (0,), 30, (1, 2)",
    "5_2_guidance": "N = 24",
    "5_3_conditioning": EMOJI
    + """
N_IMAGES, N_SWEEP, N_HELDOUT, N_TEXT, N_WALKS = 20, 20, 10, 4, 2
STEPS, PAIRS = 20, PAIRS[:2]  # half of the steps must be enough for a mean of ten losses
TRAIN = replace(TRAIN, steps=STEPS)
UNET = replace(UNET, channels=(32,) * len(UNET.channels))  # a conditioner may count on multiples of 32
""",
    "5_4_flow": EMOJI + "DIT = replace(DIT, channels=(16,), blocks_per_level=1); N, PAIRS, LIVE_STEPS = 20, 40, 3",
}


SHORT_FILE = """
# The script that opens lesson 5.1 has no preset.
import sys
from dataclasses import replace
sys.path.append("../lessons")
import one_file
whole_run = one_file.train
one_file.train = lambda config: whole_run(replace(config, steps=2))
"""


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.parametrize("preset", ["fashion-mnist", "cifar10"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_other_presets_run_the_same_cells(lesson: str, preset: str, own_kernel: None):
    """One name changes the scale: here every cell under the other names, on noise in place of a download."""
    nb = read(lesson)
    index = next(i for i, c in enumerate(nb.cells) if c.id == "preset")
    assert 'PRESET = "digits"' in nb.cells[index].source
    nb.cells[index].source = nb.cells[index].source.replace('PRESET = "digits"', f'PRESET = "{preset}"')
    solved = preset == "cifar10"  # with the model solutions in the student's place
    answers = SOLVED if solved else ""
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(TINY + MORE[lesson] + answers))
    if lesson == "5_1_unconditional":
        nb.cells.insert(0, nbformat.v4.new_code_cell(SHORT_FILE))
    results = execute(nb, lesson)
    assert results["preset"] == preset
    said = "".join(o.text for c in nb.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "stream")
    if lesson in SAID:
        assert ("yours, from exercise" in said) == solved and ("the library's, because" in said) != solved
    if lesson != "5_1_unconditional":  # which needs none
        measured = {"5_2_guidance": "sweep", "5_3_conditioning": "swept", "5_4_flow": "live"}[lesson]
        assert bool(results.get(measured)) == (preset == "cifar10")  # for which a classifier ships
        assert (f"No classifier ships for {preset}" in said) == (preset != "cifar10")
