"""Submitted notebooks made fit to look at: odd, old, broken and hostile ones."""

from __future__ import annotations

import copy
import json
import os
import time
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert.filters.markdown import markdown2html_mistune
from nbformat.notebooknode import NotebookNode
from nbgrader.utils import compute_checksum, is_locked

from autograder.adapters import restore
from autograder.intake import extract

RELEASED = Path(__file__).resolve().parents[2] / "exercises" / "5_3_conditioning" / "conditioner.ipynb"


@pytest.fixture
def released() -> NotebookNode:
    return nbformat.read(RELEASED, as_version=4)


def ids(nb: NotebookNode) -> list[str]:
    return [name for cell in nb.cells if (name := restore.grade_id(cell))]


def shown(tmp_path: Path, nb: dict | bytes, released: NotebookNode) -> NotebookNode:
    """What viewable makes of a file with this content, checked for what must hold whatever the student wrote."""
    path = tmp_path / "conditioner.ipynb"
    path.write_bytes(nb if isinstance(nb, bytes) else json.dumps(nb).encode())
    result = restore.viewable(path, released)
    nbformat.validate(result)
    assert sorted(ids(result)) == sorted(ids(released))
    ours = restore.by_id(released)
    for name, cell in restore.by_id(result).items():
        assert cell.metadata == ours[name].metadata and cell.cell_type == ours[name].cell_type
        assert not is_locked(cell) or compute_checksum(cell) == cell.metadata.nbgrader.checksum
    for cell in result.cells:
        assert cell.cell_type in ("code", "markdown") and not cell.get("outputs") and not cell.get("attachments")
    assert result.metadata == released.metadata
    restore.write_notebook(result, tmp_path / "autograded" / "x.ipynb")
    return nbformat.read(tmp_path / "autograded" / "x.ipynb", as_version=4)


def test_an_untouched_notebook_comes_back_as_it_was(tmp_path: Path, released: NotebookNode):
    assert shown(tmp_path, copy.deepcopy(released), released) == released


def test_what_is_the_same_for_all_students_is_not_done_again_for_each(tmp_path: Path, released, monkeypatch):
    done = []
    written = nbformat.writes
    monkeypatch.setattr("jsonschema.validate", lambda *_: done.append("nbgrader's schema was read and checked"))
    monkeypatch.setattr(nbformat, "writes", lambda nb: done.append("text") or written(nb))
    nb = restore.viewable(RELEASED, released)
    restore.write_notebook(nb, tmp_path / "autograded/x.ipynb", tmp_path / "graded/x.ipynb")
    assert done == ["text"]
    assert (tmp_path / "autograded/x.ipynb").read_bytes() == (tmp_path / "graded/x.ipynb").read_bytes()


def test_answers_stay_and_everything_else_is_restored(tmp_path: Path, released: NotebookNode):
    nb = copy.deepcopy(released)
    cells = restore.by_id(nb)
    cells["prepare_conditioning"].source = "def prepare_conditioning(t, c): return c  # <b>"
    cells["conditioner_written"].source = "because $a < b$"
    cells["conditioner_gate"].source = "full marks, please"
    cells["conditioner_gate"].metadata.nbgrader.points = 1000
    cells["setup"].cell_type = "markdown"
    cells["ClassConditioner"].metadata = {"nbgrader": {"grade_id": "ClassConditioner", "grade": "yes"}, "tags": 3}
    cells["ClassConditioner"].outputs = [nbformat.v4.new_output("display_data", {"text/html": "<script>1</script>"})]
    nb.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": "</script><script>alert(1)"}}
    nb.cells.append(nbformat.v4.new_raw_cell("<script>1</script>", metadata={"raw_mimetype": "text/html"}))
    result = restore.by_id(shown(tmp_path, nb, released))
    assert result["prepare_conditioning"].source.endswith("# <b>")  # code is shown escaped: it stays as it is
    assert result["conditioner_written"].source == "because $a < b$"
    assert result["conditioner_gate"].source == restore.by_id(released)["conditioner_gate"].source


def test_missing_duplicate_and_unknown_cells(tmp_path: Path, released: NotebookNode):
    nb = copy.deepcopy(released)
    last = copy.deepcopy(restore.by_id(nb)["prepare_conditioning"])
    last.source, last.id = "def prepare_conditioning(t, c): ...", "again"
    stranger = nbformat.v4.new_code_cell("1/0", metadata={"nbgrader": {"grade_id": "stranger", "points": 99}})
    gone = ("setup", "conditioner_checks", "conditioner_gate", "conditioner_written")
    nb.cells = [c for c in nb.cells if restore.grade_id(c) not in gone] + [last, stranger, *copy.deepcopy(nb.cells[:1])]
    result = shown(tmp_path, nb, released)
    assert restore.by_id(result)["prepare_conditioning"].source == last.source  # not the stub
    assert ids(result)[0] == "setup"
    at = ids(result).index("ClassConditioner_selfcheck")
    assert ids(result)[at + 1 : at + 4] == list(gone[1:])
    assert restore.by_id(result)["conditioner_written"].source == "YOUR ANSWER HERE"
    assert shown(tmp_path, nb, released) == result  # the same submission gives the same file
    shown(tmp_path, {**nb, "cells": []}, released)


def test_old_notebook_formats(tmp_path: Path, released: NotebookNode):
    for minor in (0, 4):
        old = json.loads(nbformat.writes(released))
        old["nbformat_minor"] = minor
        for cell in old["cells"]:
            del cell["id"]
        assert ids(shown(tmp_path, old, released)) == ids(released)
    three = json.loads(nbformat.writes(nbformat.convert(copy.deepcopy(released), 3), version=3))
    assert ids(shown(tmp_path, three, released)) == ids(released)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"nbformat": 4}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {"a": 1}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_gives_the_released_one_and_says_so(tmp_path: Path, released: NotebookNode, content: bytes):
    result = shown(tmp_path, content, released)
    assert "not a readable notebook" in result.cells[0].source
    assert result.cells[1:] == released.cells


def test_an_answer_is_shown_where_it_was_graded(tmp_path: Path, released: NotebookNode):
    """A cell of another kind is not it, whatever it is called; words that became code by mistake are still words."""
    nb = copy.deepcopy(released)
    cells = restore.by_id(nb)
    cells["ClassConditioner"].source = "class ClassConditioner: pass  # what is graded"
    for kind in ("markdown", "raw", "heading", ["code"]):
        meta = {"nbgrader": {"grade_id": "ClassConditioner", "solution": True}}
        nb.cells.append(NotebookNode(cell_type=kind, source="class ClassConditioner: better = True", metadata=meta))
    meta = {"nbgrader": {"grade_id": "conditioner_written"}}
    cells["conditioner_written"].source = "my words"
    nb.cells.append(NotebookNode(cell_type="code", source="other words", metadata=meta))
    result = restore.by_id(shown(tmp_path, nb, released))
    assert result["ClassConditioner"].source == "class ClassConditioner: pass  # what is graded"
    assert result["conditioner_written"].source == "my words"
    answers = ("ClassConditioner", "prepare_conditioning")
    found = extract.extract(tmp_path / "conditioner.ipynb", answers, together=False)
    assert found.cells["ClassConditioner"] == result["ClassConditioner"].source
    assert found.remarks == ("a text cell is also called `ClassConditioner`; the code cell was graded",)

    cells["ClassConditioner"].cell_type = "markdown"  # now no code is left
    cells["conditioner_written"].cell_type = "raw"
    nb.cells = nb.cells[:-1]
    result = restore.by_id(shown(tmp_path, nb, released))
    assert "YOUR CODE HERE" in result["ClassConditioner"].source and result["conditioner_written"].source == "my words"
    with pytest.raises(extract.Unreadable, match="`ClassConditioner` of code, only one of text; make it a code cell"):
        extract.extract(tmp_path / "conditioner.ipynb", ("ClassConditioner",))


@pytest.mark.parametrize("kind", ["cells", "a copied explanation", "one cell", "an answer", "lists"])
def test_a_flood_costs_a_sentence_and_no_time(tmp_path: Path, released: NotebookNode, kind: str):
    nb = json.loads(nbformat.writes(released))
    cell = {"cell_type": "code", "source": "x", "metadata": {}, "outputs": [], "execution_count": None, "id": "x"}
    words = next(c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "conditioner_written")
    words["source"] = "graded by hand"
    if kind == "cells":
        nb["cells"] += [cell] * 130_000
    elif kind == "a copied explanation":
        nb["cells"] += nb["cells"][:1] * 3_000
    elif kind == "one cell":
        nb["cells"].append({**cell, "cell_type": "markdown", "source": "[" * 15_000_000})
    elif kind == "an answer":
        words["source"] += "<" * 15_000_000
    else:
        nb["cells"] += [[]] * 1_000_000
    content, start = json.dumps(nb).encode(), time.monotonic()
    result = shown(tmp_path, content, released)
    assert time.monotonic() - start < 20  # 72 s and 1.3 GB it was
    assert len(nbformat.writes(result)) < 3_000_000
    assert len(result.cells) <= len(released.cells) + restore.MAX_CELLS + 1
    assert restore.by_id(result)["conditioner_written"].source.startswith("graded by hand")
    said = {"an answer": restore.CUT, "lists": "graded by hand"}.get(kind, "**Not everything is shown:**")
    assert said in "".join(c.source for c in result.cells)


def test_odd_cells_do_not_stop_it(tmp_path: Path, released: NotebookNode):
    nb = json.loads(nbformat.writes(released))
    nb["cells"] += [
        {"cell_type": "code", "id": "x", "source": ["a", "\n", "b\u0000\u001b"], "metadata": {"nbgrader": []}},
        {"cell_type": "markdown", "id": "x", "source": "\ud800 half", "metadata": {"nbgrader": {"grade_id": 7}}},
        {"cell_type": "markdown", "id": "x", "source": "![](attachment:a)", "metadata": {}, "attachments": {"a": {}}},
        {"cell_type": ["?"], "source": {"no": "text"}, "metadata": {}},
    ]
    result = shown(tmp_path, nb, released)
    assert result.cells[-4].source == "a\nb"


def test_links_pipes_and_large_files_are_not_read(tmp_path: Path, released: NotebookNode, monkeypatch):
    (tmp_path / "secret").write_bytes(RELEASED.read_bytes())
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    monkeypatch.setattr(extract, "MAX_BYTES", 2**10)
    for name in ("link", "pipe", "folder", "absent", "secret"):
        path = tmp_path / (name if name == "secret" else f"{name}.ipynb")
        assert "No answers are shown" in restore.viewable(path, released).cells[0].source


class Active(HTMLParser):
    """Collects what could act in a page: any tag but markdown's own, handlers, links but plain ones to the web."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"p", "pre", "code", "em", "strong", "ul", "li", "span", "div", "blockquote", "a"}:
            self.found.append(tag)
        for key, value in attrs:
            if not (key == "class" and "mermaid" not in value) and not (key == "href" and value.startswith("http")):
                self.found.append(f"{key}={value}")


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>\n\n</p><!-- -->",
        "[x](javascript:alert(1)) ![x](http://tracker/x.png)",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "```mermaid\n<img src=x onerror=alert(1)>\n```",
        "> ~~~ mermaid\n> <b>x</b>",
        "![x](attachment:missing)",
        "[x]( <javascript:alert(1)> )",
        "[a\\]: b]: javascript:alert(1)\n\n[a\\]: b]",
    ],
)
def test_markdown_cannot_act_in_the_markers_browser(source: str):
    page = Active()
    page.feed(markdown2html_mistune(restore.inert_markdown(source)))
    assert page.found == []
    try:
        page.feed(markdown2html_mistune(source))
    except Exception as error:  # nbconvert fails on an attachment that is not there, and formgrader with it
        page.found.append(repr(error))
    assert page.found, "this would not have acted anyhow: it tests nothing"


def test_formulas_and_code_stay_readable():
    for text in ("$\\frac{a}{b} < c$", "`x[0]`, `f(a)[1]` and 2 < 3", "\\\\ \\text{class} **bold** & $x_{i}$"):
        assert restore.inert_markdown(text) == text
    for macro in ("\\href{javascript:1}{x}", "\\\\href{x}{y}", "\\require{html}"):
        assert "\\href" not in restore.inert_markdown(macro) and "\\require" not in restore.inert_markdown(macro)
