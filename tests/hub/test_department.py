"""What a department may write into department.toml, and what JupyterHub is told then."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from traitlets.config.loader import PyFileConfigLoader

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/jupyterhub"
PEOPLE = 'instructors = ["grace"]\nstudents = ["ada"]\n'


@pytest.fixture
def read(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("department", DEPLOY / "department.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "department", module)  # dataclasses look there
    spec.loader.exec_module(module)

    def of(text):
        (tmp_path / "department.toml").write_text(text)
        return module.read(tmp_path / "department.toml")

    return of


@pytest.mark.parametrize(
    "text, says",
    [
        (PEOPLE + "port = 8000", "there is no setting 'port'; known: instructors, students"),
        (PEOPLE + 'hub_port = "8081"', "hub_port must be a whole number"),
        (PEOPLE + "hub_port = true", "hub_port must be a whole number"),
        (PEOPLE + "grader = 7", "grader must be a text"),
        ('instructors = "grace"\nstudents = []', "instructors must be a list of names"),
        ("students = [1]", "students must be a list of names"),
        ("students = []", "names no instructors"),
        ('instructors = ["ada"]\nstudents = ["ada"]', "ada is an instructor and a student"),
        ('instructors = ["grader"]\nstudents = []', "nobody logs in as grader"),
        ("students = [", "is not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(read, text, says):
    with pytest.raises(ValueError) as e:
        read(text)
    assert says in str(e.value) and "\n" not in str(e.value)


def test_the_one_that_ships_can_be_read(read):
    assert read((DEPLOY / "department.toml").read_text()).people == {"grace", "ada", "ben"}


def test_only_instructors_may_enter_the_service_and_nobody_else_comes_in(tmp_path):
    for name in ("jupyterhub_config.py", "department.py"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "department.toml").write_text(PEOPLE + 'course = "other"')
    try:
        hub = PyFileConfigLoader("jupyterhub_config.py", path=str(tmp_path)).load_config()
    finally:
        sys.modules.pop("department", None)
        sys.path.remove(str(tmp_path))
    assert hub.Authenticator.allowed_users == {"grace", "ada"}
    assert hub.JupyterHub.load_groups == {"formgrade-other": {"users": ["grace"]}, "nbgrader-other": {"users": ["ada"]}}
    entering = [r for r in hub.JupyterHub.load_roles if "access:services!service=other" in r["scopes"]]
    assert [r.get("groups") for r in entering] == [["formgrade-other"]]
    (service,) = hub.JupyterHub.services
    assert service["user"] == "grader" and "/srv/students" not in str(service) and "/srv/course" not in str(hub.Spawner)
