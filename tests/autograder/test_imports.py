"""Who imports whom: no cycles, no low module that knows a particular exercise; and what follows for what travels."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from autograder import travel
from autograder.exercises import EXERCISES, HERE
from autograder.imports import ROOT, file_of, module_of, named, reached
from autograder.sandbox import staging

MODULES = {module_of(f): named(f) for f in travel.files(ROOT / "autograder") if f.suffix == ".py"}
LOW = ("child", "gate", "grading", "intake", "sandbox")


def test_no_import_goes_round_in_a_circle():
    graph = {name: {n for n in names if n in MODULES and n != name} for name, names in MODULES.items()}
    for package in [name for name in MODULES if file_of(name).name == "__init__.py"]:
        # `from package import module` reads the package's own names only where it defines any that are asked for
        for names in graph.values():
            if package in names and any(n.startswith(f"{package}.") for n in names):
                names.discard(package)
    list(TopologicalSorter(graph).static_order())  # CycleError names one


def test_no_low_module_knows_a_particular_exercise():
    folders = {f"autograder.exercises.{e.name}" for e in EXERCISES.values()}
    for name, names in MODULES.items():
        if name.split(".")[1:2] and name.split(".")[1] in LOW:
            known = {n for n in names for folder in folders if n == folder or n.startswith(f"{folder}.")}
            assert not known, f"{name} imports {known}"
            words = file_of(name).read_text(encoding="utf-8")
            assert not [e.name for e in EXERCISES.values() if f'"{e.name}"' in words], name


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=lambda e: e.name)
def test_a_child_gets_its_questions_and_what_these_import(exercise, tmp_path):
    code = staging.stage(exercise, tmp_path / "code")
    staged = {f.relative_to(code).as_posix() for f in code.rglob("*.py")}
    child = {"__init__", "absent", "annotations", "answers", "modes", "notebook", "protocol", "remote"}
    child |= {
        exercise.operations,
        *(f.stem for f in reached([exercise.questions], packages=False) if f.parent.name == "child"),
    }
    assert staged == {
        *("runner.py", "autograder/__init__.py"),
        *(f"autograder/child/{name}.py" for name in child),
        *(f"ddpm_core/{name}.py" for name in (*exercise.library, *exercise.hidden)),
        *(f"{name}/__init__.py" for name in staging.WITH_ANSWERS if name not in exercise.packages),
    }
    for file in (f for f in code.rglob("*.py") if f.name != "runner.py" and "autograder" in f.parts):
        for name in named(file):  # all that it imports of the course is there
            if found := file_of(name):
                assert (code / found.relative_to(ROOT)).is_file(), (file.name, name)


def test_questions_that_import_what_the_child_must_not_see_are_refused(monkeypatch):
    exercise = EXERCISES["5_3_conditioning", "conditioner"]
    monkeypatch.setattr(staging, "reached", lambda *a, **k: {HERE / "conditioner/gate.py"})
    with pytest.raises(
        ValueError, match=r"import autograder/exercises/conditioner/gate\.py, which the child does not get"
    ):
        staging.questions(exercise)


def test_files_are_found_where_python_finds_them():
    assert file_of("autograder.exercises.ema") == ROOT / "autograder/exercises/ema/__init__.py"
    assert file_of("torch") is None and file_of("autograder.nothing") is None
    assert module_of(Path(staging.__file__)) == "autograder.sandbox.staging"
