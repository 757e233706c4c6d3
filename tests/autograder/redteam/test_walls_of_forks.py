"""The walls around a fork: no attack of walls.py gets through, and without a line of zygote.py one does.

Where a line is missing the fork looks at its walls, finds that out, and runs nothing. So to see what the line is good
for, both are taken away.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from autograder.sandbox import bubblewrap, forks
from autograder.sandbox.forks import Zygote
from autograder.sandbox.uids import Uid
from tests.autograder.redteam.test_walls import (  # noqa: F401
    CALLS,
    LIMITS,
    MINE,
    NUMBERS,
    STARTED,
    TABLE,
    code,
    every_call,
    targets,
)

ROOT = not os.geteuid()
SOURCE = forks.ZYGOTE.read_text()
LOOK = "        examine(wanted, joined)\n"
STATUS = "def status(name): return open('/proc/self/status').read().split(name + ':')[1].split()[0]\n"
OPEN = "value = len(os.listdir('/proc/self/fd')) > 4"
WALLS = {  # the line, what stands in its place, and the attack
    "net": ("(NAMESPACES[n] for n in joined)", "(NAMESPACES[n] for n in joined if n != 'net')", "--unshare-net"),
    "ipc": ("(NAMESPACES[n] for n in joined)", "(NAMESPACES[n] for n in joined if n != 'ipc')", "--unshare-ipc"),
    "uts": ("(NAMESPACES[n] for n in joined)", "(NAMESPACES[n] for n in joined if n != 'uts')", "--unshare-uts"),
    "descriptors": ("                os.close(fd)\n", "                pass\n", OPEN),
    "limits": ("resource.setrlimit(which, (value, value))", "pass", "nofile"),
    "powers to come": ('_call("prctl", BOUNDING, capability, 0, 0, 0)', "pass", "value = int(status('CapBnd'), 16)"),
    "filter": ('    _call("prctl", SECCOMP, 2', '    print("prctl", SECCOMP, 2', CALLS["socket"]),
}  # fmt: skip
UNSEEN = {  # what the fork does not look at
    "session": ("    os.setsid()\n", "", "--new-session"),
    "when memory is short": ('        file.write("1000")', "        pass", "choom"),
}
OF_ROOT = {
    "uid": ('        os.setresuid(*[wanted["uid"]] * 3)\n', "", "--reuid"),
    "gid": ('        os.setresgid(*[wanted["uid"]] * 3)\n', "", "--regid"),
}
OF_USERS = {"powers": ('    _call("capset", ', '    print("capset", ', "value = int(status('CapEff'), 16)")}
ALL = WALLS | UNSEEN | (OF_ROOT if ROOT else OF_USERS)


@pytest.fixture(scope="module")
def run(code, targets, tmp_path_factory):  # noqa: F811
    """Whether an attack succeeds in a fork of this zygote; None where the fork refuses to run."""
    held = Uid()

    def succeeds(made: Zygote, attack: str) -> bool | None:
        for place, text in targets.items():
            attack = attack.replace(f"@{place}@", text)
        text = f"NUMBERS = {NUMBERS!r}\n{TABLE['HELP']}\n{STATUS}value = None\n{attack}\nprint('value', bool(value))"
        (code / "runner.py").write_text(text)
        forked = made.start(code, LIMITS, uid=held.number, hide=bubblewrap.DATA)
        if forked is None:
            return None
        forked.process.stdin.close()
        said = forked.process.stdout.read(), forked.process.stderr.read()
        forked.process.wait()
        forked.process.stdout.close()
        forked.process.stderr.close()
        return b"value True" in said[0]

    yield succeeds
    (Path(code) / "runner.py").unlink()
    held.close()


@pytest.fixture(scope="module")
def whole():
    with contextlib.closing(Zygote(modules=())) as made:
        yield made
        assert made.why is None


@pytest.mark.parametrize("name", [n for n in STARTED if n in MINE | {"--clear-groups"} or not ROOT])
def test_no_attack_on_the_way_it_starts_succeeds_in_a_fork(name, whole, run):
    assert run(whole, STARTED[name]) is False


def test_no_system_call_does_it_in_a_fork(whole, run):
    assert run(whole, every_call()) is True


@pytest.fixture
def say(tmp_path, monkeypatch):
    """Makes another text the zygote's."""
    monkeypatch.setattr(forks, "ZYGOTE", tmp_path / "zygote.py")
    return forks.ZYGOTE.write_text


@pytest.mark.parametrize("name", ALL)
def test_without_this_line_an_attack_succeeds_unless_the_fork_looks(name, whole, run, say):
    line, other, attack = ALL[name]
    attack = STARTED.get(attack, attack)
    assert SOURCE.count(line) == 1 and SOURCE.count(LOOK) == 1
    assert run(whole, attack) is False
    for looks in (True, False):
        text = SOURCE.replace(line, other)
        text = text if looks else text.replace(LOOK, "")
        say(text)
        said = []
        with contextlib.closing(Zygote(said.append, modules=())) as made:
            assert run(made, attack) is (None if looks and name not in UNSEEN else True), said


@pytest.mark.parametrize("namespace", ["mnt", "pid"])
def test_without_these_namespaces_nothing_runs(namespace, run, say):
    for end in ("", LOOK):
        joined = f"(NAMESPACES[n] for n in joined if n != '{namespace}')"
        text = SOURCE.replace("(NAMESPACES[n] for n in joined)", joined).replace(end, "")
        say(text)
        with contextlib.closing(Zygote(modules=())) as made:
            assert not run(made, "value = True")


def test_it_joins_no_sandbox_that_lacks_a_namespace(run, monkeypatch):
    words = bubblewrap.command
    monkeypatch.setattr(
        bubblewrap, "command", lambda *a, **o: [w for w in words(*a, **o) if w != "--unshare-net"]
    )  # fmt: skip
    said = []
    with contextlib.closing(Zygote(said.append, modules=())) as made:
        assert run(made, "value = True") is None
    assert "net namespace" in said[0]


def test_it_does_not_run_where_an_answer_is_in_memory(run):
    said = []
    with contextlib.closing(Zygote(said.append, modules=("sklearn.datasets",))) as made:
        assert run(made, "value = True") is None
    assert "loaded is" in said[0]
