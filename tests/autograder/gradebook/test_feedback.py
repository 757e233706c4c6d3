"""What `nbgrader generate_feedback` shows a student: the checks' messages and the gate's picture; nothing hidden."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from autograder.exercises import EXERCISES
from autograder.grading import results
from autograder.grading.results import NotebookResult, Test
from autograder.intake.student_ids import folder_of

TASK, NOTEBOOK, FILE = "5_3_conditioning", "conditioner", "conditioner.ipynb"
SEED, SECRET = 8_765_432_109_876_543, "instructor-only-text"


def graded(course, student: str, passed: int) -> dict:
    """A record, with its files in OUT as `autograder grade` leaves them; the first `passed` checks hold."""
    exercise = EXERCISES[TASK, NOTEBOOK]
    tests = [
        Test(c.name, c.points, c.points, "holds")
        if i < passed
        else Test(c.name, 0.0, c.points, f"says why, {i}" + ", in a long message that goes on" * 5)
        for i, c in enumerate(exercise.checks)
    ]
    tests.append(Test("reference gate", 4.0, exercise.gate_points, "adherence 0.91"))
    private = {"seed": SEED, "printed": SECRET, "expected": [0.123456789]}
    result = NotebookResult(exercise, "graded", "Why not.", tests, {"adherence": 0.91}, instructor=private)
    record = results.record(student, TASK, [result], key="k", sandboxed=True)
    folder = course.out / folder_of(student) / TASK
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(record))
    (folder / "instructor.json").write_text(json.dumps({"seed": SEED, NOTEBOOK: private}))
    Image.new("RGB", (60, 40), "teal").save(folder / f"{NOTEBOOK}.png")
    return record


@pytest.fixture
def pages(course) -> dict[str, str]:
    """The feedback of two students; the second one's name is also that of a file of the grader's."""
    records = []
    for student, passed in (("ana", 2), ("report.html", 99)):
        course.submit(student)
        records.append(graded(course, student, passed))
    broken = graded(course, "bo", 0)
    broken["score"], broken["extra_data"]["outcome"] = None, "infrastructure_error"
    broken["extra_data"]["notebooks"][NOTEBOOK] |= {"outcome": "infrastructure_error", "score": None}
    course.submit("bo")
    assert course.write(*records, broken) == []
    course.give_feedback()
    folder = course.out / "feedback"
    return {p.parts[-3]: p.read_text(encoding="utf-8") for p in folder.glob(f"*/{TASK}/{NOTEBOOK}.html")}


def test_messages_and_pictures_and_nothing_hidden(course, pages):
    exercise = EXERCISES[TASK, NOTEBOOK]
    for i, check in enumerate(exercise.checks):
        assert check.name in pages["ana"]
        why = re.compile(rf"says why, {i}\b")
        assert bool(why.search(pages["ana"])) == (i >= 2) and not why.search(pages["report.html"])
    picture = base64.b64encode((course.out / "ana" / TASK / f"{NOTEBOOK}.png").read_bytes()).decode()
    for student in ("ana", "report.html"):
        assert f"data:image/png;base64,{picture}" in pages[student].replace("\n", "")
        image = re.search(r"<img[^>]*>", pages[student], re.S)[0]
        assert 'alt="the trained answer among limits' in image and 'width="100%"' in image
        assert "partly  reference gate: adherence 0.91" in pages[student]
    told = re.findall(r"<pre>(outcome.*?)</pre>", pages["ana"], re.S)  # long messages are wrapped: the page scrolls
    assert len(told) == 1 and "a long message that" in told[0] and max(map(len, told[0].split("\n"))) <= 100
    held = sum(c.points for c in exercise.checks[:2])
    for student, tests, total in (("ana", held, held + 4), ("bo", "no result yet", 0)):
        text = " ".join(re.sub(r"<[^>]+>", " ", pages[student]).split())
        assert "Written response (Score: to be marked / 5.0)" in text and "Score: to be marked / 5.0 (Top)" in text
        assert f"Test cell (Score: {tests} / " in text and f"conditioner (Score: {total:g} so far / 25.0)" in text
    assert "graded again" in pages["bo"] and "data:image/png" not in pages["bo"]
    for page in pages.values():
        for hidden in (str(SEED), SECRET, "0.123456789", "instructor", str(course.root), "gradebook.db"):
            assert hidden not in page


def test_only_a_picture_is_taken_for_one(course, record):
    folder = course.out / "ana" / TASK
    folder.mkdir(parents=True)
    secret = course.root / "secret.png"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n another student's")
    course.submit("ana")

    def outputs() -> list:
        course.write(record("ana"))
        outputs = [o for cell in course.shown("ana").cells for o in cell.get("outputs", [])]
        return [o for o in outputs if o.output_type == "display_data"]

    file: Path = folder / f"{NOTEBOOK}.png"
    file.write_bytes(b"<svg onload=alert(1)>")
    assert outputs() == []
    file.unlink()
    file.symlink_to(secret)
    assert outputs() == []
    file.unlink()
    file.write_bytes(secret.read_bytes())
    assert len(outputs()) == 1 and course.write(record("ana")) == []  # writing it again adds no second one
    assert len(outputs()) == 1
    file.unlink()
    assert outputs() == []  # a regrade that came to no gate leaves no old picture
