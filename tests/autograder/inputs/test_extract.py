import json
import os

import pytest

from autograder.intake.extract import Unreadable, extract

WANTED = ("f", "g")


def cell(name, source="x = 1\n", kind="code"):
    return {"cell_type": kind, "metadata": {"nbgrader": {"grade_id": name}}, "source": source}


def book(tmp_path, cells, **extra):
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, **extra}), encoding="utf-8")
    return path


def test_answers_by_grade_id_in_any_order_and_form(tmp_path):
    path = book(
        tmp_path, [cell("other"), cell("g", ["def g():\n", "    pass\n"]), {"cell_type": "code"}, cell("f"), 7, None]
    )
    assert extract(path, WANTED).cells == {"g": "def g():\n    pass\n", "f": "x = 1\n"}


def test_nothing_is_executed(tmp_path):
    path = book(tmp_path, [cell("f", f"open({str(tmp_path / 'ran')!r}, 'w')"), cell("g")])
    extract(path, WANTED)
    assert not (tmp_path / "ran").exists()


def test_the_last_of_two_counts_and_is_remarked(tmp_path):
    answers = extract(book(tmp_path, [cell("f", "1"), cell("f", "2"), cell("g")]), WANTED)
    assert answers.cells["f"] == "2" and "more than once" in answers.remarks[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_bom_and_line_ends(tmp_path, encoding, newline):
    path = tmp_path / "n.ipynb"
    path.write_bytes(json.dumps({"cells": [cell("f"), cell("g")]}, indent=1).replace("\n", newline).encode(encoding))
    assert extract(path, WANTED).cells["f"] == "x = 1\n"


STUB = "def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


@pytest.mark.parametrize(
    "cells,says",
    [
        ([cell("f")], "no answer cell `g`"),
        ([cell("f"), cell("g", kind="markdown")], "no answer cell `g`"),
        ([cell("f"), cell("g", "  \n")], "not answered: `g`"),
        ([cell("f", STUB), cell("g")], "not answered: `f` still holds the stub"),
        ([cell("f", "#" * 300_000), cell("g")], "more than 200,000 characters"),
    ],
)
def test_answers_that_are_not_there(tmp_path, cells, says):
    with pytest.raises(Unreadable, match=says):
        extract(book(tmp_path, cells), WANTED)


@pytest.mark.parametrize(
    "content,says",
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"Dear instructor", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no list of cells"),
        (b'{"cells": 3}', "no list of cells"),
        (b'{"worksheets": []}', "notebook format 3"),
        (b"x" * (21 << 20), "larger than 20 MB"),
    ],
)
def test_files_that_are_no_notebooks(tmp_path, content, says):
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=says):
        extract(path, WANTED)


def test_links_folders_and_nothing(tmp_path):
    real = book(tmp_path, [cell("f"), cell("g")])
    (tmp_path / "link.ipynb").symlink_to(real)
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(Unreadable, match="not a regular file"):
            extract(tmp_path / f"{name}.ipynb", WANTED)
    with pytest.raises(Unreadable, match="there is no file"):
        extract(tmp_path / "none.ipynb", WANTED)
