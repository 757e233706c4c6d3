"""`collect` and `return` with nbgrader's exchange, where every student's account can write whatever it likes."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from pathlib import Path

import pytest

from autograder.adapters.collect import collect, exchange, giving_back
from autograder.adapters.collect.pages import Given, Page
from autograder.adapters.collect.source import Source
from autograder.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
TASK, FILE = "5_2_guidance", "label_dropout.ipynb"
ME = pwd.getpwuid(os.getuid()).pw_name  # the account that owns what this test writes
FIRST, LAST = "2027-01-30 10:00:00.000000 UTC", "2027-01-31 09:00:00.000000 UTC"


@pytest.fixture
def inbound(tmp_path):
    (tmp_path / "exchange/course/inbound").mkdir(parents=True)
    return tmp_path / "exchange/course/inbound"


def hand_in(inbound, student=ME, time=LAST, text="{}", secret="s3cret", task=TASK):
    """As `nbgrader submit` leaves it."""
    folder = inbound / f"{student}+{task}+{time}+cmFuZG9t"
    folder.mkdir()
    (folder / FILE).write_text(text)
    (folder / "timestamp.txt").write_text(time)
    (folder / "submission_secret.txt").write_text(secret)
    return folder


def taken(inbound, submitted):
    done = collect(inbound, Source("nbgrader", TASK), submitted)
    return {p.relative_to(submitted).as_posix(): p.read_text() for p in submitted.rglob("*") if p.is_file()}, done


def test_the_last_submission_counts_and_the_rest_of_the_folder_is_not_the_graders(inbound, tmp_path, capsys):
    hand_in(inbound, text="last")
    hand_in(inbound, time=FIRST, text="first")
    hand_in(inbound, task="5_1_unconditional", text="of another assignment")
    command = [
        "collect",
        str(inbound),
        "--format",
        "nbgrader",
        "--assignment",
        TASK,
        "--to",
        str(tmp_path / "submitted"),
    ]
    assert main(command) in (0, None)
    files, done = taken(inbound, tmp_path / "submitted")
    assert files == {f"{ME}/{TASK}/{FILE}": "last"} and done.problems == []
    assert "1 notebook(s) of 1 student(s)" in capsys.readouterr().out


@pytest.mark.parametrize("student", ["ben", "nobody", "root" if ME != "root" else "daemon", "..", "a b"])
def test_nobody_hands_in_for_somebody_else(inbound, tmp_path, student):
    hand_in(inbound, student=student, time="2030-01-01 00:00:00.000000 UTC")
    mine = hand_in(inbound, time=FIRST, text="mine")
    files, done = taken(inbound, tmp_path / "submitted")
    assert files == {f"{ME}/{TASK}/{FILE}": "mine"}
    assert len(done.problems) == 1 and f"belongs to the account {ME}" in done.problems[0]
    assert mine.exists()


def test_no_link_leads_to_a_file_of_ours(inbound, tmp_path):
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / FILE).write_text("our solution")
    folder = hand_in(inbound)
    (folder / FILE).unlink()
    (folder / FILE).symlink_to(ours / FILE)
    (inbound / f"{ME}+{TASK}+2031-01-01 00:00:00.000000 UTC").symlink_to(ours)
    os.mkfifo(folder / "ema.ipynb")
    with pytest.raises(ValueError, match="has no submissions"):
        taken(inbound, tmp_path / "submitted")
    with exchange.opened(inbound, TASK) as archive:
        said = sorted(problem.rpartition("' ")[2] for problem in archive.problems)
    assert said == ["is a link; not taken", "is not a folder; not taken", "is not a plain file; not taken"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a file to another account")
def test_a_file_of_another_account_is_not_the_students(inbound, tmp_path):
    """What a link in the middle of the path, exchanged in time, would lead to."""
    folder = hand_in(inbound, student="nobody")
    for entry in (folder, *folder.iterdir()):
        shutil.chown(entry, "nobody")
    shutil.chown(folder / FILE, "root")
    with pytest.raises(exchange.Refused, match="belongs to the account root, not to nobody"):
        exchange.owned(folder, FILE)
    shutil.chown(folder / FILE, "nobody")
    assert exchange.owned(folder, FILE) == b"{}"


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a folder to another account")
def test_a_later_folder_in_somebodys_name_takes_the_place_of_nothing(inbound, tmp_path):
    hand_in(inbound, time=FIRST, text="mine")
    shutil.chown(hand_in(inbound, text="not mine"), "nobody")
    files, done = taken(inbound, tmp_path / "submitted")
    assert files == {f"{ME}/{TASK}/{FILE}": "mine"} and "belongs to the account nobody" in done.problems[0]


def test_one_student_cannot_fill_the_disk_for_all(inbound, tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "LARGEST", 1000)
    monkeypatch.setattr(exchange, "MOST", 3)
    folder = hand_in(inbound, text="x" * 900)
    for i in range(9):
        (folder / f"z{i}.ipynb").write_text("y" * 101)
    with exchange.opened(inbound, TASK) as archive:
        assert [e.parts[-1] for e in archive.entries] == [FILE]
        assert len(archive.problems) == 2 and "is larger than" in archive.problems[0]


def test_a_page_lies_where_only_its_student_looks_and_is_readable_there(inbound):
    first, last = hand_in(inbound, time=FIRST, secret="one"), hand_in(inbound, secret="two")
    forged = hand_in(inbound, student="ben", secret="three")
    pages = [
        Page(ME, "label_dropout", f"{last.name}/{FILE}", b"<p>well done</p>"),
        Page("ben", "ema", f"{forged.name}/x", b""),
    ]
    given, feedback = Given(), inbound.parent / "feedback"
    exchange.put(iter(pages), feedback, given)
    name = hashlib.md5(b"two" + b"label_dropout").hexdigest()  # as nbgrader's documentation of its exchange has it
    assert {p.name: p.read_bytes() for p in feedback.iterdir()} == {f"{name}.html": b"<p>well done</p>"}
    assert (
        oct(feedback.stat().st_mode & 0o777) == "0o711" and (feedback / f"{name}.html").stat().st_mode & 0o777 == 0o644
    )
    assert given.pages == 1 and given.students == {ME} and "belongs to the account" in given.problems[0]
    assert first.exists()


def test_pages_come_from_what_was_collected_there(inbound, tmp_path):
    hand_in(inbound)
    taken(inbound, tmp_path / "submitted")
    page = tmp_path / "grades/feedback" / ME / TASK / "label_dropout.html"
    page.parent.mkdir(parents=True)
    page.write_text("a page")
    to = inbound.parent / "feedback"
    given = giving_back.give_back(tmp_path / "grades", tmp_path / "submitted", "nbgrader", TASK, [], to)
    assert (given.pages, given.problems, [p.read_text() for p in to.iterdir()]) == (1, [], ["a page"])


def test_without_an_exchange_there_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["collect", str(tmp_path / "none"), "--format", "nbgrader", "--to", str(tmp_path / "submitted")])
    assert "give the exchange's COURSE/inbound" in capsys.readouterr().err
