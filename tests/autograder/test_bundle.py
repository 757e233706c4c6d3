"""The students' bundle: complete enough to work from, and without anything that gives an answer away."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograder import samples
from autograder.cli.main import main, parser
from autograder.release import bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    return bundle.make(tmp_path_factory.mktemp("bundle") / "students", ROOT)


def test_nothing_in_it_gives_an_answer_away(students):
    names = {str(f.relative_to(students)) for f in students.rglob("*")}
    for word in (
        "solutions/",
        "references.txt",
        "mutants",
        "authoring",
        "new_exercise",
        "autograder/samples",
        "data/judges",
    ):
        assert not [n for n in names if word in n]
    assert not {"solutions", "autograder/demo.py", "autograder/adapters/gradebook.py"} & names
    for notebook in students.rglob("*.ipynb"):
        assert "BEGIN SOLUTION" not in notebook.read_text(encoding="utf-8")
    assert {"lessons", "exercises", "ddpm_core", "autograder", "README.md", "requirements.lock"} <= names
    assert {"lessons/one_file.py", "exercises/5_3_conditioning/conditioner.ipynb"} <= names
    assert "data/gates/conditioner.json" in names


def test_the_laboratory_that_a_lesson_leads_to_needs_no_server(students):
    page = (students / "playground/lab/index.html").read_text(encoding="utf-8")
    assert "Guidance laboratory" in page and ' src="' not in page and 'rel="stylesheet"' not in page


def test_its_pages_lead_nowhere_that_is_not_there(students):
    pages = [students / "README.md", *students.glob("docs/*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))]
    assert (students / "README.md", "docs/challenges.md") in links and len(pages) > 3
    assert not [link for page, link in links if ":" not in link and not (page.parent / link).exists()]
    assert "[the network that ships](#few-steps)" in (students / "docs/challenges.md").read_text(encoding="utf-8")


def test_assistants_are_asked_to_tutor(students):
    """The file lies where coding assistants look for it, and names the folder of graded work as it is called here."""
    asked = (students / "AGENTS.md").read_text(encoding="utf-8")
    assert "tutor" in asked and "`exercises/`" in asked and (students / "exercises").is_dir()


def check(students, notebook, *more, python=sys.executable):
    """`autograder check` with the bundle's own packages, as a student runs it."""
    code = "import sys; sys.path.insert(0, '.'); import autograder.cli.main as c; "
    code += "assert 'students' in c.__file__; c.main()"
    words = [str(python), "-c", code, "check", str(notebook), "--no-gate", *more]
    return subprocess.run(words, cwd=students, capture_output=True, text=True, timeout=300)


def test_a_student_can_check_a_right_and_a_wrong_answer(students, programs, tmp_path):
    released = students / "exercises"
    for student, code, says in (
        ("ada-film", 0, "10 of 10 points"),
        ("carl-ignores-label", 1, "does not depend on the label"),
    ):
        path = tmp_path / student / "conditioner.ipynb"
        path.parent.mkdir()
        path.write_text(samples.notebook(student, released), encoding="utf-8")
        done = check(students, path, python=programs / "python" if code else sys.executable)
        assert done.returncode == code, done.stdout + done.stderr
        assert says in done.stdout and "Not of record" in done.stdout
        assert ("Hint 1 of 3" in done.stdout) == (path.with_name(".conditioner_hints.json").exists()) == bool(code)


def test_checking_what_is_no_answer(students, programs, tmp_path):
    python = programs / "python"
    blank = check(students, students / "exercises/5_3_conditioning/conditioner.ipynb", python=python)
    assert blank.returncode == 1 and "still holds the stub" in blank.stdout
    other = check(students, tmp_path / "essay.ipynb", python=python)
    assert other.returncode == 2 and "not a graded notebook; known: " in other.stderr
    nowhere = check(students, tmp_path / "conditioner.ipynb", python=python)
    assert nowhere.returncode == 2 and "there is no file" in nowhere.stderr


def test_the_bundle_replaces_itself_but_nothing_else(students, tmp_path):
    again = bundle.make(students, ROOT)
    assert again == students.resolve() and (students / "lessons").is_dir()
    (students / "exercises/__pycache__").mkdir()
    (students / "exercises/__pycache__/x.pyc").write_text("what Python leaves is nobody's work")
    bundle.make(students, ROOT)
    (students / "exercises/mine.ipynb").write_text("a night's work")
    with pytest.raises(ValueError, match=r"new or have changed since \(exercises/mine.ipynb\); move that away"):
        bundle.make(students, ROOT)
    assert (students / "exercises/mine.ipynb").read_text() == "a night's work"
    (students / "exercises/mine.ipynb").unlink()
    notebook = students / "exercises/5_2_guidance/ema.ipynb"
    released = notebook.read_text(encoding="utf-8")
    notebook.write_text(released.replace("ema", "EMA"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"5_2_guidance/ema\.ipynb"):
        bundle.make(students, ROOT)
    notebook.write_text(released, encoding="utf-8")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="holds something else"):
        bundle.make(tmp_path, ROOT)
    with pytest.raises(ValueError, match="holds a file"):
        bundle.make(tmp_path / "thesis.tex", ROOT)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ValueError, match="is not the course's folder"):
        bundle.make(tmp_path / "x", tmp_path)


def test_what_is_installed_in_it_stays_when_it_is_replaced(tmp_path):
    """As on a hub, where servers run from the bundle's own environment."""
    out = bundle.make(tmp_path / "students", ROOT)
    (out / ".venv/bin").mkdir(parents=True)
    (out / ".venv/bin/python").write_text("an interpreter")
    (out / "LICENSE").unlink()
    assert bundle.make(out, ROOT) == out and (out / "LICENSE").is_file()
    assert (out / ".venv/bin/python").read_text() == "an interpreter"
    assert [p.name for p in tmp_path.iterdir()] == ["students"]


def test_a_bundle_is_never_written_over_what_it_is_made_from(students, monkeypatch):
    """The bundle ships `release`: typed in there, it must not eat the student's own work."""
    before = bundle.contents(students)
    monkeypatch.chdir(students)
    for out in (".", "..", "lessons", "data/new"):
        with pytest.raises(ValueError, match="holds the course itself"):
            bundle.make(Path(out), Path("."))
    assert bundle.contents(students) == before


def test_a_release_cut_short_is_made_again(tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(bundle.shutil, "copyfile", stop)
        bundle.make(tmp_path / "students", ROOT)
    assert not (tmp_path / "students").exists()
    bundle.make(tmp_path / "students", ROOT)
    assert [p.name for p in tmp_path.iterdir()] == ["students"]


@pytest.mark.parametrize("command", ["grade", "check", "release", "calibrate", "demo", "package", "similarity"])
def test_help_shows_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as e:
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert e.value.code == 0
    parser().parse_args(text.split("example: autograder ")[1].split())


def test_calibrating_what_has_no_gate_names_what_has(capsys):
    with pytest.raises(SystemExit):
        main(["calibrate", "schedules"])
    assert "unknown gated exercise 'schedules'; known: prediction, architecture, conditioner" in capsys.readouterr().err


def test_band_file_is_json_that_students_may_read(students):
    assert json.loads((students / "data/gates/conditioner.json").read_text())["exercise"] == "conditioner"
