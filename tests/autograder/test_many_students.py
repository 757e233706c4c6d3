"""What is done around the grading of a class grows with its size, not with its square, and is not repeated for each."""

import gc
import time
import weakref
from collections import Counter
from types import SimpleNamespace

import pytest

from autograder.adapters.collect import tables
from autograder.adapters.collect.source import Collected, Source
from autograder.adapters.collect.taking import Taking
from autograder.adapters.similarity.compare import Match
from autograder.adapters.similarity.compare import Source as Text
from autograder.adapters.similarity.groups import groups
from autograder.exercises import of_assignment
from autograder.grading import batch, provenance
from autograder.grading.grader import Grader
from autograder.grading.submission import hashes_of
from autograder.intake.submissions import Submission

TASK = "5_3_conditioning"


def seconds(work) -> float:
    """Processor seconds, the best of two."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def test_the_judge_is_read_once_for_a_class(tmp_path, monkeypatch):
    read = Counter()
    monkeypatch.setattr(provenance, "file_digest", lambda path: read.update([path]) or "digest")
    provenance.judge_digest.cache_clear()
    graders = {e.name: Grader(None, {}, 1) for e in of_assignment(TASK)}
    for student in ("ada", "ben", "cy"):
        hashes_of(Submission(student, TASK, tmp_path / student / TASK), graders)
    provenance.judge_digest.cache_clear()
    assert read.total() == 1


def test_the_files_of_a_record_leave_the_memory_when_it_is_written(tmp_path, monkeypatch):
    class Files(dict):
        """A dict to which weak references are possible."""

    monkeypatch.setattr(batch, "judge_submission", lambda *_: Files())
    monkeypatch.setattr(batch, "hashes_of", lambda *_: {})
    todo, written = [Submission(f"s{i}", TASK, tmp_path) for i in range(20)], []
    progress, bar = SimpleNamespace(start=lambda name: None), SimpleNamespace(set_postfix_str=None)
    with batch.workers(1, sandboxed=False) as judged:
        for _, files in judged(todo, {}, progress, bar):
            written.append(weakref.ref(files))
            del files
            gc.collect()
            assert not [ref for ref in written[:-1] if ref() is not None]
    assert len(written) == 20


def taking(folder, students: int) -> Taking:
    """A download to import, after one of the same class."""
    fields = {"assignment": TASK, "notebook": "ema", "format": "moodle"}
    rows = ({**fields, "student": f"s{i:05}", "user": str(i)} for i in range(students))
    folder.mkdir()
    tables.save(folder, tables.COLLECTED, tables.COLUMNS, rows)
    return Taking(None, Source("moodle", TASK), folder / "submitted", Collected())


@pytest.fixture
def classes(tmp_path) -> dict[int, Taking]:
    return {n: taking(tmp_path / str(n), n) for n in (200, 2000)}


def test_collecting_ten_times_as_many_students_takes_about_ten_times_as_long(classes):
    def forget(n: int) -> None:
        for i in range(n):
            classes[n]._forget(f"s{i:05}", TASK, str(i))

    assert seconds(lambda: forget(2000)) < 40 * seconds(lambda: forget(200))  # were it the square, 100 times


def test_groups_of_answers_that_are_all_alike():
    def pairs(n: int) -> list:
        texts = [Text(f"s{i:03}", "") for i in range(n)]
        return [(TASK, "ema", Match(a, b, 1.0, 1.0, (), ())) for i, a in enumerate(texts) for b in texts[i + 1 :]]

    few, many = pairs(30), pairs(150)  # 26 times as many
    (group,) = groups(many)
    assert len(group.students) == 150 and group.pairs == len(many)
    assert seconds(lambda: groups(many)) < 60 * seconds(lambda: groups(few))  # by chains of 150, 100 times and more
