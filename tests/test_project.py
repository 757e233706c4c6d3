"""Promises of the repository itself: versions agree, no file names this machine, notebooks carry no outputs."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, requires, version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FILES = [
    ROOT / f
    for f in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split("\n")
    if f
]
TEXTS = [f for f in FILES if f.is_file() and f.suffix not in (".png", ".gif", ".webp", ".safetensors", ".zip", ".npz")]
LOCKED = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
LOCK = {canonicalize_name(r.name): r for r in LOCKED if r.marker is None or r.marker.evaluate()}  # for this system
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
INSTALLED = {canonicalize_name(d.name) for d in distributions()}
WANTED = [Requirement(r) for r in chain(PROJECT["project"]["dependencies"], *EXTRAS.values())]


def test_the_lock_pins_every_dependency_to_a_version_that_pyproject_allows():
    for wanted in WANTED:
        pin = str(LOCK[canonicalize_name(wanted.name)].specifier)
        assert pin.startswith("==") and wanted.specifier.contains(pin[2:]), wanted
    assert all(re.fullmatch(r"==[\w.+!-]+", str(r.specifier)) and not r.url for r in LOCKED)


def needed(wanted):
    """Names of all that these need, and what those need in turn, by what the installed packages say of themselves."""
    found, waiting = set(), list(wanted)
    while waiting:
        r = waiting.pop()
        new = {(canonicalize_name(r.name), extra) for extra in r.extras or {""}} - found
        found |= new
        for name, extra in new:
            said = map(Requirement, (name in INSTALLED and requires(name)) or ())
            waiting += [s for s in said if s.marker is None or s.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def test_the_lock_holds_what_pyproject_needs_and_nothing_else():
    """What is not installed here cannot say what it needs, and is left out; `make setup` installs all of it."""
    wanted = needed(WANTED)
    assert wanted <= set(LOCK) and len(wanted & INSTALLED) > 150
    assert set(LOCK) & INSTALLED == wanted & INSTALLED


def test_students_need_no_grader_no_database_and_no_cluster():
    students = needed(Requirement(r) for r in PROJECT["project"]["dependencies"])
    for name in ("nbgrader", "sqlalchemy", "psycopg", "dask", "distributed", "copydetect", "mkdocs", "pytest"):
        assert name in LOCK and name not in students
    assert {"torch", "jupyterlab", "ipykernel", "scikit-learn"} <= students


def test_uv_writes_no_lock_of_its_own():
    assert PROJECT["tool"]["uv"]["managed"] is False  # its format names a host in every line
    assert not [f for f in FILES if f.name in ("uv.lock", "pylock.toml")]


@pytest.mark.parametrize("name", ["torch", "torchvision", "diffusers", "nbgrader", "clean-fid", "numpy", "scipy"])
def test_what_is_installed_is_what_is_locked(name):
    assert str(LOCK[name].specifier) == f"=={version(name).split('+')[0]}"


def test_environment_yml_installs_the_lock():
    text = (ROOT / "environment.yml").read_text()
    assert "- -r requirements.lock" in text and "python=3.11" in text
    assert not re.search(r"^\s*- [\w-]+==", text, re.M)


def test_torch_and_torchvision_match():
    import torch
    import torchvision

    assert torchvision.ops.nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5).tolist() == [0]


@pytest.mark.parametrize("file", TEXTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_file_names_this_machine_or_a_registry(file):
    text = file.read_text(encoding="utf-8")
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text
    hosts = ["py" + "pi.org", "pythonhosted" + ".org", "npmjs" + ".org", "registry." + "npmjs", "deb." + "debian.org"]
    assert not [h for h in hosts if h in text]


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix == ".ipynb"], ids=lambda f: str(f.relative_to(ROOT)))
def test_notebooks_are_committed_without_outputs(file):
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert not [c for c in cells if c.get("outputs") or c.get("execution_count")]


def test_the_library_never_imports_the_grader():
    for file in (ROOT / "ddpm_core").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) autograder", file.read_text(encoding="utf-8"), re.M), file


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_is_content(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command.split(), "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("word", ["torch.load(", "pickle.load", "allow_pickle=True"])
def test_nothing_is_unpickled(word):
    for folder in ("ddpm_core", "autograder"):
        for file in (ROOT / folder).rglob("*.py"):
            assert word not in file.read_text(encoding="utf-8"), file
