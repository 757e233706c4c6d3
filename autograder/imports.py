"""Finds which of the course's files a module imports. The sources are parsed, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from autograder.syntax import parse

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("autograder", "ddpm_core", "ddpm_tools")
LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def file_of(module: str, root: Path = ROOT) -> Path | None:
    """Return the file of one of the course's modules, below root; None if there is none."""
    path = root.joinpath(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in found if file.is_file()), None) if module.split(".")[0] in PACKAGES else None


def module_of(file: Path, root: Path = ROOT) -> str:
    """Return the dotted name of one of the course's files; for an `__init__.py`, its package's name."""
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def statements(tree: ast.AST, lazily: bool) -> Iterator[ast.AST]:
    """Yield the nodes that run, so none under TYPE_CHECKING, and those inside functions only with `lazily`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if lazily or not isinstance(node, LATER):
            yield node
            yield from statements(node, lazily)


@cache
def _names(source: str, lazily: bool) -> frozenset[str]:
    names: set[str] = set()
    for node in statements(parse(source), lazily):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def named(file: Path, lazily: bool = True) -> frozenset[str]:
    """Return the dotted names that a file imports. Some may be names inside a module rather than modules."""
    return _names(file.read_text(encoding="utf-8"), lazily)


def reached(modules: Iterable[str], root: Path = ROOT, *, packages: bool = True, lazily: bool = True) -> set[Path]:
    """Return the course's files that are read when these modules are imported, directly or through other imports.

    With `packages`, this includes the `__init__.py` above each file, as Python reads these too.
    """
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if packages and "." in module:
            waiting.append(module.rpartition(".")[0])
        file = file_of(module, root)
        if file and file not in found:
            found.add(file)
            waiting += named(file, lazily)
    return found
