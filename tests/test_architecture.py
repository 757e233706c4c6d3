"""ddpm_core is a book: short files, short signatures, and nothing of what is built around it."""

import ast
import dataclasses
import inspect
from importlib import import_module
from pathlib import Path

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
