"""A batch whose answers are forked gives the same records as one whose answers start afresh."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from autograder.exercises import EXERCISES
from autograder.grading import batch
from autograder.intake.extract import grade_id
from autograder.sandbox import forks
from autograder.sandbox.forks import Zygote

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = next(e for e in EXERCISES.values() if e.name == "schedules")
ANSWERS = {  # what stands before every answer; None: as released
    "right": "",
    "blank": None,
    "chance": (DRAW := "import numpy, torch\nprint('drawn', torch.rand(1).item(), numpy.random.rand())\n"),
    "chance-too": DRAW,
    "gone": "import os\nos._exit(3)\n",
    "imports": "import ddpm_core.schedule\nfrom diffusers import DDIMScheduler\n",
}


def hand_in(folder: Path) -> None:
    for student, before in ANSWERS.items():
        source = "solutions" if before is not None else "exercises"
        nb = json.loads((ROOT / source / EXERCISE.assignment / "schedules.ipynb").read_text(encoding="utf-8"))
        for cell in nb["cells"]:
            if grade_id(cell) in EXERCISE.answers and before:
                cell["source"] = before + "".join(cell["source"])
        place = folder / student / EXERCISE.assignment
        place.mkdir(parents=True)
        (place / "schedules.ipynb").write_text(json.dumps(nb), encoding="utf-8")


def without_figures(record):
    """A record but for what the clock and the watchdog measured."""
    if isinstance(record, dict):
        return {
            k: without_figures(v) for k, v in record.items() if k not in ("timings", "peak_bytes", "execution_time")
        }
    return [without_figures(v) for v in record] if isinstance(record, list) else record


def test_the_records_are_the_same(tmp_path, monkeypatch):
    hand_in(tmp_path / "submitted")
    started = []
    monkeypatch.setattr(
        Zygote, "start", lambda *a, start=Zygote.start, **o: started.append(start(*a, **o)) or started[-1]
    )
    found = {}
    for kind, fewest in (("forked", 2), ("fresh", 99)):
        monkeypatch.setattr(forks, "FEWEST", fewest)
        out = tmp_path / kind
        out.mkdir()
        batch.grade(batch.find(tmp_path / "submitted", only=("schedules",)), out, seed=3, jobs=2, progress=False)
        files = sorted(file for file in out.rglob("*.json") if file.parent != out)
        found[kind] = {
            file.relative_to(out).as_posix(): json.dumps(without_figures(json.loads(file.read_text())), sort_keys=True)
            for file in files
        }
        assert len(files) == 2 * len(ANSWERS)
        if kind == "forked":
            forked = len(started)
    assert forked >= len(ANSWERS) and None not in started and len(started) == forked
    drawn = {re.search(r"drawn (\S+) (\S+?)\\", text).groups() for text in found["forked"].values() if "drawn" in text}
    assert len(drawn) == 2 and len({n for both in drawn for n in both}) == 4
    assert {k: re.sub(r"drawn.*?\\n", "", v) for k, v in found["forked"].items()} == {
        k: re.sub(r"drawn.*?\\n", "", v) for k, v in found["fresh"].items()
    }
    scores = {name: json.loads(text)["score"] for name, text in found["fresh"].items() if name.endswith("results.json")}
    assert len(set(scores.values())) > 1 and max(scores.values()) == EXERCISE.max_score


@pytest.mark.parametrize(("answers", "forked"), [(1, False), (2, True)])
def test_one_answer_alone_is_not_worth_a_zygote(answers, forked):
    with forks.serving(answers, print) as zygote:
        assert (zygote is not None) == forked
