"""`from ddpm_core import ...`: what the library offers at its front door, and that the door itself costs nothing."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import ddpm_core

HERE = Path(ddpm_core.__file__).parent
NAMES = [
    "DiffusionSchedule", "EMA", "EPSILON", "V", "X0", "Diffusion", "ImageData", "Conditioning", "Preset",
    "SampleConfig", "TrainConfig", "TrainState", "UNetConfig", "autoguidance", "build_unet", "cfg_pp", "ddim", "ddpm",
    "digits", "dpm_solver_pp", "guided", "interpolate_classes", "interpolate_embeddings", "load_diffusion", "preset",
    "register", "sample", "save_diffusion", "strategy", "train",
]  # fmt: skip


def test_the_names_are_these():
    assert sorted(ddpm_core.__all__) == sorted(NAMES) and set(NAMES) <= set(dir(ddpm_core))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_imported_from_where_it_is_defined(name):
    values = {}
    exec(f"from ddpm_core import {name}", values)
    value = values[name]
    assert value is getattr(import_module(f"ddpm_core.{ddpm_core_home(name)}"), name)
    if hasattr(value, "__qualname__"):
        assert value.__qualname__ == name and value.__module__.startswith("ddpm_core.")


def stub():
    """{name: module} of what `__init__.pyi` tells type checkers."""
    tree = ast.parse((HERE / "__init__.pyi").read_text(encoding="utf-8"))
    return {a.asname: n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}


def ddpm_core_home(name):
    return stub()[name].removeprefix("ddpm_core.")


def test_type_checkers_see_the_same_names():
    assert sorted(stub()) == sorted(ddpm_core.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'ddpm_core' has no attribute 'nonsense'"):
        _ = ddpm_core.nonsense
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from ddpm_core import nonsense")


def test_the_package_alone_imports_nothing_large():
    code = "import sys, ddpm_core; print(sorted({m.partition('.')[0] for m in sys.modules} & {'torch', 'numpy'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
