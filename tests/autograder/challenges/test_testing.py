"""A test from notebook to log, the training replaced except once, and the leaderboard that follows from the log."""

import contextlib
import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from autograder.challenges import (
    attempts,
    contract,
    figures,
    leaderboard,
    published,
    quick,
    record,
    remarkable,
    starter,
    testing,
)
from autograder.challenges import leaderboard_formats as formats
from autograder.challenges.examples import examples
from autograder.challenges.tracks import METRICS, TRACKS
from autograder.cli import main as cli
from autograder.exercises import gate_of
from autograder.exercises.base import Check
from autograder.sandbox import child_process
from autograder.sandbox.limits import Failure
from ddpm_tools.evaluation.estimates import mean_estimate

T = TRACKS["prediction"]
METRICS_OF_A_RUN = {"distance": 15.0, "kid": 0.1, "precision": 0.5, "recall": 0.5, "heldout_loss": 0.09, "copies": 0.0}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    nb, cells = json.loads(starter.notebook(T)), examples(T.name)[1].cells()
    for c in nb["cells"]:
        if (name := c["metadata"]["nbgrader"]["grade_id"]) in cells:
            c["source"] = cells[name]
    file = tmp_path_factory.mktemp("challenge") / "mine.ipynb"
    file.write_text(json.dumps(nb))
    return file


def outcome(i, **changes):
    images = np.full((100, 1, 8, 8), 40 * i, dtype=np.uint8)
    metrics = METRICS_OF_A_RUN | {"distance": 15.0 + i}
    return replace(quick.Outcome(figures.seed_of(T, i), 1.0, metrics, images), **changes)


@pytest.fixture
def run(notebook, tmp_path, monkeypatch):
    """Tests without a child: the contract holds, and the seeds' outcomes are given."""
    monkeypatch.setattr(contract, "examine", lambda *a, **k: [contract.Finding("all", True, "holds")])

    def go(*outcomes, name="Ada", error=None):
        def seeds(*a):
            if error:
                raise error
            yield from outcomes

        monkeypatch.setattr(quick, "seeds", seeds)
        return testing.run(T, name, notebook, tmp_path, quick.Tier(), tell=lambda line: None)

    return go


def outcomes_in(folder):
    return [t.outcome for t in attempts.challenger(folder, T.name, "Ada").tests]


def test_what_counts_and_what_does_not(run, tmp_path):
    none = {"metrics": {}, "images": None}
    for error in (RuntimeError("a bug of ours"), OSError("disk full")):
        with pytest.raises(ValueError, match="does not count"):
            run(error=error)
    with pytest.raises(ValueError, match="does not count"):
        run(outcome(0, **none, ours=True, reason="The sandbox failed."))
    assert attempts.challenger(tmp_path, T.name, "Ada").used == 0
    assert run(outcome(0, **none, reason="The loss is not finite.")).outcome == "failed"
    with pytest.raises(KeyboardInterrupt, match="test 5 is used up"):
        run(error=KeyboardInterrupt())
    done = run(outcome(0), outcome(1))
    assert done.outcome == "finished" and done.number == 6
    assert outcomes_in(tmp_path) == [attempts.FREE] * 3 + ["failed", "stopped", "finished"]
    with pytest.raises(ValueError, match="used all 3"):
        run(outcome(0))
    told = "\n".join(testing.lines(T, done))
    assert "2 seeds" in told and "Fréchet distance   15.50 [" in told and "quick gate: " in told


def test_free_tests_are_capped(run, tmp_path):
    for _ in range(attempts.MOST_FREE):
        with pytest.raises(ValueError, match="does not count"):
            run(error=RuntimeError("a bug of ours"))
    for used in (1, 2, 3):
        with pytest.raises(ValueError, match=f"counts, since {attempts.MOST_FREE} before it did not"):
            run(error=RuntimeError("a bug of ours"))
        assert attempts.challenger(tmp_path, T.name, "Ada").used == used
    with pytest.raises(ValueError, match="used all 3"):
        run(outcome(0))
    assert run(outcome(0), outcome(1), name="Ben").outcome == "finished"  # nobody else's


@pytest.mark.parametrize("how", ["raises", "nan", "crash"])
def test_a_test_that_the_design_broke_counts(how, monkeypatch, run, tmp_path):
    """One seed in this process: what comes back makes our own computation stop, gives no figure, or ends the child."""

    class Child:
        def ask(self, header, tensors=None, timeout_s=20.0):
            if how == "crash":
                raise Failure("crash", "The answer's process was ended by SIGKILL.")
            return {}, {}

    def trained(*a):
        if how == "raises":
            raise RuntimeError("Double did not match Float")
        return {"judge": METRICS_OF_A_RUN | {"distance": float("nan")}}, None

    monkeypatch.setattr(quick, "session", lambda *a, **k: contextlib.nullcontext(Child()))
    monkeypatch.setattr(quick.looking, "run", trained)
    monkeypatch.setattr(quick, "by_features", lambda *a: {})
    job = quick.Job(T.name, {}, 1)
    made = quick.run(job)
    assert not made.ours and not made.metrics and ("Double did not match" in made.trace) == (how == "raises")
    assert "Double" not in made.reason
    for used in (1, 2, 3):
        assert run(made).outcome == "failed"
        assert attempts.challenger(tmp_path, T.name, "Ada").used == used
    with pytest.raises(ValueError, match="used all 3"):
        run(made)
    log = [e for e in record.entries(tmp_path) if e["kind"] == "end"]
    assert all(("Double did not match" in e.get("trace", "")) == (how == "raises") for e in log)


def test_a_contract_that_stops_at_a_reply_is_broken(monkeypatch):
    def stops(probe, rng):
        raise RuntimeError("Double did not match Float")

    class Child:
        def ask(self, header, tensors=None, timeout_s=20.0):
            return {}, {}

    monkeypatch.setattr(contract, "checks", lambda track: (Check("holds nothing", 1.0, stops),))
    last = contract.ask(T, Child(), {})[-1]
    assert not last.holds and "RuntimeError" in last.text and "Double" not in last.text
    assert "Double did not match" in last.trace


def test_a_broken_contract_uses_up_nothing_and_is_logged(run, tmp_path, monkeypatch):
    found = [contract.Finding("the pair is consistent", False, "At t = 3 it is not.")]
    monkeypatch.setattr(contract, "examine", lambda *a, **k: found)
    assert run().outcome == "rejected"
    assert [e["kind"] for e in record.entries(tmp_path)] == ["rejected"]
    assert attempts.challenger(tmp_path, T.name, "Ada").used == 0

    def broken(*a, **k):
        raise Failure("infrastructure_error", "No sandbox.")

    monkeypatch.setattr(contract, "examine", broken)
    with pytest.raises(ValueError, match="no test was used up"):
        run()
    assert len(record.entries(tmp_path)) == 1


def test_nothing_is_shown_before_it_is_logged(run, tmp_path, monkeypatch):
    def full(*a, **k):
        raise OSError("disk full")

    run(outcome(0))
    monkeypatch.setattr(attempts, "end", full)
    with pytest.raises(OSError, match="disk full"):
        run(outcome(0))


def test_the_quick_tier_keeps_to_its_time_and_stops_at_the_first_failure(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(quick.time, "monotonic", lambda: clock[0])

    def seconds(s, fails=99):
        def work(jobs):
            clock[0] += s
            for j in jobs:
                i = next(i for i in range(9) if figures.seed_of(T, i) == j.seed)
                yield outcome(i, metrics={} if i == fails else METRICS_OF_A_RUN)

        return work

    def count(s, spent=0.0, **more):
        monkeypatch.setattr(quick, "worker", lambda jobs: __import__("contextlib").nullcontext(seconds(s, **more)))
        return len(list(quick.seeds(T, {}, quick.Tier(), True, spent, lambda line: None)))

    assert [count(s) for s in (10, 40, 50, 61, 500)] == [6, 6, 4, 2, 2]
    assert count(40, spent=20) == 4  # what the contract took counts
    assert count(10, fails=2) == 3


@pytest.mark.skipif(child_process.available() is not None, reason="no sandbox here")
def test_one_tiny_test_through_the_sandbox(notebook, tmp_path):
    small = gate_of("prediction").harness
    train = {**small.train, "steps": 4, "warmup": 1}
    small = replace(small, train=train, samples=100, sample_steps=3, batch=100, chunk=4)
    tier = quick.Tier(at_least=1, at_most=1, jobs=1, harness=small)
    done = testing.run(T, "Ada", notebook, tmp_path, tier, tell=lambda line: None)
    assert done.outcome == "finished" and set(next(iter(done.runs.values()))) == set(T.metrics)
    (test,) = attempts.challenger(tmp_path, T.name, "Ada").tests
    assert (tmp_path / "tests" / test.result["samples"]).is_file() and test.start["sandboxed"]
    attempts.submit(tmp_path, T.name, "Ada", 1)
    table = leaderboard.rows(T, record.entries(tmp_path), tmp_path)
    assert "ada" not in [r.entry for r in table]  # made with another harness: not compared


def test_a_paired_difference_is_student_s():
    a, b = {1: 2.0, 2: 3.5, 3: 3.0, 9: 7.0}, {1: 1.0, 2: 3.0, 3: 2.9, 8: 0.0}
    runs, base = ({s: {"distance": v} for s, v in d.items()} for d in (a, b))
    d = figures.difference(runs, base, "distance")
    right = scipy.stats.ttest_rel([a[s] for s in (1, 2, 3)], [b[s] for s in (1, 2, 3)]).confidence_interval(0.95)
    assert (d.low, d.high) == pytest.approx((right.low, right.high))
    assert figures.verdict("distance", d) == "not resolved"
    assert figures.verdict("distance", mean_estimate([1.0, 1.1, 1.2])) == "worse"
    assert figures.verdict("adherence", mean_estimate([1.0, 1.1, 1.2])) == "better"
    one = mean_estimate([3.0])
    assert one.se is None and figures.verdict("distance", one) == "not resolved"


def test_the_leaderboard_keeps_ours_and_the_published_figures_apart(run, tmp_path):
    run(outcome(0, metrics=METRICS_OF_A_RUN | {"distance": 5.0}), outcome(1, metrics=METRICS_OF_A_RUN))
    run(outcome(0), name="Ben")
    attempts.submit(tmp_path, T.name, "Ada", 1)
    entries = record.entries(tmp_path)
    table = leaderboard.rows(T, entries, tmp_path)
    known = figures.order({e.name: figures.known_runs(T)[e.name] for e in examples(T.name)}, "distance")
    assert [r.entry for r in table][:2] == ["ada", known[0]] and table[0].kind == "submitted"
    assert table[0].difference.value == pytest.approx(
        10.0 - np.mean([figures.known_runs(T)["epsilon"][figures.seed_of(T, i)]["distance"] for i in (0, 1)])
    )
    assert leaderboard.waiting(T, entries) == ["ben: 1 of 3 tests used"]

    (first, *_) = csv.DictReader(io.StringIO(formats.as_csv({T.name: table})))
    assert float(first["quick_distance"]) == 10.0 and first["published_fid_small"] == ""
    tables = {name: leaderboard.rows(t) for name, t in TRACKS.items()}
    for line in csv.DictReader(io.StringIO(formats.as_csv(tables))):
        rows = {
            p.entry: p for p in published.table(line["track"]) if p.kind == line["kind"].removeprefix("published: ")
        }
        fids = rows[line["entry"]].fid if line["entry"] in rows else {}
        assert [line[f"published_fid_{s}"] for s in published.SCALES] == [
            str(fids.get(s, "")) for s in published.SCALES
        ]
        assert bool(line["quick_distance"]) == bool(line["quick_extractor"]) != line["kind"].startswith("published")
    assert all(len({len(x) for x in t.split("|")}) for t in [formats.text(T, table)])

    text = formats.write_html({T.name: table}, tmp_path / "out", {T.name: ["ben"]}, record.head(tmp_path)).read_text()
    samples = 1 + len(list(leaderboard.SAMPLES.glob(f"{T.name}-*.png")))
    assert text.count("data:image/png;base64,") == samples and record.head(tmp_path) in text
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", text) and "prefers-color-scheme: dark" in text
    assert "clean-fid" in text and "digits classifier" in text and 'name="viewport"' in text


def test_what_is_far_better_than_any_reference_has_no_rank_until_somebody_looked(run, tmp_path):
    for name, distance in (("Ada", 3.0), ("Ben", 12.0)):
        done = run(*(outcome(i, metrics=METRICS_OF_A_RUN | {"distance": distance + i}) for i in (0, 1)), name=name)
        assert ("look at this one: distance 3.5" in "\n".join(testing.lines(T, done))) == (name == "Ada")
    with pytest.raises(ValueError, match="nothing to confirm"):
        remarkable.confirm(tmp_path, T.name, "Ada")
    for name in ("Ada", "Ben"):
        attempts.submit(tmp_path, T.name, name, 1)

    def table():
        return {r.entry: r for r in leaderboard.rows(T, record.entries(tmp_path), tmp_path)}

    before = table()
    assert next(iter(before)) == "ben" and before["ben"].rank == 1 and before["ada"].rank is None
    assert [r.entry for r in before.values() if r.means][-1] == "ada"
    lines = {r["entry"]: r for r in csv.DictReader(io.StringIO(formats.as_csv({T.name: list(before.values())})))}
    assert lines["ada"]["rank"] == "" and "to be confirmed" in lines["ada"]["kind"] and lines["ben"]["rank"] == "1"
    assert re.search(r"^ +ada +submitted, far better", formats.text(T, list(before.values())), re.M)
    args = ["challenge", "confirm", "--track", T.name, "--name", "Ada", "--record", str(tmp_path)]
    cli.main(args)
    after = table()
    assert next(iter(after)) == "ada" and after["ada"].rank == 1 and after["ada"].kind == "submitted"
    assert after["ben"].rank == 2


def test_known_runs_are_of_this_harness_and_paired():
    for t in TRACKS.values():
        known = figures.known_runs(t)
        assert t.baseline in known and len(known[t.baseline]) >= 5
        for runs in known.values():
            assert set(runs) >= {figures.seed_of(t, i) for i in range(5)}
            assert all(set(m) <= set(METRICS) for m in runs.values())


def test_a_cell_that_is_there_twice_is_refused_before_anything_is_used_up(run, notebook, tmp_path):
    nb = json.loads(notebook.read_text())
    (tmp_path / "twice.ipynb").write_text(json.dumps(nb | {"cells": [*nb["cells"], nb["cells"][3]]}))
    with pytest.raises(ValueError, match=r"occurs more than once in twice\.ipynb; delete all but one"):
        testing.run(T, "Ada", tmp_path / "twice.ipynb", tmp_path, quick.Tier())
    assert record.entries(tmp_path) == []


def test_another_picture_than_the_tests_own_is_refused(run, tmp_path):
    run(outcome(0), outcome(1))
    attempts.submit(tmp_path, T.name, "Ada", 1)
    (picture,) = (tmp_path / record.TESTS).glob("*.png")
    assert leaderboard.rows(T, record.entries(tmp_path), tmp_path)[0].entry
    picture.write_bytes(picture.read_bytes() + b"\0")
    with pytest.raises(record.Damaged, match="is not the picture that the test drew"):
        leaderboard.rows(T, record.entries(tmp_path), tmp_path)
    picture.unlink()
    assert any(r.entry == "ada" and r.samples is None for r in leaderboard.rows(T, record.entries(tmp_path), tmp_path))


def test_published_figures_are_those_handed_over():
    assert published.figures("conditioning")["concat-film"].fid == {"small": 19.39, "medium": 11.5, "large": 10.52}
    assert published.figures("prediction")["x0pred"].shown("large") == "–"
    assert [len(published.table(t)) for t in TRACKS] == [11, 3, 11, 0, 0, 0]


def test_the_command_line(tmp_path, capsys):
    from autograder.cli.main import main

    out, log = tmp_path / "mine.ipynb", tmp_path / "log"
    log.mkdir()
    main(["challenge", "init", "prediction", "--out", str(out)])
    for words, says in (
        (["init", "prediction", "--out", str(out)], "may hold your work"),
        (["submit", "--track", "prediction", "--name", "x", "-n", "1", "--record", str(log)], "has no test 1"),
        (["leaderboard", "--record", str(log), "--head", "f" * 64], "does not lead to the head"),
        (["leaderboard", "--record", str(log), "--head", "f" * 12], "a head has 64 characters, this one 12"),
        (["leaderboard", "--record", str(tmp_path / "none")], "there is no folder"),
        (["leaderboard", "--record", str(log), "--out", str(out)], "is not a folder; choose another place"),
        (["leaderboard", "--record", str(out)], "there is no folder"),
    ):
        with pytest.raises(SystemExit) as e:
            main(["challenge", *words])
        assert e.value.code == 2 and says in capsys.readouterr().err
    main(["challenge", "leaderboard", "--record", str(log), "--track", "prediction", "--out", str(tmp_path)])
    assert "vpred" in capsys.readouterr().out and (tmp_path / "leaderboard.html").is_file()
