"""Which functions, classes and constants of a package the reference shows: those that another file imports (a lesson, a
guide, a script, a test, another module), and those that the signatures of shown ones mention.

The others are steps inside one module, and are documented in its source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

READ = (
    "autograder", "benchmarks", "ddpm_core", "ddpm_tools", "docs", "exercises", "lessons", "playground", "scripts",
    "solutions", "tests", "website",
)  # fmt: skip
IMPORT = re.compile(r"^\s*from ([\w.]+) import (\([^)]*\)|[^\n(]*)", re.M)
NAME = re.compile(r"(\w+)(?: as (\w+))?")


def text_of(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return text if file.suffix != ".ipynb" else "\n".join("".join(c["source"]) for c in json.loads(text)["cells"])


def at(name: str, package: griffe.Module) -> griffe.Object | None:
    """What has this full name, through what `__init__.py` passes on; None for what is not the package's."""
    try:
        thing = package.modules_collection[name]
        return thing.final_target if thing.is_alias else thing
    except (KeyError, griffe.AliasResolutionError):
        return None


def imported(text: str, package: griffe.Module) -> Iterator[str]:
    """Full names in a file of what the package holds: written out, imported, or taken from an imported module."""
    yield from re.findall(rf"\b{package.name}(?:\.\w+)+", text)
    for where, what in IMPORT.findall(text):
        if where.split(".")[0] == package.name:
            for name, alias in NAME.findall(re.sub("#.*", "", what)):
                yield f"{where}.{name}"
                if (thing := at(f"{where}.{name}", package)) and thing.is_module:
                    yield from (f"{where}.{name}.{x}" for x in re.findall(rf"\b{alias or name}\.(\w+)", text))


def mentioned(thing: griffe.Object) -> Iterator[str]:
    """Full names in the signature of a function, the bases, fields and methods of a class, the value of a type."""
    written: list = []
    if isinstance(thing, griffe.Function):
        written = [thing.returns, *(x for p in thing.parameters for x in (p.annotation, p.default))]
    elif isinstance(thing, griffe.Class):
        written = thing.bases
        members = [m for m in thing.members.values() if m.name == "__init__" or not m.name.startswith("_")]
        yield from (name for m in members if not m.is_alias for name in mentioned(m))
    elif isinstance(thing, griffe.Attribute):
        written = [thing.annotation, thing.value]
    for expression in written:
        if isinstance(expression, griffe.Expr):
            yield from (n.canonical_path for n in expression.iterate(flat=True) if isinstance(n, griffe.ExprName))


def shown(package: griffe.Module, root: Path) -> set[str]:
    """Full names of what the reference shows."""
    files = [f for folder in READ for f in (root / folder).rglob("*") if f.suffix in (".py", ".md", ".ipynb")]
    return closure(map(text_of, files), package)


def closure(texts: Iterable[str], package: griffe.Module) -> set[str]:
    """Full names of what the files import, and of what the signatures of these mention."""
    todo = [name for text in texts for name in imported(text, package)]
    found: set[str] = set()
    while todo:
        thing = at(todo.pop(), package)
        if thing is not None and not thing.is_module and thing.path not in found:
            found.add(thing.path)
            todo.extend(mentioned(thing))
    return found
