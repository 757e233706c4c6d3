"""What a command writes to: never what was handed in, checked at the start, tidied up when it is cut short."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from autograder import samples
from autograder.cli import main
from autograder.grading import batch
from autograder.intake import submissions
from autograder.intake.submissions import Submission, apart, find, unrecognised
from autograder.sandbox import scratch

RELEASED = Path(__file__).resolve().parents[2] / "exercises"
TASK = samples.ASSIGNMENT


def says(capsys, *words: object) -> str:
    """The one line with which a command ends."""
    with pytest.raises(SystemExit) as end:
        main.main([str(word) for word in words])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1, error
    return error


@pytest.fixture
def handed_in(tmp_path) -> Path:
    samples.write(tmp_path / "submitted", RELEASED, ("zoe-blank",))
    (tmp_path / f"submitted/zoe-blank/{TASK}/readme.txt").write_text("keep")
    return tmp_path / "submitted"


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("out", ["submitted", "submitted/../submitted", "link", f"submitted/zoe-blank/{TASK}/../.."])
def test_records_never_lie_among_what_was_handed_in(handed_in, capsys, out, monkeypatch):
    (handed_in.parent / "link").symlink_to(handed_in)
    before = files(handed_in)
    monkeypatch.chdir(handed_in.parent)
    assert "into a submission; choose a separate folder" in says(capsys, "grade", handed_in, "--out", out)
    assert files(handed_in) == before


def test_other_places_are_fine(handed_in):
    found = find(handed_in)
    for out in (handed_in / "grades", handed_in.parent / "grades", handed_in.parent):
        apart(found, out)
    victim = Submission("ada", TASK, handed_in / "ada" / TASK)
    (handed_in / "eve").mkdir()
    (handed_in / "eve" / TASK).symlink_to(handed_in.parent / "grades" / "ada" / TASK)  # would stop the whole class
    apart([victim, Submission("eve", TASK, handed_in / "eve" / TASK)], handed_in.parent / "grades")


def test_only_the_grader_s_own_files_are_taken_back(tmp_path):
    s = Submission("ada", TASK, tmp_path / "submitted/ada" / TASK)
    folder = s.records(tmp_path / "out")
    folder.mkdir(parents=True)
    for name in ("results.json", "instructor.json", "conditioner.png", "mine.txt"):
        (folder / name).write_text("x")
    batch.withdraw(s, tmp_path / "out")
    assert [f.name for f in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    batch.withdraw(s, tmp_path / "out")
    assert not folder.exists()


def test_folders_that_nobody_recognises_are_named(handed_in):
    for name in (
        "wrong/5_2_guidence",
        f"ada/{TASK}",
        "ada/5_9",
        "ben",
        ".git/x",
        "grades/ada",
        f"ada/{TASK}/deep",
        "cy",
    ):
        (handed_in / name).mkdir(parents=True)
    (handed_in / "grades.csv").touch()
    (handed_in / "cy/label_dropout.ipynb").touch()
    (handed_in / "dee.ipynb").touch()
    (handed_in / "eve").symlink_to(handed_in.parent)
    found = [(p.student, p.where, p.text) for p in unrecognised(handed_in, handed_in / "grades")]
    renamed = "not graded: no assignment has this name; rename the folder"
    assert found == [
        ("ada", "5_9", renamed),
        ("ben", "", "not graded: there is no folder of an assignment"),
        ("cy", "", "not graded: there is no folder of an assignment; label_dropout.ipynb should be in one"),
        ("dee.ipynb", "", "a file, not a student's folder; put it into STUDENT/ASSIGNMENT/"),
        ("eve", "", "not graded: a link; hand in the files themselves"),
        ("wrong", "5_2_guidence", renamed),
    ]


COPIES = ("-Copy1.ipynb", " (1).ipynb", "-2.ipynb", "_final.ipynb", ".ipynb.txt", ".ipynb.ipynb", "_ada.ipynb")
BEFORE = ("Copy of ", "ada_1234_", "My-", "2_")


def test_a_notebook_under_another_name_is_taken_and_said(tmp_path):
    folder = tmp_path / "ada/5_2_guidance"
    folder.mkdir(parents=True)
    s = Submission("ada", "5_2_guidance", folder)
    asked = folder / "label_dropout.ipynb"

    def taken(name: str) -> bool:
        found = s.found("label_dropout")
        assert found == s.found("label_dropout") and found.path == s.files["label_dropout"] and not found.why
        says = f"{name} was used as label_dropout.ipynb; hand it in under this name"
        assert (found.path == folder / name and found.said == says) or (found.path == asked and not found.said)
        return found.path != asked

    names = [f"label_dropout{end}" for end in COPIES] + [f"{begin}label_dropout.ipynb" for begin in BEFORE]
    names += ["LABEL_DROPOUT.ipynb", "label_dropout.IPYNB", "mine/label_dropout.ipynb"]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
        assert taken(name) and s.problem("label_dropout") is None
        (folder / name).unlink()
    for name in ("guided_sampling.ipynb", ".label_dropout.ipynb.swp"):
        (folder / name).touch()
        assert not taken(name) and s.found("label_dropout").why == ""
    for name in ("relabel_dropouts.ipynb", "label_dropout.png"):
        (folder / name).touch()
        assert s.found("label_dropout").why.startswith("there is no file label_dropout.ipynb, but ")
        (folder / name).unlink()
    (folder / "link-label_dropout.ipynb").symlink_to("/etc/passwd")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints/label_dropout-checkpoint.ipynb").touch()
    assert not taken("") and s.problem("label_dropout") is None and s.problem("guided_sampling") is None
    (folder / "label_dropout-Copy1.ipynb").touch()
    asked.symlink_to("/dev/zero")  # that is one of its name, and said so when it is read
    assert not taken("")


def test_two_names_that_a_disk_takes_for_one_never_share_a_record(handed_in, tmp_path, monkeypatch):
    shutil.copytree(handed_in / "zoe-blank", handed_in / "ZOE-blank")
    monkeypatch.setattr(submissions, "folder_of", str.casefold)  # as such a disk does
    for _ in range(2):  # and again, when one of them is there
        records = batch.grade(find(handed_in), tmp_path / "out", 0, progress=False)
        outcomes = {r["extra_data"]["student"]: r["extra_data"]["outcome"] for r in records}
        assert sorted(outcomes.values()) == ["infrastructure_error", "missing"] and len(outcomes) == 2
        told = next(r["output"] for r in records if r["score"] is None)
        assert "its record folder is the same as that of" in told and "rename one of the two" in told


def test_a_folder_that_cannot_be_opened_is_the_students_doing(handed_in, tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_symlink", denied)
    (rec,) = batch.grade([Submission("eve", TASK, handed_in / "eve" / TASK)], tmp_path / "out", 0, progress=False)
    assert rec["extra_data"]["outcome"] == "missing" and rec["score"] == 0
    assert "cannot be opened (Permission denied); hand it in again" in rec["output"]


def test_a_damaged_file_is_named_and_nothing_is_guessed(handed_in, tmp_path, capsys):
    out = tmp_path / "out"
    record = out / "ada" / TASK / "results.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"half')
    with pytest.raises(ValueError, match=r"results\.json is damaged; remove it and grade that student again"):
        batch.all_records(out)
    (out / "run.json").write_text("{bad")
    assert "run.json is damaged, so the seed" in says(capsys, "grade", handed_in, "--out", out)
    assert batch.seed_of_batch(out, 7) == 7 == json.loads((out / "run.json").read_text())["seed"]


def test_what_cannot_be_written_to_is_said_at_the_start(handed_in, tmp_path, capsys):
    (file := tmp_path / "file").write_text("mine, and no database")
    (tmp_path / "folder").mkdir()
    for words, part in (
        (["grade", handed_in, "--out", file], "cannot be written: "),
        (["status", "--out", file], "no batch was graded into"),
        (["similarity", handed_in, "--out", file], f"{file} is not a folder; choose another place"),
        (["demo", "--out", file / "below"], f"{file} is not a folder; choose another place"),
        (["release", "--out", file], "holds a file"),
        (
            ["package", "5_2_guidance", "--format", "gradescope", "--out", tmp_path / "folder"],
            "cannot be used (Is a directory)",
        ),
        (["check", tmp_path / "folder"], "is a folder; give one notebook, a file that ends in .ipynb"),
        (["challenge", "test", tmp_path / "none.ipynb", "--name", "x", "--track", "conditioning"], "there is no noteb"),
        (["grade", handed_in, "--out", tmp_path / "o", "--gradebook", "postgresql+psycopg://me@h:abc/x"], "URL is not"),
        (["grade", handed_in, "--out", tmp_path / "o", "--gradebook", f"sqlite:///{file}"], "is not a gradebook"),
    ):
        error = says(capsys, *words)
        assert part in error and "Errno" not in error, error
    assert file.read_text() == "mine, and no database" and not (tmp_path / "o").exists()


def test_what_a_run_leaves_is_removed_at_its_end():
    kept = tempfile.TemporaryDirectory(prefix="autograder-1-")  # another process's
    rooms = [scratch.temporary(ignore_cleanup_errors=True) for _ in range(2)]
    (Path(rooms[0].name) / "sub").mkdir()
    scratch.clear()
    assert not any(Path(room.name).exists() for room in rooms) and Path(kept.name).exists()
    for room in (kept, *rooms):
        room.cleanup()


def test_ctrl_c_among_the_imports_is_one_line():
    code = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from autograder.cli.main import main
main(["status"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    told = "autograder status: interrupted; run the same command again"
    assert done.returncode == 130 and done.stderr.strip() == told
