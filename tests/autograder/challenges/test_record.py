"""The log: every change, cut and deletion is noticed, a crash is not taken for one, and three tests are three."""

import json
import os
import signal
import subprocess
import sys

import pytest

from autograder.challenges import attempts, record
from autograder.challenges.record import Damaged

WHO = ("prediction", "Ada")


@pytest.fixture
def log(tmp_path):
    for i in range(3):
        record.append(tmp_path, "start", track="prediction", name="ada", test=i + 1)
    return tmp_path


def lines(folder):
    return (folder / record.LOG).read_bytes().splitlines(keepends=True)


def rewrite(folder, new):
    (folder / record.LOG).write_bytes(b"".join(new))


def test_entries_come_back_in_order_and_lead_to_the_head(log):
    found = record.entries(log)
    assert [e["test"] for e in found] == [1, 2, 3] and [e["n"] for e in found] == [0, 1, 2]
    assert record.head(log) == record.hash_of(lines(log)[-1].rstrip(b"\n"))
    before = record.head(log)
    record.append(log, "end", test=3)
    assert record.entries(log)[-1]["prev"] == before != record.head(log)


def test_a_kept_head_shows_that_all_was_written_anew(log, tmp_path_factory):
    kept = record.head(log)
    record.append(log, "end", test=3)
    record.check_head(log, kept)
    other = tmp_path_factory.mktemp("forged")
    for e in record.entries(log)[1:]:
        record.append(other, e["kind"], test=e["test"])
    with pytest.raises(Damaged, match="does not lead to the head"):
        record.check_head(other, kept)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda n: [n[0], n[1].replace(b'"test": 2', b'"test": 9'), n[2]], "changed at line 3"),
        (lambda n: [n[0], n[1], n[2].replace(b'"test": 3', b'"test": 9')], "entry 3 is not the one"),
        (lambda n: [n[0], n[2]], "changed at line 2"),
        (lambda n: n[1:], "changed at line 1"),
        (lambda n: n[:2], "cut: it holds 2 of 3 entries"),
        (lambda n: [*n[:2], n[2][:20]], "cut: it holds 2 of 3 entries"),
        (lambda n: [], "cut: it holds 0 of 3 entries"),
        (lambda n: [n[1], n[0], n[2]], "changed at line 1"),
        (lambda n: [*n, n[2]], "changed at line 4"),
    ],
)
def test_a_changed_cut_or_shuffled_log_is_noticed(log, harm, says):
    rewrite(log, harm(lines(log)))
    with pytest.raises(Damaged, match=says):
        record.entries(log)
    with pytest.raises(Damaged):
        record.append(log, "end")


def test_an_entry_added_by_hand_is_noticed_even_with_the_right_hash(log):
    forged = {"n": 3, "prev": record.head(log), "kind": "end", "outcome": record.LOG}
    rewrite(log, [*lines(log), json.dumps(forged).encode() + b"\n"])
    with pytest.raises(Damaged, match="added by hand"):
        record.entries(log)


def test_deleting_the_log_the_head_or_both_is_noticed(log):
    kept = {name: (log / name).read_bytes() for name in (record.LOG, record.HEAD)}
    (log / record.TESTS).mkdir()
    (log / record.TESTS / "conditioning-0123456789ab-1.png").touch()
    for gone in ((record.LOG,), (record.HEAD,), (record.LOG, record.HEAD)):
        for name in gone:
            (log / name).unlink()
        with pytest.raises(Damaged, match="deleted"):
            record.entries(log)
        for name, content in kept.items():
            (log / name).write_bytes(content)
    assert len(record.entries(log)) == 3


def test_a_crash_at_any_moment_leaves_a_log_that_goes_on(log):
    whole, top = lines(log), (log / record.HEAD).read_bytes()
    record.append(log, "end", test=3)
    done, after = lines(log), (log / record.HEAD).read_bytes()
    announced = json.loads(top) | {"coming": record.hash_of(done[-1].rstrip(b"\n"))}
    moments = {
        "before the line": (whole, announced, 3),
        "within the line": ([*whole, done[-1][:30]], announced, 3),
        "after the line": (done, announced, 4),
        "at the end": (done, json.loads(after), 4),
    }
    for content, head, count in moments.values():
        rewrite(log, content)
        (log / record.HEAD).write_text(json.dumps(head))
        assert len(record.entries(log)) == count
        record.append(log, "next")
        assert [e["n"] for e in record.entries(log)] == list(range(count + 1))


def test_what_is_appended_survives_a_kill_right_after(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from autograder.challenges import attempts as a\n"
        "folder = Path(sys.argv[1]); who = a.challenger(folder, 'prediction', 'Ada')\n"
        "with a.only_one(folder, 'prediction', 'Ada'):\n"
        "    a.begin(folder, who); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=os.getcwd()).returncode == -signal.SIGKILL
    who = attempts.challenger(tmp_path, *WHO)
    assert who.used == 1 and [t.outcome for t in who.tests] == ["running"]
    with attempts.only_one(tmp_path, *WHO):  # the kernel let go of the lock
        assert attempts.close_lost(tmp_path, who) == [1]
    who = attempts.challenger(tmp_path, *WHO)
    assert who.used == 1 and attempts.close_lost(tmp_path, who) == []
    with pytest.raises(ValueError, match=r"test 1 of ada has no result.*it counts"):
        attempts.submit(tmp_path, *WHO, 1)


def a_run(folder, outcome, **more):
    who = attempts.challenger(folder, *WHO)
    number = attempts.begin(folder, who)
    attempts.end(folder, who, number, outcome, **more)
    return number


def test_three_tests_and_one_submission(tmp_path):
    a_run(tmp_path, "finished", result={"runs": []} | {"seconds": 1})
    a_run(tmp_path, attempts.FREE)  # an error of ours
    a_run(tmp_path, "failed")
    assert attempts.challenger(tmp_path, *WHO).used == 2
    a_run(tmp_path, "stopped")
    with pytest.raises(ValueError, match="has used all 3 tests"):
        a_run(tmp_path, "finished")
    for other in (" ADA ", "ａｄａ"):  # another spelling is no other challenger
        assert attempts.challenger(tmp_path, "prediction", other).used == 3
    assert attempts.challenger(tmp_path, "architecture", "Ada").used == 0
    assert attempts.challenger(tmp_path, "prediction", "Ben").used == 0
    with pytest.raises(ValueError, match="no test 7"):
        attempts.submit(tmp_path, *WHO, 7)
    with pytest.raises(ValueError, match="it failed: the answer"):
        attempts.submit(tmp_path, *WHO, 3)
    assert attempts.submit(tmp_path, *WHO, 1).submitted == 1
    with pytest.raises(ValueError, match="one submission only"):
        attempts.submit(tmp_path, *WHO, 1)


@pytest.mark.parametrize("name", ["\u0430da", "\u0430d\u0430", "ad\u0251", "\u0410DA", "ada\ufe0f"], ids=ascii)
def test_a_name_that_looks_the_same_begins_no_three_tests_of_its_own(tmp_path, name):
    a_run(tmp_path, "failed")
    for track in ("prediction", "architecture"):
        with pytest.raises(ValueError, match=r"looks like 'ada', who has tested|has 1 to 60 letters") as error:
            attempts.challenger(tmp_path, track, name)
        assert str(error.value).isascii()
    assert attempts.challenger(tmp_path, "prediction", "adam").used == 0


def test_after_a_submission_there_are_no_more_tests(tmp_path):
    a_run(tmp_path, "finished", result={"runs": []} | {"seconds": 1})
    attempts.submit(tmp_path, *WHO, 1)
    with pytest.raises(ValueError, match="closes the track"):
        a_run(tmp_path, "finished")


def test_one_test_at_a_time(tmp_path):
    with attempts.only_one(tmp_path, *WHO):
        with pytest.raises(ValueError, match="is running"):
            with attempts.only_one(tmp_path, "prediction", "ADA"):
                pass
        with attempts.only_one(tmp_path, "prediction", "Ben"):
            pass


@pytest.mark.parametrize("name", ["", "  ", "a/b", "x" * 61, "a\nb\x00", "=1+1"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="1 to 60"):
        attempts.plain_name(name)
