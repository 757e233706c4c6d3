"""The architecture, written down: ddpm_core is a book of short files and signatures, and no import crosses a wall."""

import ast
import dataclasses
import inspect
from importlib import import_module
from itertools import combinations
from pathlib import Path

import grimp
import networkx
import pytest
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "ddpm_core").rglob("*.py"))
LONGEST = 200  # lines of a file
MOST = 7  # parameters of a function


def modules():
    return [import_module(".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")) for f in FILES]


def signatures():
    """(name, parameters) of every public function and method, self left out; constructors of modules and dataclasses
    are lists of settings, and left out too."""
    for module in modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value):
                yield f"{module.__name__}.{name}", len(inspect.signature(value).parameters)
            elif inspect.isclass(value):
                settings = dataclasses.is_dataclass(value) or issubclass(value, nn.Module)
                for method, f in vars(value).items():
                    f = getattr(f, "__func__", f)  # of classmethods and staticmethods
                    if not inspect.isfunction(f) or (method.startswith("_") and (method != "__init__" or settings)):
                        continue
                    own = [p for p in inspect.signature(f).parameters if p not in ("self", "cls")]
                    yield f"{module.__name__}.{name}.{method}", len(own)


def test_every_signature_is_looked_at():
    found = dict(signatures())
    assert len(found) > 100
    assert found["ddpm_core.samplers.sampling.sample"] == 7 and found["ddpm_core.ema.EMA.update"] == 1
    assert found["ddpm_core.schedule.DiffusionSchedule.named"] == 3 and found["ddpm_core.ema.EMA.__init__"] == 2


def test_no_function_takes_more_than_a_reader_keeps_in_mind():
    assert {name: n for name, n in signatures() if n > MOST} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / "ddpm_core")))
def test_no_file_is_long(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / "ddpm_core")))
def test_the_book_imports_nothing_of_what_is_built_around_it(file):
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.add(node.module.partition(".")[0])
    assert not imported & {"ddpm_tools", "autograder", "playground", "tests"}


# --- the walls between the packages, and between the rooms of each ---

PACKAGES = ("ddpm_core", "ddpm_tools", "autograder")
BOOK = 2_850  # lines of ddpm_core, comments and blank lines included
# Who may import whom, from the top down: a room imports its own floor and those below, never one above.
FLOORS = {
    "ddpm_tools": (
        {"cli"},
        {"demo", "guided_exercise"},
        {"reports", "diagnosis", "export"},
        {"evaluation", "train", "tables", "captions", "presets"},
        {"datasets", "drawing", "lessons", "outputs", "unet2d", "attention_maps", "plain_pairs"},
    ),
    "autograder": (
        {"cli", "demo"},
        {"adapters", "challenges", "authoring", "release", "samples"},
        {"grading"},
        {"gate", "exercises", "intake", "sandbox", "travel", "imports", "syntax"},
        {"child"},
    ),
}


# One keyword an option of a command line, which a reader meets one at a time.
LISTS_OF_OPTIONS = {"ddpm_tools/cli/base.py command", "autograder/sandbox/bubblewrap.py command"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_around_the_book_takes_more_either(package):
    long = set()
    for file in (ROOT / package).rglob("*.py"):
        for f in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef):
                named = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
                if f.name != "__init__" and len([a for a in named if a not in ("self", "cls")]) > MOST:
                    long.add(f"{file.relative_to(ROOT).as_posix()} {f.name}")
    assert long == {name for name in LISTS_OF_OPTIONS if name.startswith(package)}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def test_the_book_is_read_in_an_evening():
    assert sum(len(f.read_text(encoding="utf-8").splitlines()) for f in FILES) <= BOOK


def test_imports_never_run_in_a_circle(graph):
    imports = networkx.DiGraph((m, n) for m in graph.modules for n in graph.find_modules_directly_imported_by(m))
    assert [sorted(c) for c in networkx.strongly_connected_components(imports) if len(c) > 1] == []


def test_packages_import_downwards_alone(graph):
    for low, high in combinations(PACKAGES, 2):
        assert not graph.find_shortest_chains(importer=low, imported=high, as_packages=True)


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_their_own_floor_or_those_below(graph, package):
    floor = {f"{package}.{room}": i for i, rooms in enumerate(FLOORS[package]) for room in rooms}
    assert set(floor) == {".".join(m.split(".")[:2]) for m in graph.modules if m.startswith(f"{package}.")}
    up = []
    for importer in (m for m in graph.modules if m.startswith(f"{package}.")):
        for imported in graph.find_modules_directly_imported_by(importer):
            here, there = (floor.get(".".join(m.split(".")[:2])) for m in (importer, imported))
            if there is not None and there < here:
                up.append(f"{importer} -> {imported}")
    assert up == []
