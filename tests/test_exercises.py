"""exercises/ is what nbgrader makes of solutions/, and holds no solution; the self-checks know right from wrong."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from nbgrader.nbgraderformat import MetadataValidator
from torch import nn

from autograder.release.generate import CONFIG_FILE, generate_exercises
from ddpm_core.layers import AdaLNBlock, CrossAttentionLayer

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(p.relative_to(ROOT / "solutions").as_posix() for p in ROOT.glob("solutions/*/*.ipynb"))
SHOWN = sorted([*ROOT.glob("lessons/*.ipynb"), *ROOT.glob("exercises/*/*.ipynb")])
COLUMNS = 88  # students read notebooks in a browser, beside a list of files
CONDITIONER = "5_3_conditioning/conditioner.ipynb"


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def cells(part: str, notebook: str) -> dict[str, nbformat.NotebookNode]:
    """A notebook's nbgrader cells by grade_id."""
    nb = nbformat.read(ROOT / part / notebook, as_version=4)
    return {c.metadata.nbgrader.grade_id: c for c in nb.cells if "nbgrader" in c.metadata}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / CONFIG_FILE, tmp_path)
    return tmp_path


def test_exercises_are_up_to_date_and_generation_repeats(course: Path):
    (course / "exercises" / "a_solution_that_is_gone").mkdir(parents=True)
    generate_exercises(course)
    first = tree(course / "exercises")
    generate_exercises(course)
    assert tree(course / "exercises") == first
    assert not list(course.rglob("gradebook.db*"))
    assert not (course / "exercises" / "a_solution_that_is_gone").exists()
    assert tree(ROOT / "exercises") == first, "run: python -m autograder.release.generate"


def test_the_nbgrader_command_makes_the_same_files(course: Path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls `alembic`
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "5_3_conditioning"]
    subprocess.run(command, cwd=course, env=os.environ | {"PATH": path}, check=True, capture_output=True)
    assert (course / "exercises" / CONDITIONER).read_bytes() == (ROOT / "exercises" / CONDITIONER).read_bytes()


def test_a_notebook_that_nbgrader_refuses_leaves_the_exercises_alone(course: Path):
    generate_exercises(course)
    before = tree(course / "exercises")
    path = course / "solutions" / CONDITIONER
    path.write_text(path.read_text().replace("### END SOLUTION", "###"))
    with pytest.raises(RuntimeError, match="5_3_conditioning"):
        generate_exercises(course)
    assert tree(course / "exercises") == before


def test_only_notebooks_are_released():
    """nbgrader copies every other file in solutions/<assignment>/ to the students."""
    assert {Path(name).suffix for name in tree(ROOT / "exercises")} == {".ipynb"}
    assert set(tree(ROOT / "exercises")) == set(NOTEBOOKS)


@pytest.mark.parametrize("part", ["solutions", "exercises"])
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_committed_notebooks_are_clean(part: str, notebook: str):
    nb = nbformat.read(ROOT / part / notebook, as_version=4)
    nbformat.validate(nb)
    MetadataValidator().validate_nb(nb)
    assert nb.nbformat_minor >= 5  # cells have ids: without, every tool would draw new ones
    for cell in nb.cells:
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)
        assert str(ROOT) not in cell.source


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_fits_beside_a_sidebar(path: Path):
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not [line for source in code for line in source.splitlines() if len(line) > COLUMNS]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_no_solution_is_released(notebook: str):
    released = "\n".join(c.source for c in nbformat.read(ROOT / "exercises" / notebook, as_version=4).cells)
    assert "BEGIN SOLUTION" not in released and "END SOLUTION" not in released
    for name, cell in cells("solutions", notebook).items():
        if not cell.metadata.nbgrader.solution:
            continue
        stub = cells("exercises", notebook)[name].source
        if cell.cell_type == "markdown":
            assert stub == "YOUR ANSWER HERE"
            assert not [s for s in cell.source.split("\n\n") if s.strip() in released]
            continue
        secret = []
        for region in cell.source.split("### BEGIN SOLUTION")[1:]:
            lines = [line.strip() for line in region.split("### END SOLUTION")[0].splitlines()]
            secret += [line for line in lines if len(line) > 8]  # a lone bracket gives nothing away
        assert secret and not [line for line in secret if line in stub]
        assert stub.rstrip().endswith("raise NotImplementedError()")


def test_conditioner_has_the_cells_and_points_that_the_grader_knows():
    found = {name: c.metadata.nbgrader for name, c in cells("exercises", CONDITIONER).items()}
    assert {n for n, m in found.items() if m.solution and not m.grade} == {"prepare_conditioning", "ClassConditioner"}
    points = {n: m.points for n, m in found.items() if m.grade}
    assert points == {"conditioner_checks": 10, "conditioner_gate": 10, "conditioner_written": 5}
    assert [n for n, m in found.items() if m.grade and m.solution] == ["conditioner_written"]
    assert found["setup"].locked and not found["setup"].grade


ADD = "def prepare_conditioning(time_emb, class_emb):\n    return time_emb + class_emb"
TIME = "def prepare_conditioning(time_emb, class_emb):\n    return time_emb"


def conditioner(body: str, init: str = "pass") -> str:
    return (
        "class ClassConditioner(nn.Module):\n"
        "    def __init__(self, channels, cond_dim):\n"
        f"        super().__init__()\n        {init}\n"
        f"    def forward(self, h, class_emb):\n        {body}"
    )


FILM, IDENTITY = "self.p = nn.Linear(cond_dim, channels)", conditioner("return h")


def self_check(prepare: str, module: str) -> None:
    """Run both visible self-checks on answers, as a student would: trusted code, in this process."""
    found = cells("exercises", CONDITIONER)
    space = {"torch": torch, "nn": nn, "F": F, "math": math}
    space |= {"AdaLNBlock": AdaLNBlock, "CrossAttentionLayer": CrossAttentionLayer}
    for source in (
        *(prepare, found["prepare_conditioning_selfcheck"].source),
        *(module, found["ClassConditioner_selfcheck"].source),
    ):
        exec(compile(source, "<cell>", "exec"), space)


def test_the_model_solution_passes_and_the_stub_fails():
    right, stub = cells("solutions", CONDITIONER), cells("exercises", CONDITIONER)
    self_check(right["prepare_conditioning"].source, right["ClassConditioner"].source)
    with pytest.raises(NotImplementedError):
        self_check(stub["prepare_conditioning"].source, right["ClassConditioner"].source)
    with pytest.raises(NotImplementedError):
        self_check(right["prepare_conditioning"].source, stub["ClassConditioner"].source)


@pytest.mark.parametrize(
    ("prepare", "module"),
    [
        (ADD, IDENTITY),
        (TIME, conditioner("return self.a(h, class_emb)", "self.a = AdaLNBlock(channels, cond_dim)")),
        (TIME, conditioner("return self.a(h, class_emb)", "self.a = CrossAttentionLayer(channels, cond_dim)")),
        (TIME, conditioner("return h + self.p(class_emb)[..., None, None]", FILM)),
        ("def prepare_conditioning(t, c):\n    return t * (1 + 0.1 * torch.sigmoid(c)) + c", IDENTITY),
    ],
)
def test_other_right_designs_pass(prepare: str, module: str):
    self_check(prepare, module)


@pytest.mark.parametrize(
    ("prepare", "module", "message"),
    [
        ("def prepare_conditioning(t, c):\n    return c", IDENTITY, "time got lost"),
        ("def prepare_conditioning(t, c):\n    return t.add_(c)", IDENTITY, "in place"),
        ("def prepare_conditioning(t, c):\n    return t + c[0]", IDENTITY, "other images"),
        ("def prepare_conditioning(t, c):\n    return (t + c)[:1]", IDENTITY, "expected shape"),
        ("def prepare_conditioning(t, c):\n    t + c", IDENTITY, "return missing"),
        (
            "def prepare_conditioning(t, c):\n    return t + nn.Linear(t.shape[1], t.shape[1])(c).detach()",
            IDENTITY,
            "two calls",
        ),
        (TIME, IDENTITY, "ignores its labels"),
        (TIME, conditioner("return h + self.p(class_emb[:1])[..., None, None]", FILM), "other images"),
        (TIME, conditioner("return h + self.p(class_emb.mean(0))[:, None, None]", FILM), "other images"),
        (TIME, conditioner("return h.add_(self.p(class_emb)[..., None, None])", FILM), "in place"),
        (TIME, conditioner("return self.p(class_emb)[..., None, None]", FILM), "expected shape"),
        (TIME, conditioner("return h / (self.p(class_emb) * 0)[..., None, None]", FILM), "nan or inf"),
    ],
)
def test_known_mistakes_fail_with_a_message_that_names_them(prepare: str, module: str, message: str):
    with pytest.raises(AssertionError, match=message):
        self_check(prepare, module)
