"""A wheel, installed into an environment of its own and used far from the repository: all that ships comes with it."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest

from autograder.grading.provenance import grader_hash

ROOT = Path(__file__).resolve().parents[1]
FILES = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ("--quiet", "--no-deps", "--no-index")

# What a teacher does, in one process, which imports torch once. Each line that it prints is a result.
SESSION = """
import json, os, subprocess, sys, tempfile
from pathlib import Path
import autograder.cli.main as grader, ddpm_tools.cli.main as tools
from autograder import travel
from autograder.grading.provenance import grader_hash
from autograder.sandbox import bubblewrap, seccomp
from autograder.sandbox.limits import Limits
from ddpm_core.config import COURSE
from ddpm_tools.reports.one_page import LAB, one_page

def told(main, *words):
    try:
        main([str(word) for word in words])
    except SystemExit as e:
        return e.code or 0
    return 0

done = {"course": str(COURSE), "hash": grader_hash(), "files": [str(f) for f in travel.to_kernel()]}
done["lab"] = "Guidance laboratory" in one_page(LAB)  # with the modules that it shares with the playground
small = "--n", 20, "--steps", 2
done["evaluate"] = told(tools.main, "evaluate", *small, "--repeats", 2, "--out", "evaluation")
done["sweep"] = told(tools.main, "sweep", *small, "--w", 1, 4, "--out", "sweep")
done["demo"] = told(tools.main, "demo", "--checkpoint", "nowhere", "--out", "demo")
mine = Path("submitted/ada/5_2_guidance/ema.ipynb")
mine.parent.mkdir(parents=True)
mine.write_bytes((COURSE / "solutions/5_2_guidance/ema.ipynb").read_bytes())
done["check"] = told(grader.main, "check", mine)
done["blank"] = told(grader.main, "check", COURSE / "exercises/5_2_guidance/ema.ipynb")
walls = () if bubblewrap.available() is None else ("--unsandboxed",)
done["grade"] = told(grader.main, "grade", "submitted", "--out", "grades", "--notebook", "ema", *walls)
if not walls:
    with tempfile.TemporaryDirectory() as code, seccomp.opened() as fds:
        places = [str(COURSE), str(Path(grader.__file__).parents[1])]
        look = f"import os; print([os.listdir(place) for place in {places!r}])"
        words = bubblewrap.command([sys.executable, "-I", "-c", look], Path(code), Limits(), filter_fds=fds)
        common = {"env": bubblewrap.environment(1), "cwd": "/", "pass_fds": fds}
        done["seen"] = subprocess.run(words, **common, capture_output=True, text=True).stdout.strip()
Path("done.json").write_text(json.dumps(done))
"""


def environment(folder):
    """No PYTHONPATH; the programs of the packages that are borrowed come after its own."""
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the committed files alone, copied, so that nothing of an earlier build gets in."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FILES:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    subprocess.run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "-w", out, source], check=True, timeout=300)
    (file,) = out.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment that has the wheel, and borrows the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=300)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    python = folder / "bin/python"
    subprocess.run([*PIP, "--python", python, "install", *OFFLINE, "--no-compile", wheel], check=True, timeout=300)
    return folder


def test_what_ships_is_in_it_under_its_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    within = {n.removeprefix("conditional_diffusion_course/") for n in names}
    shipped = [f for f in FILES if f.split("/")[0] in ("data", "exercises", "lessons", "solutions")]
    shipped += [f for f in FILES if f.startswith(("playground/lab/", "ddpm_core/", "ddpm_tools/", "autograder/"))]
    assert set(shipped) <= within
    assert {f"{package}/py.typed" for package in ("ddpm_core", "ddpm_tools", "autograder")} <= set(names)
    licences = {n.partition(".dist-info/licenses/")[2] for n in names if ".dist-info/licenses/" in n}
    assert licences == {
        *("LICENSE", "data/captions/emoji-LICENSE.txt", "data/captions/emoji-NOTICE.txt", "data/digits28/NOTICE.txt")
    }
    top = {n.split("/")[0].partition("-0")[0] for n in names}  # nothing that could be another package's
    assert top == {"autograder", "conditional_diffusion_course", "ddpm_core", "ddpm_tools"}
    assert not [n for n in names if "__pycache__" in n or n.endswith(".ipynb_checkpoints")]
    assert wheel.stat().st_size < 60e6


def test_a_source_archive_makes_the_same_wheel(wheel, tmp_path):
    """What MANIFEST.in leaves out of it would be missing from a wheel made of it, without a word."""
    build = "from setuptools import build_meta as b; print(b.build_sdist('dist'))"
    shutil.copytree(ROOT, tmp_path / "s", ignore=lambda folder, names: [n for n in names if not _committed(folder, n)])
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path / "s", check=True, timeout=300, capture_output=True)
    (archive,) = (tmp_path / "s/dist").glob("*.tar.gz")
    with tarfile.open(archive) as content:
        held = {name.partition("/")[2] for name in content.getnames()}
    needed = {n.removeprefix("conditional_diffusion_course/") for n in zipfile.ZipFile(wheel).namelist()}
    assert {n for n in needed if ".dist-info/" not in n} <= held


def _committed(folder, name):
    place = (Path(folder) / name).relative_to(ROOT).as_posix()
    return any(f == place or f.startswith(f"{place}/") for f in FILES)


def test_it_says_what_it_is(installed):
    (said,) = installed.glob("lib/python3*/site-packages/*.dist-info/METADATA")
    text = said.read_text(encoding="utf-8")
    assert "License-Expression: MIT" in text and "# Conditional diffusion" in text
    assert {f"Python :: 3.{minor}" in text for minor in (11, 12, 13)} == {True}
    extras = {line.removeprefix("Provides-Extra: ") for line in text.splitlines() if line.startswith("Provides-Extra")}
    assert extras >= {"grader", "site", "browser", "dev"}
    for word in ("nbgrader", "psycopg", "distributed", "dask", "copydetect", "mkdocs", "pytest"):
        required = [line for line in text.splitlines() if line.startswith(f"Requires-Dist: {word}")]
        assert required and all("extra ==" in line for line in required), word  # a student's installation has none


def test_it_works_far_from_the_repository(installed, tmp_path):
    env = environment(installed)
    version = subprocess.run(["ddpm", "--version"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert version.stdout.startswith("ddpm 0.1.0"), version.stderr
    words = [installed / "bin/python", "-c", SESSION]
    run = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=550)
    assert (tmp_path / "done.json").is_file(), run.stdout + run.stderr
    done = json.loads((tmp_path / "done.json").read_text())
    assert Path(done.pop("course")).is_relative_to(installed)
    assert done.pop("hash") == grader_hash()  # a batch that was begun in a clone goes on here
    seen, files = done.pop("seen", "[[], []]"), done.pop("files")
    assert seen == "[[], []]"  # by what runs in the sandbox
    assert not [f for f in files if "/solutions/" in f or "/judges/" in f] and any("/data/gates/" in f for f in files)
    expected = {"lab": True, "evaluate": 0, "sweep": 0, "demo": 2, "check": 0, "blank": 1, "grade": 0}
    assert done == expected, run.stdout + run.stderr
    assert "no checkpoint at nowhere" in run.stderr and "--train" in run.stderr
    assert not (tmp_path / "demo/checkpoint").exists()
    for made in ("evaluation/metrics.json", "sweep/sweep.png", "grades/grades.csv", "grades/gradebook.db"):
        assert (tmp_path / made).is_file(), made
