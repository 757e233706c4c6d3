"""deploy/containers and .devcontainer: the images are built, the lab answers in one, the other grades in its sandbox.

What is built on is in tests/containers.py. Where podman does not run, only what needs none is tested.
"""

import contextlib
import json
import re
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from autograder import travel
from tests.containers import BASE, ENVIRONMENT, ROOT, Podman, base

WAIT = 240  # seconds, on a busy machine
pytestmark = pytest.mark.timeout(5 * WAIT)
WALLS = ("--security-opt", "seccomp=unconfined", "--security-opt", "unmask=ALL")
CONTAINERS = ROOT / "deploy/containers"
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=60).read().decode())"


@pytest.fixture(scope="module")
def podman() -> Podman:
    made = Podman(Path(tempfile.mkdtemp(prefix="p-")))  # podman wants it short: pytest's own folders are too long
    try:
        made("import", "--change", f"ENV={ENVIRONMENT}", "-", BASE, stdin=base())
        made.run(BASE, "/bin/sh", "-c", "true")
    except (AssertionError, OSError) as error:
        pytest.skip(f"podman does not run here: {error}")
    yield made
    with contextlib.suppress(AssertionError):
        made("rmi", "--all", "--force")
    shutil.rmtree(made.store, ignore_errors=True)


@pytest.fixture(scope="module")
def student(podman: Podman) -> str:
    return podman.build("student", "--file", "deploy/containers/student.Containerfile", ".")


@pytest.fixture(scope="module")
def grader(podman: Podman) -> str:
    return podman.build("grader", "--file", "deploy/containers/grader.Containerfile", ".")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder that whoever works in a container may write to."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    return tmp_path / "home"


def test_a_context_holds_what_ships_and_nothing_of_the_class(podman: Podman, tmp_path: Path):
    """Neither what git ignores nor what somebody has put beside the course."""
    shipped = ["Makefile", "solutions/5_1/a.ipynb", "autograder/child/b.py", "docs/students.md", "playground/lab/c.js"]
    others = ["submitted/ada/d.ipynb", "build/grades/e.json", "gradebook.db", "variants.json", "lti.pem", "roster.csv"]
    others += [".git/config", ".venv/bin/python", "autograder/__pycache__/f.pyc", "exercises/5_1/.a_hints.json"]
    for name in (*shipped, *others):
        (tmp_path / "context" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "context" / name).write_text(name)
    shutil.copy(ROOT / ".dockerignore", tmp_path / "context")
    (tmp_path / "all").write_text("FROM scratch\nCOPY . /\n")
    to = f"type=local,dest={tmp_path / 'found'}"
    podman(
        "build", "--quiet", "--isolation", "chroot", "--output", to, "--file", tmp_path / "all", tmp_path / "context"
    )
    found = {p.relative_to(tmp_path / "found").as_posix() for p in (tmp_path / "found").rglob("*") if p.is_file()}
    assert found == set(shipped)


def test_students_get_what_a_release_gives_them(podman: Podman, student: str):
    said = podman.run(
        student, "-c", "find /opt/course -type f; cat /opt/course/.venv/asked", options=("--entrypoint=sh",)
    )
    there = {line.removeprefix("/opt/course/") for line in said.splitlines() if line.startswith("/opt/course/")}
    assert {f.relative_to(ROOT).as_posix() for f in travel.to_students(ROOT)} <= there
    private = "^solutions/|^data/judges/|^deploy/|/authoring/|/(rubric|mutants|references)[.]txt$|[.]git/"
    assert not [f for f in there if re.search(private, f)]
    packages, clone = [line for line in said.splitlines() if line.startswith("uv ")]
    assert packages.endswith("cpu.lock -e .") and "--torch-backend cpu" in packages  # no extras, no CUDA
    assert clone.endswith("-e .")


def test_the_lab_opens_on_a_students_own_folder(podman: Podman, student: str, home: Path):
    (home / "exercises").mkdir()
    (home / "exercises/mine.txt").write_text("kept")
    (home / "exercises").chmod(0o777)
    started = podman("run", "--detach", *podman.alone, f"--volume={home}:/home/student", student).split()[-1]
    try:
        end = time.monotonic() + WAIT
        while not (address := re.search(r"http://127\.0\.0\.1:8888\S*token=(\w+)", log := podman("logs", started))):
            assert time.monotonic() < end, log
            time.sleep(0.5)
        assert "lab/tree/lessons/5_1_unconditional.ipynb" in address[0]

        def ask(path: str) -> dict:
            url = f"http://127.0.0.1:8888/api/{path}?token={address[1]}"
            return json.loads(podman("exec", started, "python", "-c", ASK, url).splitlines()[-1])

        lessons = {item["name"] for item in ask("contents/lessons")["content"]}
        assert {path.name for path in ROOT.glob("lessons/*.ipynb")} <= lessons
        assert [item["name"] for item in ask("contents/exercises")["content"]] == ["mine.txt"]  # as it was
        assert ask("kernelspecs")["default"] == "python3"
        assert podman("exec", started, "id", "-u").split()[-1] == "1000"
        assert "ddpm_core" in {item["name"] for item in ask("contents")["content"]}  # to read
    finally:
        podman("rm", "--force", "--time", "0", started)


def test_a_folder_that_cannot_be_written_is_named(podman: Podman, student: str, home: Path):
    home.chmod(0o755)
    said = podman.run(student, "true", options=(f"--volume={home}:/home/student",), fails=True)
    assert "/home/student cannot be written here by user 1000" in said and "--user" in said


def test_the_grader_grades_in_its_sandbox_and_says_what_is_missing_where_it_has_none(
    podman: Podman, grader: str, home: Path
):
    folder = home / "submitted/ada/5_2_guidance"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "solutions/5_2_guidance/label_dropout.ipynb", folder)
    words = ("autograder", "grade", "submitted", "--out", "grades", "--notebook", "label_dropout")
    mounted = f"--volume={home}:/work"

    said = podman.run(grader, *words, options=(mounted,), fails=True)
    assert said.count("`podman run --security-opt seccomp=unconfined --security-opt unmask=ALL …`") >= 1
    assert "Can't" in said or "No permissions" in said  # bubblewrap's own word
    assert not [*home.glob("grades/**/*.json")]

    said = podman.run(grader, *words, options=(mounted, *WALLS))
    assert "The sandbox works here." in said
    (record,) = home.glob("grades/ada/**/results.json")
    assert '"sandboxed": true' in record.read_text() and "10 / 10" in said
    assert (home / "grades/gradebook.db").exists()  # which needs the solutions that the image holds


def test_who_grades_gets_the_extras_and_a_copy(podman: Podman, grader: str):
    said = podman.run(grader, "sh", "-c", "cat /opt/course/.venv/asked /etc/asked; ls /opt/course")
    packages, clone = [line for line in said.splitlines() if line.startswith("uv ")]
    assert packages.endswith("cpu.lock -e .[grader,lti]") and clone.endswith("--no-build-isolation .")
    assert "bubblewrap" in said and "solutions" not in said.split()


def test_the_devcontainer_opens_a_stage_that_is_there_and_types_what_make_knows():
    found = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    file = (ROOT / ".devcontainer" / found["build"]["dockerfile"]).resolve()
    assert (ROOT / ".devcontainer" / found["build"]["context"]).resolve() == ROOT and file.parent == CONTAINERS
    text = file.read_text(encoding="utf-8")
    assert re.search(rf"^FROM \S+ AS {found['build']['target']}$", text, re.M)
    assert f"useradd --create-home --uid 1000 --shell /bin/bash {found['remoteUser']}\n" in text
    assert found["forwardPorts"] == [int(port) for port in re.findall(r"^EXPOSE (\d+)$", text, re.M)]
    words = found["postCreateCommand"].split()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert words[0] == "make" and re.search(rf"^{words[1]}:", makefile, re.M)
    assert all(re.search(rf"^{word.partition('=')[0]} \?=", makefile, re.M) for word in words[2:])
    assert found["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith("/.venv/bin/python")


@pytest.mark.parametrize("name", ["student", "grader"])
def test_who_works_in_a_container_is_not_root(name: str):
    lines = (CONTAINERS / f"{name}.Containerfile").read_text(encoding="utf-8").splitlines()
    last = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 1000" in last and not [line for line in lines if re.match(r"FROM \S+:latest|ADD ", line)]
    assert [line for line in lines if re.fullmatch(r"ARG BASE=\w+:[\w.-]+", line)]  # a tag
