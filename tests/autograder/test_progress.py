"""`autograder status`: what another terminal sees of a batch that runs, has ended, or was killed."""

import json

import pytest

from autograder.cli import main
from autograder.grading import progress
from autograder.grading.progress import Progress, describe, is_locked, only_one, span


def test_a_batch_from_its_start_to_its_end(tmp_path):
    with only_one(tmp_path):
        b = Progress(tmp_path, 5, ["graded"])
        b.start("ada/5_3", "worker one")
        b.start("ben/5_3")
        began = json.loads((tmp_path / progress.FILE).read_text())["started"]
        text = describe(tmp_path, began + 10).splitlines()
        assert text[0] == "1 of 5 submission(s) done: 1 graded"
        assert text[1].startswith("running for 10 s as process ") and text[1].endswith("no estimate yet")
        assert text[2].startswith("  ada/5_3: for ") and text[2].endswith(" on worker one")
        b.finish("ada/5_3", "crash")
        b.start("ada/5_3", "worker one")  # news that were slower than the result
        text = describe(tmp_path, began + 20)  # 20 s for one of those that were to do: 60 s for three
        assert "2 of 5 submission(s) done: 1 crash, 1 graded" in text and "about 1 min 0 s left" in text
        assert "ada" not in text and "ben/5_3" in text
        for name in "ben", "cy", "di":
            b.finish(f"{name}/5_3", "graded")
        assert "writing the tables and the gradebook" in describe(tmp_path)
        b.end()
    assert describe(tmp_path, began + 65).splitlines()[1].startswith("finished 1 min")


def test_a_killed_run_is_told_from_a_running_one(tmp_path):
    with only_one(tmp_path):
        Progress(tmp_path, 2, []).start("ada/5_3")
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)  # as the kernel leaves it, however the holder ends
    assert "not running: process" in describe(tmp_path) and "run the same command to continue" in describe(tmp_path)


def test_nothing_to_show_is_one_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main.main(["status", "--out", str(tmp_path)])
    assert capsys.readouterr().err == (
        f"autograder status: no batch was graded into {tmp_path}; give its folder with --out\n"
    )
    (tmp_path / progress.FILE).write_text("{}")
    with pytest.raises(ValueError, match="damaged"):
        describe(tmp_path)


def test_times_for_people():
    assert [span(s) for s in (-1, 0, 59.4, 61, 7265)] == ["0 s", "0 s", "59 s", "1 min 1 s", "2 h 1 min"]


def test_a_full_disk_costs_no_grade(tmp_path, monkeypatch):
    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(progress.private, "write_text", full)
    Progress(tmp_path, 1, []).finish("ada/5_3", "graded")
