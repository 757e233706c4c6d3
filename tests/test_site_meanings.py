"""What the reference shows of the packages, and that every parameter there has a meaning."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import griffe
import pytest

from website.docstrings import SHAPE, Tables
from website.fingerprint import ROOT
from website.meanings import EVERYWHERE, PLACES
from website.public import closure
from website.reference import PACKAGES


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, griffe.DocstringParameter]]:
    """(where, row) of every parameter that the reference shows of either package."""
    found = []

    def look(thing: griffe.Object) -> None:
        for section in thing.docstring.parsed if thing.docstring and not thing.is_module else ():
            if section.kind is griffe.DocstringSectionKind.parameters:
                found.extend((thing.path, row) for row in section.value)
        for member in thing.members.values():
            if not member.is_alias and not member.name.startswith("_") and not member.is_attribute:
                look(member)

    for package in PACKAGES:
        look(griffe.load(package, extensions=griffe.load_extensions(Tables()), search_paths=[ROOT]))
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_parameter_has_a_meaning(package: str, rows: list[tuple[str, griffe.DocstringParameter]]):
    mine = [(place, row) for place, row in rows if place.startswith(package)]
    assert len(mine) > 400
    silent = re.compile(rf"({SHAPE})?( u?int\d+)?")  # a shape alone is no meaning
    assert [f"{place}: {row.name}" for place, row in mine if silent.fullmatch(row.description)] == []


def test_every_entry_of_the_tables_is_the_meaning_of_something(rows: list[tuple[str, griffe.DocstringParameter]]):
    def plain(text: str) -> str:
        return " ".join(re.sub(SHAPE, "", text).split())  # a docstring may have put another shape in

    def used(name: str, said: str, where: str = "", kind: str = "") -> bool:
        return any(
            row.name.lstrip("*") == name and place.startswith(where) and str(row.annotation).startswith(kind)
            and plain(row.description) == plain(said)
            for place, row in rows
        )  # fmt: skip

    idle = [f"{p}: {name}" for p, known in PLACES.items() for name, said in known.items() if not used(name, said, p)]
    idle += [f"{n}: {kind}" for (n, kind), said in EVERYWHERE.items() if not used(n, said, kind=kind)]
    assert idle == []


def test_what_another_file_uses_is_shown_and_what_its_signature_names(tmp_path: Path):
    (tmp_path / "pack/inner").mkdir(parents=True)
    (tmp_path / "pack/__init__.py").write_text("")
    (tmp_path / "pack/inner/__init__.py").write_text("from pack.inner.work import passed_on\n")
    (tmp_path / "pack/inner/work.py").write_text(
        dedent("""
        class Given: ...
        class Part: ...
        class Whole:
            part: Part
            def method(self, given: Given) -> None: ...
        Kind = Whole | None
        def passed_on() -> Kind: ...
        def by_module() -> None: ...
        def by_lesson() -> None: ...
        def in_full(size: int = SIZE) -> None: ...
        SIZE = 1
        SECRET = 2
        def step() -> None: ...
        class Hidden: ...
        def public(): step()
    """)
    )
    (tmp_path / "pack/other.py").write_text("from pack.inner import work as w, work\nw.by_module()\nwork.public\n")
    package = griffe.load("pack", search_paths=[tmp_path])
    other = (tmp_path / "pack/other.py").read_text()
    lesson = "from pack.inner.work import (\n    by_lesson,  # step\n)\nfrom pack.inner import passed_on\n"
    assert {name.rpartition(".")[2] for name in closure([other, lesson, "see `pack.inner.work.in_full`"], package)} == {
        "in_full", "SIZE", "by_module", "public", "by_lesson", "passed_on", "Kind", "Whole", "Part", "Given",
    }  # fmt: skip
