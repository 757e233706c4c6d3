"""Settings that differ between departments, read from department.toml beside this file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Department:
    instructors: tuple[str, ...]
    students: tuple[str, ...]
    course: str = "conditional-diffusion"  # as in the course's nbgrader_config.py
    grader: str = "grader"  # the account that releases, collects, grades and returns
    address: str = "http://127.0.0.1:8000"  # of the proxy; put whatever provides HTTPS in front of it
    hub_port: int = 8081  # this and the next two only on loopback
    proxy_port: int = 8001
    formgrader_port: int = 9999
    authenticator: str = "pam"  # this machine's accounts; or a class or entry point, such as one for OAuth or LTI
    spawner: str = "localprocess"  # each server under its student's own account; "systemd" also limits memory
    memory: str = "4G"  # per student server, if the spawner limits it: the largest exercise takes 2 GB
    course_folder: str = "/srv/course"  # the repository, readable only by the grader
    students_folder: str = "/srv/students"  # the output of `autograder release`

    @property
    def people(self) -> set[str]:
        return {*self.instructors, *self.students}


def read(path: Path) -> Department:
    """The department's settings; ValueError, in one sentence, for invalid ones."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ValueError(f"{path} cannot be read ({e.strerror}); start from a copy of department.toml") from None
    except tomllib.TOMLDecodeError as e:
        raise ValueError(f"{path} is not valid TOML: {e}") from None
    known = {f.name: f.type for f in fields(Department)}
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{path}: there is no setting '{key}'; known: {', '.join(known)}")
        many = known[key] not in (str, int)
        if not (_names(value) if many else type(value) is known[key]):
            what = "a list of names" if many else {int: "a whole number", str: "a text"}[known[key]]
            raise ValueError(f"{path}: {key} must be {what}")
    if missing := [key for key in ("instructors", "students") if key not in given]:
        raise ValueError(f"{path} names no {missing[0]}; add {missing[0]} = [] at least")
    people = {key: tuple(given[key]) for key in ("instructors", "students")}
    department = Department(**{**given, **people})
    if both := sorted({*department.instructors} & {*department.students}):
        raise ValueError(f"{path}: {both[0]} is an instructor and a student; each needs an account of their own")
    if department.grader in department.people:
        raise ValueError(f"{path}: nobody logs in as {department.grader}, which grades; remove it from the lists")
    return department


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)
