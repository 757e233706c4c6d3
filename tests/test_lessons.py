"""Every lesson is committed clean, runs from top to bottom in a real kernel, and finds what its text says it finds.

A lesson keeps its figures in a dict called RESULTS; a cell appended here prints it, and CHECKS judges it.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from tests.lesson_claims import conditioning, unclaimed, wrong
from website.lessons import keep

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(p.stem for p in ROOT.glob("lessons/*.ipynb"))
TIME_LIMIT = 900  # seconds for a whole lesson: a few minutes on two idle cores, and the machine may be busy
MARK = "RESULTS as JSON:"


def unconditional(results: dict) -> None:
    """5_1: the exact statements in two dimensions, and what the text claims about the small trained networks."""
    assert results["walk"]["moments"] < 0.01 < 0.5 < results["walk"]["apart"]  # one distribution, other points
    linear, cosine = results["schedules"]["linear"], results["schedules"]["cosine"]
    assert linear["half"] < 300 < 480 < cosine["half"] < 520 and linear["faint"] > 2 * cosine["faint"]
    assert abs(cosine["end"] / 2.4e-10 - 1) < 0.05
    assert results["tweedie"] < 1e-9 and results["eta_1"] < 1e-9
    assert all(m["apart"] < 0.1 and m["pairs"] > 100 for m in results["mean"].values())
    floor = results["floor"]
    assert min(floor["epsilon"][0], floor["x0"][1], *floor["v"]) > 0.8 > 0.05 > max(floor["epsilon"][1], floor["x0"][0])
    assert results["ill_posed"]["epsilon 0.01"] > 100 > 0.02 > results["ill_posed"]["v 0.01"]
    paths = results["paths"]
    assert paths["DDPM"] > 1.5 * paths["DDIM"] and max(paths["same"], paths["again"]) < 0.95
    assert min(curve["200"] for curve in results["steps2d"].values()) > 0.95
    assert results["train"]["first"] > 0.8 > 0.4 > results["train"]["last"]
    assert results["ema_share"]["cold"] > 0.9 > 1e-9 > results["ema_share"]["warm"]
    ema = results["ema"]
    assert (
        ema["EMA 0.9999, no warm-up"] > 3 * ema["EMA with warm-up"]
        and ema["EMA with warm-up"] < 1.2 * ema["raw weights"]
    )
    assert all(v["first"] > v["last"] > v["limit"] for v in results["by_n"].values()) and len(results["by_n"]) == 2
    sweep = results["sweep"]
    assert sweep["DDIM"]["1"] > 2 * sweep["DDIM"]["20"]
    error = results["image_error"]
    assert error["epsilon"]["999"] > 10 * max(error["v"]["999"], error["x0"]["999"])
    assert error["x0"]["5"] > 2 * max(error["epsilon"]["5"], error["v"]["5"])
    record, n = results["record"], results["record"]["reruns"]  # the lesson leans on its orders
    assert n >= 3 and record["heldout_loss v x0"] == n and record["heldout_loss x0 epsilon"] == n
    assert record["distance x0 epsilon"] < n / 4 and record["distance v epsilon"] < n / 2
    assert max(results["distance"]["x0"]) < min(results["distance"]["epsilon"])  # in the short run, the other order
    costs = results["attention_flops"]
    assert costs["nowhere"] < costs["one resolution"] < costs["everywhere"]
    assert 8_000_000 < results["costs"]["published, small"]["parameters"] < 10_000_000


def guidance(results: dict) -> None:
    """5_2: what the text claims about the plane, the sweep, the interval, autoguidance and dropped labels."""
    assert results["bayes_error"] < 1e-9
    plane, controls = results["plane"], results["controls"]
    assert plane["1"]["apart"] < 1.4 * plane["1"]["floor"] < 0.2 < plane["2"]["apart"] < 0.8 < plane["8"]["apart"]
    assert plane["4"]["share"][0] > 0.97 and plane["8"]["share"][1] < 0.75  # lonely hump: guided, and by the formula
    assert plane["4"]["centre"][0] < -1.05 < plane["4"]["centre"][1] and plane["4"]["spread"][0] < 0.2
    assert controls["exact denoiser of (5)"] < 0.2 < controls["guided, then shaken"] < 0.6 < controls["guided"]
    gap = {int(t): v for t, v in results["discrepancy"]["4"].items()}
    assert 200 <= max(gap, key=gap.get) <= 600
    assert max(v for t, v in results["discrepancy"]["1"].items() if int(t) >= 20) < 0.02  # below: the grid's cells
    sweep = results["sweep"]
    frechet, precision, recall, adherence = (
        {int(w): f[m] for w, f in sweep.items()} for m in ("frechet", "precision", "recall", "adherence")
    )
    assert 0.9 < adherence[1] < 0.99 < adherence[2]
    assert frechet[1] < frechet[2] < frechet[4] < frechet[8] and frechet[10] > 3 * frechet[1]
    assert precision[10] < precision[1] < precision[2]
    assert recall[1] > 0.85 > 0.75 > recall[2] > 0.55 > recall[4]
    assert sweep["10"]["diversity"] > sweep["4"]["diversity"]  # it scatters
    interval = results["interval"]
    middle, most = interval["three in the middle, 350 to 650"], interval["200 to 800"]
    assert (middle["evaluations"], most["evaluations"], interval["everywhere"]["evaluations"]) == (13, 16, 20)
    assert middle["frechet"] < frechet[2] and middle["recall"] > recall[2] and middle["adherence"] > 0.98
    assert most["frechet"] < frechet[4] and most["adherence"] > 0.99
    auto = results["auto"]
    assert auto["2"]["precision"] > precision[1] + 0.02 and auto["2"]["recall"] > recall[1] - 0.1
    assert 1.3 < results["repairs"]["CFG++, lam = 0.6"]["frechet"] / frechet[1] < 3
    ema, share = results["ema"], results["share"]
    early, late = ([v["frechet"] for k, v in ema.items() if name in k] for name in ("small", "end"))  # raw, EMA
    assert early[1] < early[0] and abs(late[0] - late[1]) < 0.5
    assert share["3.0"]["0.0"]["frechet"] > 2 * share["1.0"]["0.0"]["frechet"]
    assert share["1.0"]["0.9"]["adherence"] < 0.6 < 0.7 < share["1.0"]["0.02"]["adherence"]
    assert share["0.0"]["0.0"]["frechet"] > 2 * share["0.0"]["0.9"]["frechet"]


CHECKS: dict[str, Callable[[dict], None]] = {
    "5_1_unconditional": unconditional,
    "5_2_guidance": guidance,
    "5_3_conditioning": conditioning.holds,
}
FIGURES = {"5_1_unconditional": 25, "5_2_guidance": 15, "5_3_conditioning": 22}  # at least
SAID = {"5_3_conditioning": conditioning}  # MEASURED, CLAIMS, SETTINGS


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
STEPS, SAMPLING_STEPS = 30, 2
TRAIN = replace(TRAIN, steps=STEPS, batch_size=4)

def load_data(name, split, root):
    from ddpm_tools.datasets.vision import TORCHVISION
    images = torch.randint(256, (200, *SHAPE), dtype=torch.uint8, generator=stream(0, split))
    return ImageData(name, split, images, torch.arange(200) % 10, TORCHVISION[name])
"""


MORE = {  # what else a test cannot afford
    "5_1_unconditional": "SEEDS, N_IMAGES, SWEEP = (0,), 30, (1, 2)",
    "5_2_guidance": "N = 24",
    "5_3_conditioning": """
N_IMAGES, N_SWEEP, N_HELDOUT, N_TEXT, N_WALKS = 20, 20, 10, 4, 2
noise_data = load_data

def load_data(name, split, root, size=None):
    from ddpm_tools.datasets import load_data as real
    if name != "emoji":
        return noise_data(name, split, root)
    data = real(name, split, root, size=size)
    return replace(data, images=data.images[:400], labels=data.labels[:400], captions=data.captions[:400])
""",
}


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.parametrize("preset", ["fashion-mnist", "cifar10"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_other_presets_run_the_same_cells(lesson: str, preset: str, own_kernel: None):
    """One name changes the scale: here every cell under the other names, on noise in place of a download."""
    nb = read(lesson)
    index = next(i for i, c in enumerate(nb.cells) if c.id == "preset")
    assert 'PRESET = "digits"' in nb.cells[index].source
    nb.cells[index].source = nb.cells[index].source.replace('PRESET = "digits"', f'PRESET = "{preset}"')
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(TINY + MORE[lesson]))
    results = execute(nb, lesson)
    assert results["preset"] == preset
    said = "".join(o.text for c in nb.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "stream")
    if lesson != "5_1_unconditional":  # which needs none
        measured = {"5_2_guidance": "sweep", "5_3_conditioning": "swept"}[lesson]
        assert (measured in results) == (preset == "cifar10")  # for which a classifier ships
        assert (f"No classifier ships for {preset}" in said) == (preset != "cifar10")
