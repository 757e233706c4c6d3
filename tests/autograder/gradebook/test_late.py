"""Late penalties, as nbgrader stores and exports them, from the times that count and the gradebook's due date."""

from __future__ import annotations

import datetime

import pytest
from traitlets.config import Config

from autograder.adapters.late import UNKNOWN, LatePolicy, rule
from autograder.release.generate import CONFIG_FILE

TASK = "5_3_conditioning"
DUE = datetime.datetime(2026, 1, 31, 12, 0)
HANDED_IN = {  # student: time, and the share of 15 points that is lost at 0.1 a day with 15 minutes' grace, 0.5 at most
    "early": ("2026-01-31T11:59:59Z", 0.0),
    "grace": ("2026-01-31T12:15:00Z", 0.0),
    "late": ("2026-01-31T12:15:01Z", 0.1),
    "days": ("2026-02-02T12:00:01Z", 0.3),
    "capped": ("2026-03-31T12:00:00Z", 0.5),
    "zone": ("2026-01-31T12:30:00+01:00", 0.0),  # half past eleven in UTC
    "extended": ("2026-02-02T12:00:01Z", 0.2),  # by one day
    "unknown": (None, 0.0),  # nobody knows when
}


def due(course) -> None:
    with course.book() as gb:
        gb.update_or_create_assignment(TASK, duedate=DUE)
        gb.db.commit()


def submit_all(course) -> None:
    for student, (time, _) in HANDED_IN.items():
        course.submit(student)
        if time:
            course.times[student, TASK] = datetime.datetime.fromisoformat(time)


def penalties(course) -> dict[str, float]:
    return {s: float(row["late_submission_penalty"]) for s, row in course.exported().items()}


def test_nothing_is_taken_off_unless_the_course_says_so(course, record):
    submit_all(course)
    course.write()
    due(course)
    assert course.write(*map(record, HANDED_IN)) == [f"unknown/{TASK}: {UNKNOWN}"]
    assert set(penalties(course).values()) == {0.0}


@pytest.mark.parametrize("course", ["sqlite", "postgresql"], indirect=True)
def test_a_policy_takes_its_share_of_the_score_and_follows_marks_by_hand(course, record):
    with (course.root / CONFIG_FILE).open("a") as file:
        file.write("\nc.LatePolicy.per_day = 0.1\nc.LatePolicy.grace_minutes = 15\nc.LatePolicy.cap = 0.5\n")
    submit_all(course)
    due(course)
    course.write(*map(record, HANDED_IN))
    with course.book() as gb:
        gb.grant_extension(TASK, "extended", days=1)
    assert course.write(*map(record, HANDED_IN)) == [f"unknown/{TASK}: {UNKNOWN}"]
    with course.book() as gb:
        stored = {s.student.id: s.late_submission_penalty for s in gb.find_assignment(TASK).submissions}
    assert stored == pytest.approx({student: 15 * share for student, (_, share) in HANDED_IN.items()})

    course.mark("late", 5.0)  # 20 points now: the export brings the penalty up to date
    row = course.exported()["late"]
    assert (row["raw_score"], float(row["late_submission_penalty"]), row["score"]) == ("20.0", 2.0, "18.0")
    course.write(record("days", None, None, "infrastructure_error"))
    assert course.exported()["days"]["score"] == ""  # no score, so no penalty on it either
    with course.book() as gb:
        assert gb.find_submission(TASK, "days").late_submission_penalty == 0.0


def test_any_class_with_nbgraders_hook_will_do(course, record):
    lines = "c.AssignLatePenalties.plugin_class = 'nbgrader.plugins.LateSubmissionPlugin'\n"
    lines += "c.LateSubmissionPlugin.penalty_method = 'zero'\n"
    with (course.root / CONFIG_FILE).open("a") as file:
        file.write("\n" + lines)
    course.submit("late")
    course.times["late", TASK] = datetime.datetime(2026, 2, 2, 12, tzinfo=datetime.UTC)
    course.write(record("late"))
    due(course)
    course.write(record("late"))
    with course.book() as gb:
        assert gb.find_submission(TASK, "late").late_submission_penalty == 15.0


def test_a_policy_that_is_none_is_one_sentence(course, record):
    for setting in ("LatePolicy.per_day = 7.0", "AssignLatePenalties.plugin_class = 'late.Policy'"):
        text = (course.root / CONFIG_FILE).read_text()
        (course.root / CONFIG_FILE).write_text(f"{text}\nc.{setting}\n")
        with pytest.raises(ValueError, match=r"no usable rule for late submissions: [^\n]*$"):
            course.write(record("ana"))
        (course.root / CONFIG_FILE).write_text(text)


@pytest.mark.parametrize(("seconds", "points"), [(1, 1.0), (86_400, 1.0), (86_401, 2.0), (864_000, 10.0)])
def test_begun_days_count_in_full(seconds: float, points: float):
    policy = LatePolicy(per_day=0.1)
    assert policy.late_submission_penalty("ana", 10.0, seconds) == pytest.approx(points)
    assert rule(Config()).plugin_inst.late_submission_penalty("ana", 10.0, seconds) is None  # nbgrader's own: none
