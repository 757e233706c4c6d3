"""One child for every question about what can be seen and done inside."""

from __future__ import annotations

import pytest

from autograder.sandbox.child_process import Child, Limits
from tests.autograder.sandbox.children import MIB, SECRET, SHELL, runner


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One child for every question about what can be seen and done inside."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("GRADEBOOK_PASSWORD", SECRET)
    limits = Limits(scratch_bytes=8 * MIB, file_bytes=4 * MIB)
    folder = runner(tmp_path_factory.mktemp("shell"), SHELL)
    (folder / "link").symlink_to(__file__)
    (folder / "runner.py").chmod(0o600)  # as after `umask 077`
    with Child(folder, limits) as child:
        yield child
    monkeypatch.undo()


@pytest.fixture
def inside(shell):
    """Run code in the child; its `value`, or (name of the error, errno)."""

    def run(code: str):
        reply, _ = shell.ask({"code": code})
        return (reply["error"], reply["errno"]) if "error" in reply else reply["value"]

    return run
