"""Right answers as Jupyter's users write them get their marks, and those that lose them are told why."""

from __future__ import annotations

import json

import pytest
import torch

from autograder.exercises import EXERCISES
from autograder.exercises.architecture.asking import environment, images
from autograder.exercises.base import AnswerError, Probe
from autograder.grading import batch, judging
from autograder.grading.judging import Judging
from autograder.grading.remarks import COMPILED as COMPILED_REMARK
from autograder.grading.remarks import worded
from autograder.grading.results import NotebookResult
from autograder.intake.extract import Unreadable, extract
from autograder.sandbox.session import session
from tests.corpus.notebooks import LOST, NAME, RIGHT, RUNS, notebook

SCHEDULES = EXERCISES["5_1_unconditional", "schedules"]
CHECKS = SCHEDULES.checks_of(NAME)


@pytest.fixture(scope="module")
def fates(tmp_path_factory):
    """By case: its tests and remarks. One child takes all, one after the other, as the answers of one student."""
    told, grader = {}, batch.make_grader(SCHEDULES, 0)
    path = tmp_path_factory.mktemp("corpus") / "schedules.ipynb"
    with session(SCHEDULES, grader.limits) as child:
        for case, (cell, _) in (RUNS | LOST).items():
            path.write_text(json.dumps(notebook(cell)), encoding="utf-8")
            answers = extract(path, SCHEDULES.answers)
            j = Judging(grader, NotebookResult(SCHEDULES, "graded", ""), 0, lambda what, share: None)
            judging.judge_answer(j, NAME, answers, Probe(child, notes=j.notes, stops=j.stops))
            told[case] = j.result.tests, [*worded(j.notes, answers.cells), *j.stops]
    return told


@pytest.mark.parametrize("case", RUNS)
def test_what_a_kernel_runs_gets_all_points(case, fates):
    tests, remarks = fates[case]
    assert [t.output for t in tests if not t.passed] == [] and len(tests) == len(CHECKS)
    remark = RUNS[case][1]
    assert remark in " ".join(remarks) and bool(remarks) == bool(remark), remarks


@pytest.mark.parametrize("case", LOST)
def test_what_is_lost_says_why_and_where(case, fates):
    tests, _ = fates[case]
    assert not any(t.passed for t in tests)
    assert all(LOST[case][1].lower() in t.output.lower() for t in tests), tests[0].output


def spoilt(nb: dict, how: str) -> str:
    """A file as it comes from elsewhere."""
    cells = nb["cells"]
    if how == "metadata stripped":
        for cell in cells:
            cell["metadata"] = {}
    elif how == "outputs":
        for number, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
            picture = {"image/png": "iVBORw0KGgo" * 200_000, "text/plain": ['"outputs": [', "{}]}\\"]}
            text = [{"output_type": "stream", "name": "stdout", "text": ["0.1, [2], {3}\n"] * 9_000}]
            cell["outputs"] = [{"output_type": "display_data", "data": picture}, *text] * (1 + number % 2)
        cells.append({"cell_type": "markdown", "metadata": {}, "source": "![](attachment:a.png)"})
        cells[-1]["attachments"] = {"a.png": {"image/png": "iVBORw0KGgo" * 200_000}}
        nb["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": "x" * 3_000_000}}}
    text = json.dumps(nb, indent=1)
    if how == "conflict":
        lines = text.split("\n")
        lines[5:7] = ["<<<<<<< HEAD", *lines[5:7], "=======", *lines[5:7], ">>>>>>> 1a2b3c4 (mine)"]
        text = "\n".join(lines)
    return text


def test_a_notebook_of_large_outputs_is_graded_as_without_them(tmp_path):
    path = tmp_path / "schedules.ipynb"
    path.write_text(text := spoilt(notebook(RIGHT), "outputs"), encoding="utf-8")
    assert 21_000_000 < len(text) < 64_000_000
    found = extract(path, SCHEDULES.answers)
    path.write_text(json.dumps(notebook(RIGHT)), encoding="utf-8")
    assert found == extract(path, SCHEDULES.answers) and found.cells[NAME] == RIGHT


def test_a_file_that_jupyter_cannot_open_or_that_lost_its_marks_is_named_as_such(tmp_path):
    path = tmp_path / "schedules.ipynb"
    for how, says in (
        ("conflict", r"conflict markers of git \(`<<<<<<<` in line 6\), so Jupyter cannot open it"),
        ("metadata stripped", "has lost what marks its answer cells; start from the released notebook"),
    ):
        path.write_text(spoilt(notebook(RIGHT), how), encoding="utf-8")
        with pytest.raises(Unreadable, match=says):
            extract(path, SCHEDULES.answers, together=False)


def test_what_one_cell_imports_from_the_future_holds_in_the_next(tmp_path):
    """As in a kernel; and classes of one cell are there in the other."""
    pair = EXERCISES["5_3_conditioning", "conditioner"]
    first = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Config:\n    k: int = 1\n"
        "def prepare_conditioning(time_emb, class_emb):\n    return time_emb\nassert __name__ == '__main__'\n"
    )
    second = (
        "import pickle, typing\nclass ClassConditioner(nn.Module):\n    def forward(self, h: Later, e) -> Later: ...\n"
        "class Later: pass\nassert pickle.loads(pickle.dumps(Config(3))).k == 3\n"
        "assert typing.get_type_hints(ClassConditioner.forward)['h'] is Later\n"
    )
    with session(pair, batch.make_grader(pair, 0).limits) as child:
        probe = Probe(child)
        cells = {"prepare_conditioning": first, "ClassConditioner": second}
        probe("load", cells=cells, supplied={}, operations=pair.operations)
        cells["ClassConditioner"] = second + "del ClassConditioner\nmissing\n"
        with pytest.raises(AnswerError, match="NameError in cell `ClassConditioner`, line 8"):
            probe("load", cells=cells, supplied={}, operations=pair.operations)


COMPILED = """
def build_model(device):
    from types import SimpleNamespace

    class Part(nn.Module):
        def __init__(self, channels, width):
            super().__init__()
            self.rows = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.SiLU(), nn.GroupNorm(8, width))
            self.time = nn.Sequential(nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width))
            self.out = nn.Conv2d(width, channels, 3, padding=1)

        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            powers = torch.cat([(t[:, None] / 1000 * 2.0**k).sin() for k in range(8)], 1)
            return self.out(self.rows(x) + self.time(powers)[:, :, None, None])

    class Net(nn.Module):
        def __init__(self, part):
            super().__init__()
            self.part = part

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep, device=x.device).float().expand(len(x))
            return SimpleNamespace(sample=self.part(x, t))

    width = int(os.environ["BLOCK_OUT_CHANNELS"].split(",")[0]) * int(os.environ.get("LAYERS_PER_BLOCK", "2"))
    part = HOW(Part(int(os.environ.get("IMAGE_CHANNELS", "3")), width))
    return torch.compile(Net(part).to(device), mode="reduce-overhead")
"""
HOWS = {
    "torch.jit.script": "torch.jit.script",
    "torch.jit.trace": "(lambda p: torch.jit.trace(p, (torch.rand(1, p.out.out_channels, 8, 8), torch.rand(1))))",
    "torch.compile": "torch.compile(dynamic=True)",
}


def test_a_compiled_network_is_run_and_recorded_as_it_is_written():
    """All checks of the exercise, for one of them; the others as the gate records them."""
    exercise, asked = EXERCISES["5_1_unconditional", "architecture"], []
    grader = batch.make_grader(exercise, 0)
    with session(exercise, grader.limits) as child:
        for code in HOWS.values():
            result = NotebookResult(exercise, "graded", "")
            j = Judging(grader, result, 0, lambda what, share: None)
            probe = Probe(child, timeout_s=60.0, notes=j.notes)
            assert judging.load(j, {"build_model": COMPILED.replace("HOW", code)}, probe) is None
            judging.run_checks(j, exercise.checks if not asked else exercise.checks[:1], probe)
            assert [t.output for t in result.tests if not t.passed] == []
            batches = [images(torch.Generator().manual_seed(i), 4) for i in range(2)]
            sent = {f"{k}{i}": v for i, b in enumerate(batches) for k, v in b.items()}
            asked.append(probe("record", sent, environment=environment(), seed=0, training=True)["recording"].numel())
            assert worded(j.notes, {}) == [COMPILED_REMARK]
    assert len(set(asked)) == 1  # one network, however it is compiled
