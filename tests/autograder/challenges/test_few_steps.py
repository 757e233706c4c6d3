"""The few-steps tracks: evaluations are counted, errors of the answer are told, the known designs are right."""

import contextlib
import csv
import importlib
import io
import json
from dataclasses import replace

import pytest
import torch

from autograder.authoring.mutants import InProcess
from autograder.challenges import (
    attempts,
    contract,
    designs,
    few_steps,
    figures,
    leaderboard,
    quick,
    record,
    remarkable,
    starter,
    testing,
)
from autograder.challenges import leaderboard_formats as formats
from autograder.challenges.examples import examples
from autograder.challenges.tracks import TRACKS
from autograder.cli import main as cli
from autograder.exercises.base import Failed, Probe
from autograder.sandbox import child_process
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.session import session
from ddpm_core.guidance import plain
from ddpm_core.samplers import SAMPLERS, ddim, initial_noise, last, spaced_timesteps
from ddpm_core.schedule import DiffusionSchedule

T = TRACKS["few-steps-2"]
FEW = [TRACKS[f"few-steps-{n}"] for n in few_steps.BUDGETS]
HEAD = "def few_steps(noise, y, evaluations):\n"
sandbox = pytest.mark.skipif(child_process.available() is not None, reason="no sandbox here")


def in_process(body):
    """A probe whose child is this process, with a cell of that body loaded."""
    probe = Probe(InProcess(importlib.import_module(T.exercise.questions)))
    probe("load", cells={"few_steps": HEAD + body}, operations=T.exercise.operations)
    return probe


def given(count=6):
    return initial_noise(range(count), (1, 8, 8), 3), torch.arange(count) % 10


def drawn(body, evaluations=2):
    return few_steps.draw(in_process(body), *given(), evaluations)


ASK = "    x0, eps = yield noise, 900\n"
WRONG = {
    "once more": (ASK * 3 + "    return x0\n", "asks the network more than twice"),
    "for ever": (f"    while True:\n    {ASK}", "asks the network more than twice"),
    "at once": ("    return noise.clamp(-1, 1)\n    yield\n", "without asking the network once"),
    "no generator": ("    return noise\n", r"not a generator, it returns a Tensor"),
    "nothing": (ASK, "ends with nothing"),
    "shape": ("    x0, eps = yield noise[:2], 9\n    return x0\n", r"yielded has shape \(2, 1, 8, 8\)"),
    "dtype": ("    x0, eps = yield noise.double(), 9\n    return x0\n", "float64"),
    "nan": ("    x0, eps = yield noise * math.nan, 9\n    return x0\n", "x that is yielded is not finite"),
    "high t": ("    x0, eps = yield noise, 1000\n    return x0\n", "outside of 0 to 999"),
    "low t": ("    x0, eps = yield noise, -1\n    return x0\n", "outside of 0 to 999"),
    "very high t": ("    x0, eps = yield noise, 10**30\n    return x0\n", "outside of 0 to 999"),
    "fraction": ("    x0, eps = yield noise, 9.5\n    return x0\n", "not a whole number"),
    "t for each": ("    x0, eps = yield noise, torch.full((6,), 9)\n    return x0\n", "not a whole number"),
    "no t": ("    x0, eps = yield noise\n    return x0\n", "yields a Tensor where it must `yield x, t`"),
    "images' shape": (f"{ASK}    return x0[:, 0]\n", r"returned has shape \(6, 8, 8\)"),
    "images' range": (f"{ASK}    return x0 * 3\n", r"leave \[-1, 1\]"),
    "images' nan": (f"{ASK}    return x0 / 0 * 0\n", "an image is not finite"),
    "error": (f"{ASK}    raise ValueError('oh')\n", "raised ValueError in cell `few_steps`, line 3: oh"),
    "error at once": (f"    noise @ y\n{ASK}", "in cell `few_steps`, line 2"),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_generator_is_told_what_is_wrong(how):
    body, says = WRONG[how]
    with pytest.raises(Failed, match=says):
        drawn(body)


def test_t_may_be_a_tensor_and_fewer_questions_are_fine():
    one, two = (drawn(f"    x0, eps = yield noise, {t}\n    return x0\n") for t in ("900", "torch.tensor([900])"))
    right = plain(few_steps.network(), given()[1])(given()[0], torch.full((6,), 900))[0]
    torch.testing.assert_close(one, right)
    torch.testing.assert_close(two, right)


@pytest.mark.parametrize("evaluations", few_steps.BUDGETS)
@pytest.mark.parametrize(
    ("design", "sampler", "spacing"),
    [(designs.ddim, "ddim", "uniform"), (designs.dpm_solver, "dpm++", "uniform"), (designs.log_snr, "ddim", "log-snr")],
)
def test_a_known_design_is_the_library_s_sampler(design, sampler, spacing, evaluations):
    probe, (noise, y) = in_process("    yield\n"), given()
    probe("load", cells=designs.cells(design), operations=T.exercise.operations)
    model = few_steps.network()
    times = spaced_timesteps(model.schedule, evaluations, spacing)
    right = last(SAMPLERS[sampler](plain(model, y), noise, model.schedule, times))
    torch.testing.assert_close(few_steps.draw(probe, noise, y, evaluations), right, rtol=0, atol=1e-5)


@sandbox
def test_the_baseline_in_the_sandbox_is_the_library_s_ddim_and_an_endless_one_is_ended():
    (noise, y), model = given(), few_steps.network()
    with session(T.exercise, Limits()) as child:
        probe = Probe(child, 5.0)
        probe("load", cells=T.stub, operations=T.exercise.operations)
        images = few_steps.draw(probe, noise, y, 2)
        right = last(ddim(plain(model, y), noise, model.schedule, [999, 499]))
        torch.testing.assert_close(images, right, rtol=0, atol=1e-5)
        probe("load", cells={"few_steps": f"{HEAD}    while True:\n        pass\n    yield"}, operations="few_steps")
        with pytest.raises(Failure) as ended:
            few_steps.draw(probe, noise, y, 2)
        assert ended.value.outcome == "timeout"


def test_the_schedule_that_the_child_gets_is_the_network_s():
    assert torch.equal(DiffusionSchedule.named().alphas_cumprod, few_steps.network().schedule.alphas_cumprod)


CHEATS = {
    "own pictures": (f"{ASK}    return noise.tanh()\n", "hardly change with the network's answers"),
    "own noise": ("    x0, _ = yield noise + torch.randn_like(noise), 900\n    return x0\n", "depends on the others"),
    "batch": (f"{ASK}    return (x0 - x0.mean(0)).clamp(-1, 1)\n", "depends on the others in its batch"),
    "count": (
        "    few_steps.n = getattr(few_steps, 'n', 0) + 1\n"
        f"{ASK}    return x0.roll(few_steps.n, -1)\n", "gives different images the second time",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", CHEATS)
def test_the_contract_sees_what_is_no_sampler(how):
    body, says = CHEATS[how]
    child = InProcess(importlib.import_module(T.exercise.questions))
    found = contract.ask(T, child, {"few_steps": HEAD + body})[-1]
    assert not found.holds and says in found.text


def small(t):
    return replace(t.harness, samples=100)


def test_a_sampler_that_looks_at_the_size_of_its_batch_is_found_out():
    body = f"{ASK}    return x0 if len(noise) < 50 else x0.roll(1, 0)\n"
    with pytest.raises(Failed, match="drawn without the others"):
        few_steps.run(in_process(body), {}, small(T), 5)


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """The baseline's own starter notebook, tested in few-steps-1 and few-steps-2 with few images: (folder, Tested)."""
    folder, done = tmp_path_factory.mktemp("log"), {}
    for t in FEW[:2]:
        (folder / f"{t.name}.ipynb").write_text(starter.notebook(t))
        tier = quick.Tier(at_most=2, jobs=1, harness=small(t))
        sandboxed = child_process.available() is None
        done[t.name] = testing.run(t, "Ada", folder / f"{t.name}.ipynb", folder, tier, sandboxed, lambda line: None)
    return folder, done


def test_the_starter_notebook_is_tested_as_it_comes(tested):
    folder, done = tested
    for t in FEW[:2]:
        assert done[t.name].outcome == "finished", done[t.name]
        assert all(set(m) == set(t.metrics) for m in done[t.name].runs.values())
        assert "heldout_loss" not in t.metrics and "adherence" in t.metrics
        told = "\n".join(testing.lines(t, done[t.name]))
        assert "difference from ddim" in told and "gate" not in told
        (test,) = attempts.challenger(folder, t.name, "Ada").tests
        assert test.result["gate"] is None and test.result["harness"] == figures.harness_digest(t, small(t))
    a, b = (done[t.name].runs for t in FEW[:2])
    assert set(a) == set(b) and all(a[seed]["distance"] > 2 * b[seed]["distance"] for seed in a)  # 52 against 4


def test_the_starter_s_cells_run_in_a_notebook(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {}
    for cell in json.loads(starter.notebook(T))["cells"]:
        if cell["cell_type"] == "code":
            assert max(map(len, "".join(cell["source"]).splitlines())) <= 120
            exec("".join(cell["source"]), names)
    assert names["asked"] == 2 and names["images"].shape == (40, 1, 8, 8)


@pytest.mark.parametrize("t", FEW, ids=lambda t: t.name)
def test_the_baseline_differs_from_itself_by_nothing(t):
    """A run now, in the whole harness, of a seed that is on record."""
    known = figures.known_runs(t)[t.baseline]
    seed = figures.seed_of(t, 0)
    if figures.judge_name() != "judge":
        pytest.fail("the record's runs are of the judge of record")
    now = quick.run(quick.Job(t.name, t.stub, seed, sandboxed=False)).metrics
    d = figures.difference({seed: now}, known, "distance")
    assert abs(d.value) < 0.02 * known[seed]["distance"]
    own = figures.difference(dict(known), known, "distance")
    assert own.value == own.low == own.high == 0 and figures.verdict("distance", own) == "not resolved"


def test_at_least_six_seeds_where_time_is_short(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(quick.time, "monotonic", lambda: clock[0])

    def work(jobs):
        clock[0] += 500
        yield from (quick.Outcome(j.seed, 1.0, {"distance": 1.0}) for j in jobs)

    monkeypatch.setattr(quick, "worker", lambda jobs: contextlib.nullcontext(work))
    assert len(list(quick.seeds(T, {}, quick.Tier(), True, 0.0, lambda line: None))) == 6


def test_every_number_has_a_leaderboard_of_its_own(tmp_path, capsys):
    about, images = {"judge": figures.judge_name()}, {"samples": "none.png", "samples_hash": ""}
    for t, distance in ((FEW[0], 40.0), (FEW[1], 0.5)):
        who = attempts.challenger(tmp_path, t.name, "Ada")
        number = attempts.begin(tmp_path, who, **about)
        base = figures.known_runs(t)[t.baseline]
        runs = [{"seed": s, "metrics": m | {"distance": distance}} for s, m in base.items()]
        result = {"runs": runs, "harness": figures.harness_digest(t), **images}
        attempts.end(tmp_path, who, number, "finished", result=result)
        args = ["--track", t.name, "--name", "Ada", "--record", str(tmp_path)]
        cli.main(["challenge", "submit", *args, "-n", "1"])
    entries = record.entries(tmp_path)
    tables = {t.name: leaderboard.rows(t, entries, tmp_path) for t in FEW}
    ada = {name: next((r for r in table if r.entry == "ada"), None) for name, table in tables.items()}
    assert ada["few-steps-1"].rank == 2 and ada["few-steps-1"].against == "better" and ada["few-steps-4"] is None
    assert ada["few-steps-2"].rank is None and ada["few-steps-2"].kind == leaderboard.WAITS
    assert ada["few-steps-1"].means["distance"].value == 40.0 and ada["few-steps-2"].means["distance"].value == 0.5
    cli.main(["challenge", "confirm", *args])
    assert leaderboard.rows(T, record.entries(tmp_path), tmp_path)[0].entry == "ada"
    assert "|" not in formats.text(T, tables[T.name]) and "trained" not in formats.text(T, tables[T.name])
    cli.main(["challenge", "leaderboard", "--record", str(tmp_path)])
    out = capsys.readouterr().out
    page = (tmp_path / "leaderboard.html").read_text()
    for t in FEW:
        assert t.name in out and f'id="{t.name}"' in page
        lines = csv.DictReader(io.StringIO(formats.as_csv(tables)))
        assert [r["entry"] for r in lines if r["track"] == t.name] == [r.entry for r in tables[t.name]]
    assert page.count("Published, CIFAR-10") == 3


def test_copies_are_looked_at():
    base = figures.known_runs(T)[T.baseline]
    assert remarkable.look(T, base) == []
    (told,) = remarkable.look(T, {s: m | {"copies": 0.5} for s, m in base.items()})
    assert "50% of the images are copies" in told


@pytest.mark.parametrize("t", FEW, ids=lambda t: t.name)
def test_every_known_design_is_on_record_with_six_seeds(t):
    known = figures.known_runs(t)
    for e in examples(t.name):
        assert set(known[e.name]) == {figures.seed_of(t, i) for i in range(6)}, e.name
        assert remarkable.look(t, known[e.name]) == []
