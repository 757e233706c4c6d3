"""The zip for Gradescope, unpacked into Gradescope's folders below a temporary one, and run there."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder.adapters import gradescope
from autograder.authoring.mutants import banks
from autograder.cli.main import main
from tests.corpus.one_answer import ASSIGNMENT, NOTEBOOK, handed_in, package

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return package("gradescope", tmp_path_factory.mktemp("zip") / "g.zip")


@pytest.fixture(scope="module")
def image(archive, tmp_path_factory):
    """What Gradescope makes of the zip: source/, run_autograder beside it, an empty results/."""
    root = tmp_path_factory.mktemp("autograder")
    with zipfile.ZipFile(archive) as z:
        for entry in z.infolist():
            Path(z.extract(entry, root / "source")).chmod(entry.external_attr >> 16)
    shutil.copy(root / "source/run_autograder", root)
    (root / "results").mkdir()
    return root


def submit(image, text, folder=".", **env):
    """Run the image's run_autograder on one submission, as Gradescope does, and return (exit status, results)."""
    shutil.rmtree(image / "submission", ignore_errors=True)
    (image / "submission" / folder).mkdir(parents=True)
    (image / "submission" / folder / f"{NOTEBOOK}.ipynb").write_text(text, encoding="utf-8")
    (image / "results/results.json").unlink(missing_ok=True)
    env = {**os.environ, "AUTOGRADER_ROOT": str(image), "AUTOGRADER_PYTHON": sys.executable, **env}
    done = subprocess.run([image / "run_autograder"], cwd=image, env=env, capture_output=True, text=True, timeout=300)
    return done, json.loads((image / "results/results.json").read_text(encoding="utf-8"))


def test_a_right_and_a_wrong_answer_get_their_points(image, programs):
    bank = next(banks(NOTEBOOK))
    done, right = submit(image, handed_in(next(iter(bank.right.values()))), folder="5_2_guidance")
    assert done.returncode == 0, done.stderr
    assert right["score"] == 10 and sum(t["max_score"] for t in right["tests"]) == 10
    for t in right["tests"]:
        assert set(t) == {"name", "score", "max_score", "status", "output", "visibility"}
        assert t["status"] == "passed" and t["visibility"] == "visible"
    assert right["stdout_visibility"] == "hidden" and right["extra_data"]["outcome"] == "graded"
    assert right["extra_data"]["sandboxed"] and '"seed"' in done.stdout and "seed" not in json.dumps(right)

    name, wrong = next(iter(bank.wrong.items()))
    done, lost = submit(image, handed_in(wrong.source), AUTOGRADER_PYTHON=str(programs / "python"))
    failed = {t["name"].removeprefix(f"{NOTEBOOK}: ") for t in lost["tests"] if t["status"] == "failed"}
    assert done.returncode == 0 and set(wrong.loses) <= failed, name
    assert lost["score"] == pytest.approx(sum(t["score"] for t in lost["tests"])) and lost["score"] < 10


def test_without_a_sandbox_there_is_no_score_rather_than_a_zero(image, programs, tmp_path):
    tools = tmp_path / "bin"  # a container without bubblewrap
    tools.mkdir()
    for tool in ("bash", "env", "prlimit", "setpriv", "choom"):
        (tools / tool).symlink_to(shutil.which(tool))
    env = {"PATH": str(tools), "AUTOGRADER_PYTHON": str(programs / "python")}
    done, result = submit(image, handed_in("def drop_labels(): ..."), **env)
    assert done.returncode == 1
    assert "score" not in result and "tests" not in result  # Gradescope then gives none
    assert result["extra_data"]["outcome"] == "infrastructure_error"
    assert "no score was given" in result["output"] and "bubblewrap" in result["output"]


def test_the_zip_has_what_it_needs_and_nothing_else(archive, tmp_path):
    with zipfile.ZipFile(archive) as z:
        names = z.namelist()
        texts = {n: z.read(n) for n in names}
        assert {n for n in names if z.getinfo(n).external_attr >> 16 & 0o111} == {"setup.sh", "run_autograder"}
    assert {
        "setup.sh",
        "run_autograder",
        "requirements.txt",
        "requirements.lock",
        "autograder/sandbox/child_process.py",
    } <= set(names)
    assert "solutions/5_2_guidance/guided_sampling.ipynb" in names and "data/judges/digits.safetensors" in names
    for word in ("mutants", "references", "samples/", "__pycache__", "5_1_unconditional/", ".ipynb_checkpoints", "/."):
        assert not [n for n in names if word in n], word
    for name, content in texts.items():
        assert str(ROOT).encode() not in content and f"{Path.home()}/".encode() not in content, name
    for name in ("setup.sh", "run_autograder", "requirements.txt", "requirements.lock", "grader.json"):
        assert not re.search(rb"https?://|index-url|@ file", texts[name]), name
    assert archive.stat().st_size < 20_000_000
    locked = {line.split("==")[0].lower() for line in texts["requirements.lock"].decode().splitlines()}
    assert set(texts["requirements.txt"].decode().split()) <= locked
    subprocess.run(["bash", "-n"], input=texts["setup.sh"], check=True)
    twice = [gradescope.package(ASSIGNMENT, tmp_path / f"{i}.zip", ROOT, (NOTEBOOK,)).read_bytes() for i in (1, 2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize(
    "words,says",
    [
        (["9_9"], "unknown assignment '9_9'; known: 5_1_unconditional"),
        ([ASSIGNMENT, "--notebook", "x"], "unknown notebook 'x' of 5_2_guidance; known: label_dropout"),
        ([ASSIGNMENT, "--course", "nowhere"], "nowhere is not the course's folder"),
    ],
)
def test_what_is_unknown_is_named(words, says, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        main(["package", "--format", "gradescope", *words])
    assert says in capsys.readouterr().err


def test_what_is_entered_by_hand():
    assert gradescope.advice("5_2_guidance", ROOT) == (
        "Enter the maximum in Gradescope: set Autograder Points to 30, enable manual grading, and add the items"
        " label_dropout_written (3), guided_sampling_written (3), ema_written (3)"
    )
    assert "Points to 20, enable" in gradescope.advice("5_3_conditioning", ROOT, ("conditioner",))
