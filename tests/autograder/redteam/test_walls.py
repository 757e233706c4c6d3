"""Every wall is needed: with it alone taken away an attack succeeds that otherwise fails; and no wall is unnamed."""

from __future__ import annotations

import ctypes
import os
import platform
import runpy
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from autograder.sandbox import bubblewrap, seccomp
from autograder.sandbox.limits import MIB, Limits
from autograder.sandbox.uids import Uid
from tests.autograder.sandbox.test_who_starts_it import ordinary_user

TABLE = runpy.run_path(str(Path(__file__).parent / "walls.py"))
STARTED, CALLS, KERNEL_CALLS, OVERLAP = (TABLE[n] for n in ("STARTED", "CALLS", "KERNEL_CALLS", "OVERLAP"))
LIMITS = Limits(cpu_s=0, processes=12, file_bytes=4 * MIB, scratch_bytes=8 * MIB)
TAKES = {"--symlink": 2, "--dev-bind": 2, "--ro-bind": 2} | dict.fromkeys(
    ("--hostname", "--perms", "--size", "--tmpfs", "--proc", "--dir", "--remount-ro", "--chdir", "--seccomp"), 1
)  # words after an option of bubblewrap
COLUMN = list(seccomp.ARCHITECTURES).index(platform.machine())
NUMBERS = {name: numbers[COLUMN] for name, numbers in (seccomp.DENIED | seccomp.SOCKETS).items()}
NUMBERS |= {name: rule.numbers[COLUMN] for name, rule in seccomp.RULES.items()}
ROOT = not os.geteuid()


class Option(NamedTuple):
    name: str
    words: list[str]


def options(words: list[str]) -> list[Option]:
    """A command of bubblewrap.py in its parts; a part without a name is what is not taken away."""
    at, found = words.index("prlimit"), [Option("choom", words[: words.index("prlimit")]), Option("", ["prlimit"])]
    while words[at + 1].startswith("--") and len(words[at + 1]) > 2:
        at += 1
        found.append(Option(words[at].partition("=")[0][2:], [words[at]]))
    found.append(Option("", words[at + 1 : at + 3]))  # "--", "bwrap"
    at += 3
    while words[at] != "--":
        n = 1 + TAKES.get(words[at], 0)
        found.append(Option(words[at], words[at : at + n]))
        at += n
    found.append(Option("", ["--"]))
    rest = words[at + 1 :]
    if rest[0] == "setpriv":
        found.append(Option("", ["setpriv"]))
        at = 1
        while rest[at] != "--":
            n = 2 if rest[at] in ("--reuid", "--regid") else 1
            found.append(Option(rest[at].partition("=")[0], rest[at : at + n]))
            at += n
        rest = rest[at:]
    return [*found, Option("", rest)]


def without(parts: list[Option], name: str) -> list[str]:
    """The command with one wall taken away."""
    gone = {name} | ({"--hostname"} if name == "--unshare-uts" else set())
    if name == "--ro-bind":
        parts = [
            Option("", ["--bind", *p.words[1:]]) if p.name == name and p.words[-1] == "/code" else p for p in parts
        ]
        gone = set()
    if name == "--tmpfs":  # those that hide; without the others there is nowhere to write
        hiding = {p.words[1] for p in parts if p.name == "--tmpfs"} - {"/tmp", "/dev/shm"}
        return [w for p in parts if not hiding & set(p.words) for w in p.words]
    if name == "--clear-groups":  # setpriv wants one or the other
        parts, gone = [Option("", ["--keep-groups"]) if p.name == name else p for p in parts], set()
    words = [w for p in parts if p.name not in gone for w in p.words]
    return ["prlimit", "--core=unlimited", "--cpu=unlimited", "--", *words] if name in ("core", "cpu") else words


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """What the attacks aim at, as the places in their code."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    shared = libc.shmget(0, 4096, 0o1666)
    ctypes.memmove(libc.shmat(shared, None, 0), b"secret", 6)
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0autograder-walls-{os.getpid()}")
        yield {
            **{"ABSTRACT": f"autograder-walls-{os.getpid()}", "PID": str(os.getpid()), "SHM": str(shared)},
            **{"HOST": os.uname().nodename, "CGROUP": os.readlink("/proc/self/ns/cgroup")},
        }
    libc.shmctl(shared, 0, None)


@pytest.fixture(scope="module")
def code():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "open").mkdir(mode=0o777)
        (Path(folder) / "open").chmod(0o777)
        (Path(folder) / "group").write_text("secret")
        (Path(folder) / "group").chmod(0o640)
        yield Path(folder)


@pytest.fixture(scope="module")
def run(code, targets):
    """Run an attack; whether it succeeded. `name` is a word of the command that is left out."""
    held = Uid()  # tests beside this one have children, too

    def succeeds(attack: str, name: str = "", rules: bytes | None = None, prefix: tuple = (), euid: int | None = None):
        for place, text in targets.items():
            attack = attack.replace(f"@{place}@", text)
        source = f"NUMBERS = {NUMBERS!r}\n{TABLE['HELP']}\nvalue = None\n{attack}\nprint('value', bool(value))"
        fd = os.memfd_create("rules")
        os.write(fd, rules or seccomp.program())
        os.lseek(fd, 0, os.SEEK_SET)
        argv = [sys.executable, "-I", "-B", "-c", source]
        words = bubblewrap.command(
            argv, code, LIMITS, filter_fds=[fd], hide=bubblewrap.DATA, euid=euid, uid=held.number
        )
        words = [*prefix, *(without(options(words), name) if name else words)]
        pipes = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        ended = subprocess.run(
            words, env=bubblewrap.environment(1), cwd="/", pass_fds=[fd], timeout=60, start_new_session=True, **pipes
        )  # fmt: skip
        os.close(fd)
        if "value" not in ended.stdout:  # it has died of the wall
            assert "bwrap:" not in ended.stderr and "setpriv:" not in ended.stderr, ended.stderr
        return "value True" in ended.stdout

    yield succeeds
    held.close()


def command(euid: int) -> list[str]:
    return bubblewrap.command(["x"], Path("code"), LIMITS, filter_fds=[9], hide=bubblewrap.DATA, euid=euid)


def test_every_word_that_starts_it_is_a_wall_or_has_its_reason():
    found = {part.name for euid in (0, 1000) for part in options(command(euid))} - {""}
    assert found == {*STARTED, *TABLE["PLUMBING"], *OVERLAP} - {"syslog", "bpf", "x32"}
    for euid in (0, 1000):
        words = command(euid)  # once: it counts processes
        assert [w for part in options(words) for w in part.words] == words


MINE = {part.name for part in options(command(os.geteuid()))}


@pytest.mark.parametrize("name", [n for n in STARTED if n in MINE and n not in TABLE["FOR_ORDINARY_USERS"]])
def test_without_this_word_an_attack_succeeds(name, run):
    grader = ("setpriv", "--groups", "0", "--") if name == "--clear-groups" else ()  # a root that has a group
    assert not run(STARTED[name], prefix=grader)
    assert run(STARTED[name], name, prefix=grader)


@pytest.mark.parametrize("name", TABLE["FOR_ORDINARY_USERS"])
def test_without_this_word_an_attack_of_an_ordinary_users_answer_succeeds(name, run):
    with ordinary_user() as (words, _):
        assert not run(STARTED[name], prefix=tuple(words), euid=65534)
        assert run(STARTED[name], name, prefix=tuple(words), euid=65534)


def test_every_rule_for_system_calls_is_a_wall_or_has_its_reason():
    rules = {*seccomp.DENIED, *seccomp.SOCKETS, *seccomp.RULES, "architecture", "x32"}
    assert rules == {*CALLS, "syslog", "bpf", "x32"} and set(KERNEL_CALLS) == set(seccomp.ONLY_UNIX)


def rules_without(name: str, monkeypatch, *, sockets: bool = False) -> bytes:
    if name == "architecture":
        return seccomp.program()[3 * 8 :]
    table = (
        seccomp.ONLY_UNIX if sockets else next(t for t in (seccomp.DENIED, seccomp.SOCKETS, seccomp.RULES) if name in t)
    )
    monkeypatch.delitem(table, name)
    return seccomp.program(sockets=sockets)


def every_call() -> str:
    """An attack that tries all calls; its value is whether each was tried, and none succeeded."""
    each = "\n".join(f"found[{name!r}] = tried({code!r})" for name, code in CALLS.items())
    return f"""
def tried(code):
    def action():
        scope = dict(globals())
        exec(code, scope)
        return scope["value"]
    return attempt(action)
found = {{}}
{each}
print([name for name, value in found.items() if value], len(found), file=sys.stderr)
value = len(found) == {len(CALLS)} and not any(found.values())
"""


def test_with_the_filter_no_call_does_it(run):
    assert run(every_call())
    for code in KERNEL_CALLS.values():
        assert not run(code, rules=seccomp.program(sockets=True))


@pytest.mark.parametrize(
    "name", [n for n in CALLS if NUMBERS.get(n) != NUMBERS.get("inotify_init1") or n != "inotify_init"]
)
def test_without_this_rule_an_attack_succeeds(name, run, monkeypatch):
    if name == "architecture" and platform.machine() != "x86_64":
        return  # other processors know no second set of calls
    assert run(CALLS[name], rules=rules_without(name, monkeypatch))


@pytest.mark.parametrize("name", KERNEL_CALLS)
def test_without_this_rule_of_the_kernels_an_attack_succeeds(name, run, monkeypatch):
    assert run(KERNEL_CALLS[name], rules=rules_without(name, monkeypatch, sockets=True))
