"""The limits of the watchdog, and the checks of what a child says: each taken away alone lets an attack through."""

from __future__ import annotations

import ast
import json
import runpy
import types
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from autograder.child import protocol
from autograder.sandbox import census, child_process, seccomp
from autograder.sandbox.limits import MIB, Failure, Limits
from tests.autograder.sandbox.children import RAW, raw, runner

HERE = Path(__file__).parent
TABLE, HARM = runpy.run_path(str(HERE / "walls.py")), runpy.run_path(str(HERE / "attacks/harm.py"))
AMPLE = Limits(cpu_s=30, wall_s=60.0, memory_bytes=1024 * MIB)


def answered(folder: Path, body: str, limits: Limits, kept: int) -> bool:
    """Whether a child got through with it, and all that it printed with it."""
    try:
        with raw(folder, body, limits) as child:
            child.ask({}, timeout_s=20.0)
    except Failure as failure:
        if "malformed" in failure.message:  # it had announced too much, and was read all the same
            return True
        assert failure.outcome != "infrastructure_error", failure
        return False
    return len(child.printed) <= kept + 100


def test_every_limit_is_in_the_table():
    assert {field.name for field in fields(Limits)} == set(TABLE["LIMITS"])
    assert {name for name in vars(census) if name.endswith("_BYTES")} == set(TABLE["COUNTED"])


@pytest.mark.parametrize("name", TABLE["LIMITS"])
def test_without_this_limit_an_attack_succeeds(name, tmp_path):
    small, body = TABLE["LIMITS"][name]
    kept = 1000 if name == "output_bytes" else 1 << 20
    assert not answered(tmp_path / "with", body, replace(AMPLE, **{name: small}), kept) or name == "output_bytes"
    if name == "output_bytes":  # what is cut is a report's, not the answer's
        with raw(tmp_path / "cut", body, replace(AMPLE, output_bytes=small)) as child:
            child.ask({})
        assert len(child.printed) < small + 100
        kept, body = 1 << 20, body
    assert answered(tmp_path / "without", body, AMPLE, kept)


@pytest.mark.parametrize("name", TABLE["COUNTED"])
def test_what_is_not_counted_is_held(name, tmp_path, monkeypatch):
    """Memory that is in no process, with as much room as an answer has altogether."""
    limits, body = (
        Limits(memory_bytes=160 * MIB, processes=64),
        HARM["HOLD"][TABLE["COUNTED"][name]].replace("split, 40", "split, 12"),
    )
    if name == "SOCKET_BYTES":
        monkeypatch.setattr(seccomp, "SOCKETS", {})
        monkeypatch.setattr(census, "PROCESS_BYTES", 0)
    seen = {}
    for kept in (True, False):
        if not kept:
            monkeypatch.setattr(census, name, 0)
        child = raw(tmp_path / str(kept), HARM["COMMON"] + body, limits)
        with child, pytest.raises(Failure) as caught:
            child.ask({}, timeout_s=1.5)
        seen[kept] = caught.value
    assert "of memory" in seen[True].message and seen[False].outcome == "timeout", seen


def test_what_is_swapped_out_or_tables_of_pages_is_memory_too():
    status = b"Name:\tx\nVmRSS:\t   100 kB\nVmSwap:\t  2000 kB\nVmPTE:\t   30 kB\nThreads:\t1\n"
    assert census._memory(status) == 2130 << 10
    assert census._memory(b"Name:\tVmRSS: 9 kB\n") == 0


def messages(module: types.ModuleType, *, of: tuple[str, ...] = ()) -> list[str]:
    """The source of every refusal in the functions of a module."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    inside = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and (not of or n.name in of)]
    raised = [r.exc for f in inside for r in ast.walk(f) if isinstance(r, ast.Raise) and r.exc]
    raised += [c for f in inside for c in ast.walk(f) if isinstance(c, ast.Return) and "Failure(" in ast.unparse(c)]
    return [text for text in map(ast.unparse, raised) if "Failure(" in text or "Error(" in text]


def mutant(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, old
    made = types.ModuleType(module.__name__)
    exec(compile(source.replace(old, new), module.__file__, "exec"), vars(made))
    return made


@pytest.mark.parametrize(
    ("module", "names", "of"),
    [
        (protocol, {*TABLE["REPLIES"], *TABLE["REPLIES_OVERLAP"]}, ("decode", "_checked", "_number", "_exactly")),
        (child_process, {*TABLE["WAITS"], *TABLE["WAITS_OVERLAP"]}, ()),
    ],
)
def test_every_refusal_has_an_attack_or_a_reason(module, names, of):
    found = messages(module, of=of)
    assert found and [m for m in found if not any(name in m for name in names) and "why" not in m
                      and "*self._watchdog.verdict" not in m] == []  # fmt: skip
    assert {n for n in names if not any(n in m for m in found)} <= {"allow_nan", "as bytes"}  # which are no refusals


def blob(name: str) -> bytes:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    index, data = {str(i) * 9: entry for i in range(30_000)}, b""
    if name == "COMPLEX":
        index, data = {"x": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)
    if name == "BOOL":
        index, data = {"x": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}, b"\2"
    text = json.dumps(index).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def harmful(decode, header: bytes, tensors: str | bytes) -> bool:
    """Whether something came through that a check does not expect."""
    try:
        value, got = decode(header, blob(tensors) if isinstance(tensors, str) else tensors)
    except (ValueError, KeyError):
        return False
    strange = [x for x in got.values() if x.is_complex() or (x.dtype == torch.bool and x.view(torch.uint8).amax() > 1)]
    return bool(strange) or len(got) > 10_000 or not isinstance(value, dict) or "x" in value


@pytest.mark.parametrize("name", TABLE["REPLIES"])
def test_without_this_check_a_reply_comes_through(name):
    old, new, header, tensors = TABLE["REPLIES"][name]
    assert not harmful(protocol.decode, header, tensors)
    assert harmful(mutant(protocol, old, new).decode, header, tensors)


@pytest.mark.parametrize("name", TABLE["WAITS"])
def test_without_this_check_the_parent_is_taken_in(name, tmp_path):
    old, new, body = TABLE["WAITS"][name]
    source = RAW + body if body else RAW.replace('"ready": True', '"ready": 7') + "question()"
    taken, said = [], []
    for module in (child_process, mutant(child_process, old, new)):
        try:
            with module.Child(
                runner(tmp_path / module.__name__ / str(len(taken)), source), Limits(message_bytes=1 << 20)
            ) as child:
                if body:
                    child.ask({})
                    child.ask({}, timeout_s=1.0)
            taken.append(True)
        except Failure as failure:
            said.append(failure)
            taken.append("exit status 0" in failure.message)  # it came to the second question
        except (ValueError, TypeError):  # what the grader would die of
            taken.append(True)
    assert taken == [False, True], said
