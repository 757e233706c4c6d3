"""The rule by which a gate's run stops, on simulated runs whose truth is known, and what its looks measure."""

import math
from dataclasses import replace

import numpy as np
import torch

from autograder.authoring.calibrate import memoriser
from autograder.gate.bands import Band, bands, judge_run
from autograder.gate.harness import Harness, Unconditional, describe
from autograder.gate.learning import PairInNetwork, RecordedNetwork, chunks
from autograder.gate.looking import USED, Look, hope, label_gain, time_gain
from autograder.gate.sequential import FALL, LABEL_Z, at, decided, hopeless
from ddpm_core.schedule import DiffusionSchedule

LOOKS, RUNS, TRIALS = 4, 8, 1500
CONTROLS = {"distance": ("bad",)}


def paths(rng: np.random.Generator, n: int, level: float, fall: float, sd: float) -> np.ndarray:
    """n designs' distances at every look (n, LOOKS): e to the power of a falling line with autocorrelated noise."""
    noise = rng.normal(size=(n, LOOKS))
    for k in range(1, LOOKS):
        noise[:, k] = 0.7 * noise[:, k - 1] + math.sqrt(1 - 0.7**2) * noise[:, k]
    return np.exp(level - fall * np.arange(LOOKS) + sd * noise)


def run(design: str, role: str, path: np.ndarray) -> dict:
    looks = [{"metrics": {"judge": metrics(d)}} for d in path]
    return {"design": design, "role": role, "metrics": looks[-1]["metrics"], "looks": looks}


def metrics(distance: float) -> dict[str, float]:
    return {"adherence": 0.0, "distance": float(distance), "heldout_loss": 0.1, "copies": 0.0}


def credit(path: np.ndarray, hopes: np.ndarray, limits: dict[str, Band]) -> float:
    """What a run gets that ends where the rule says."""
    for k, (distance, left) in enumerate(zip(path, hopes)):
        look = Look(k, {"judge": metrics(distance)}, math.inf if k == 0 else left, None)
        if decided(look, limits, Unconditional()):
            break
    return judge_run(look.metrics["judge"], limits).share


def simulate(by_the_last_look: bool = False) -> dict[str, float]:
    """Rates over many calibrations, each of RUNS references and RUNS controls, and one fresh run of either.

    `by_the_last_look`: limits as for a run that is looked at once, which is the mistake.
    """
    rng, found = np.random.default_rng(5), []
    for _ in range(TRIALS):
        good, bad = paths(rng, RUNS, 1.0, 0.9, 0.1), paths(rng, RUNS, 1.0, 0.0, 0.5)
        known = [run("good", "reference", p) for p in good] + [run("bad", "control", p) for p in bad]
        if by_the_last_look:
            known = [r | {"looks": r["looks"][-1:]} for r in known]
        limits = bands(known, "judge", CONTROLS)
        best = min(min(look["metrics"]["judge"]["distance"] for look in r["looks"]) for r in known[RUNS:])
        right, wrong = paths(rng, 1, 1.0, 0.9, 0.1)[0], paths(rng, 1, 1.0, 0.0, 0.5)[0]
        grows, stands = np.full(LOOKS, 0.05), rng.normal(0, FALL, LOOKS)
        found.append((credit(wrong, stands, limits), wrong.min() <= best, credit(right, grows, limits) < 1))
    passes, beaten, fails = zip(*found)
    return {"passes": np.mean(np.array(passes) > 0), "full": np.mean(np.array(passes) == 1),
            "beaten": np.mean(beaten), "fails": np.mean(fails)}  # fmt: skip


def test_over_all_looks_together_a_fresh_control_beats_the_best_of_m_as_rarely_as_promised():
    """Once in m + 1, whatever the distribution and however the looks hang together; and it must come nearer still."""
    rates, promised = simulate(), 1 / (RUNS + 1)
    error = 3 * math.sqrt(promised * (1 - promised) / TRIALS)
    assert abs(rates["beaten"] - promised) < error
    assert rates["full"] < promised / 4 and rates["passes"] < promised / 2
    assert rates["fails"] < promised


def test_limits_of_one_look_would_break_the_promise():
    rates, promised = simulate(by_the_last_look=True), 1 / (RUNS + 1)
    assert rates["beaten"] > 1.5 * promised


def look(distance: float, hope: float) -> Look:
    return Look(100, {"judge": metrics(distance)}, hope, None)


def test_a_run_ends_within_the_limits_or_without_hope():
    limits = {"distance": Band(full=2.0, half=3.0)}
    labelled, unlabelled = Harness(looks=(1, 2)), Unconditional(looks=(1, 2))
    assert decided(look(1.0, math.inf), limits, labelled)
    assert not decided(look(9.0, math.inf), limits, labelled)  # the first look gives nothing up
    assert not decided(look(9.0, 14.0), limits, labelled)  # learns slowly
    assert decided(look(9.0, 0.0), limits, labelled) and decided(look(9.0, -2.0), limits, labelled)
    assert not decided(look(2.5, 0.0), limits, labelled)  # half credit is for the last look
    assert decided(look(9.0, 0.0), limits, unlabelled) and not decided(look(9.0, 0.05), limits, unlabelled)
    assert hopeless(look(9.0, math.nan), labels=True) is False  # what is not finite does not get as far


def test_a_label_without_use_gains_nothing_and_one_of_use_does():
    def blind(xt, t, y):
        return torch.cat([memoriser(x, at, None) for x, at in zip(xt.split(1), t.split(1))])

    def seeing(xt, t, y):
        return torch.cat([memoriser(x, at, label) for x, at, label in zip(xt.split(1), t.split(1), y.split(1))])

    assert label_gain(blind, 3, n=60) == 0.0
    assert label_gain(seeing, 3, n=60) > LABEL_Z
    noise = [label_gain(lambda xt, t, y: xt + 0.1 * torch.randn(xt.shape), seed, n=60) for seed in range(60)]
    assert np.mean(np.abs(noise) > LABEL_Z) < 0.05 and 0.5 < np.std(noise) < 1.6  # a standard normal number


def wiener(abar_at):
    """The best linear denoiser of digits whose pixels had mean 0 and variance 0.5, at the timesteps it is told."""
    abar = DiffusionSchedule.named().alphas_cumprod

    def denoise(xt, t, y):
        a = abar[abar_at(t)].view(-1, 1, 1, 1)
        return (1 - a).sqrt() * xt / (0.5 * a + 1 - a)

    return denoise


def test_a_timestep_without_use_gains_nothing_and_one_of_use_does():
    """A filter that learns no picture uses its time, too: what learns slowly is not given up for that."""
    told, blind = wiener(lambda t: t), wiener(lambda t: torch.full_like(t, 500))
    assert all(time_gain(blind, seed) == 0.0 and time_gain(told, seed) > 1.2 * USED for seed in range(5))
    assert all(time_gain(wiener(lambda t: 999 - t), seed) < -3 for seed in range(5))


def test_hope_without_labels_is_the_fall_of_the_loss_and_none_where_a_network_of_ones_own_has_no_use_of_the_time():
    told, blind = wiener(lambda t: t), wiener(lambda t: torch.full_like(t, 500))
    own, course = RecordedNetwork(), Unconditional()
    assert hope(blind, own, 1, 0.1, None) == hope(told, course, 1, 0.1, None) == math.inf
    assert hope(told, own, 1, 0.09, 0.1) == hope(blind, course, 1, 0.09, 0.1) == 1 - 0.09 / 0.1
    assert hope(blind, own, 1, 0.09, 0.1) == 0.0


def test_where_a_run_ended_is_said_in_words():
    assert at(200, Harness(looks=(120, 200, 300))) == "after 200 training steps, at look 2 of 3"
    assert at(250, Harness()) == "after 250 training steps"


def test_looks_change_nothing_of_what_is_trained_before_them():
    steps = {"train": {**Unconditional().train, "steps": 9}, "chunk": 4}
    one, several = Unconditional(**steps), Unconditional(**steps, looks=(3, 5, 7))
    assert one.ends == (9,) and several.ends == (3, 5, 7)
    drawn = [list(chunks(h, 6)) for h in (one, several)]
    assert [tuple(r) for r, _ in drawn[1]] == [(0, 1, 2), (3,), (4,), (5, 6)]
    for name in ("x0", "eps", "t", "lr"):
        first, second = (torch.cat([x[name] for _, x in own]) for own in drawn)
        assert torch.equal(first[:7], second)


def test_a_look_beyond_the_end_is_one_at_the_end():
    assert replace(Harness(looks=(5, 300)), train={"steps": 10}).ends == (5, 10)
    assert replace(Harness(looks=(50, 300)), train={"steps": 10}).ends == (10,)


def test_a_run_of_one_look_is_described_as_before_there_were_several():
    assert "looks" not in describe(PairInNetwork()) and "sampler" not in describe(PairInNetwork())
    assert {"looks", "sampler"} <= set(describe(PairInNetwork(looks=(1,), sampler="dpm++")))
