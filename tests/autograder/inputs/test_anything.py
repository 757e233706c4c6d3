"""Corrupted notebooks: none stops a batch, and each gets a record that can be shown."""

from __future__ import annotations

import copy
import json
import random

import nbformat

from autograder.adapters import report, restore, table
from autograder.grading import batch
from autograder.grading.results import OUTCOMES
from autograder.intake.extract import Answers, Unreadable, extract
from autograder.sandbox import session
from tests.autograder.inputs.notebooks import EXERCISE, ROOT, TEXT, write

ODD = (None, True, -1, 1e999, "", "code", "q_sample", "\ud800", "\0", [], {}, [[]], [1], {"nbgrader": 1}, 10**400)


def mutate(nb: object, chance: random.Random) -> object:
    """The notebook with one to five JSON values replaced, removed or doubled."""
    nb = copy.deepcopy(nb)
    for _ in range(chance.randint(1, 5)):
        at, path = nb, []
        while isinstance(at, (dict, list)) and at and (len(path) < 1 or chance.random() < 0.8):
            key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            path.append((at, key))
            at = at[key]
        holder, key = path[-1] if path else ({"": nb}, "")
        what = chance.random()
        if what < 0.6:
            holder[key] = copy.deepcopy(chance.choice(ODD))
        elif what < 0.8:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(at))
        else:
            holder[f"{key}2"] = copy.deepcopy(at)
    return nb


def corrupted(seed: int) -> bytes:
    """A notebook with bytes flipped, cut or doubled, or with values replaced."""
    chance = random.Random(seed)
    content = bytearray(TEXT.encode())
    kind = seed % 4
    if kind == 0:
        for _ in range(chance.randint(1, 40)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        start = chance.randrange(len(content))
        del content[start : start + chance.choice([1, 10, 1000, len(content)])]
    elif kind == 2:
        start = chance.randrange(len(content))
        content[start:start] = content[start : start + chance.randrange(2000)] + chance.randbytes(3)
    else:
        return json.dumps(mutate(json.loads(TEXT), chance)).encode()
    return bytes(content)


class Nobody:
    """A child that is never asked: only the way there and back is under test."""

    printed, peak_bytes = "", 0

    def __init__(self, *args, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def ask(self, header, tensors=None, timeout_s=0.0):
        from autograder.child import protocol

        encoded = protocol.encode(header, tensors)  # whatever was extracted can be sent, and read again
        text, _ = protocol.PREFIX.unpack(encoded[: protocol.PREFIX.size])
        protocol.decode(encoded[protocol.PREFIX.size :][:text], encoded[protocol.PREFIX.size + text :])
        return {"error": {"kind": "NameError", "text": "nothing runs here"}}, {}


def test_of_600_corrupted_notebooks_none_stops_a_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "Child", Nobody)
    monkeypatch.setattr(session, "stage", lambda exercise, folder: folder)
    for i in range(600):
        folder = tmp_path / "submitted" / f"s{i:03}" / EXERCISE.assignment
        folder.mkdir(parents=True)
        write(folder, corrupted(i))
    submissions = batch.find(tmp_path / "submitted")
    records = batch.grade(submissions, tmp_path / "out", 0, progress=False)
    assert len(records) == 600
    outcomes = [r["extra_data"]["notebooks"]["schedules"]["outcome"] for r in records]
    assert set(outcomes) <= set(OUTCOMES) - {"infrastructure_error"}
    assert outcomes.count("missing") > 100 and outcomes.count("crash") > 100  # both ways were taken
    reasons = [r["extra_data"]["notebooks"]["schedules"]["reason"] for r in records]
    assert all(r.isprintable() and r.endswith((".", "!", "?")) for r in reasons)
    table.write_csv(records, tmp_path / "grades.csv")
    report.write(records, tmp_path)
    assert batch.grade(submissions, tmp_path / "out", 0, progress=False) == records  # all found again
    released = nbformat.read(ROOT / "exercises/5_1_unconditional/schedules.ipynb", as_version=4)
    for s in submissions[::4]:
        nbformat.writes(restore.viewable(s.files["schedules"], released))


def test_extraction_takes_anything(tmp_path):
    for i in range(600, 1200):
        try:
            found = extract(write(tmp_path, corrupted(i)), EXERCISE.answers, together=bool(i % 2))
        except Unreadable as e:
            assert str(e).isprintable() or "\\" in repr(str(e))
        else:
            assert isinstance(found, Answers) and all(isinstance(s, str) for s in found.cells.values())
