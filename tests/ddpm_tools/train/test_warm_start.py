"""A run that begins with another run's averaged weights: they are what it starts from, and nothing else is kept."""

from dataclasses import replace

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import DATA_DIR
from ddpm_tools.cli.main import main
from ddpm_tools.train.beginning import Source
from ddpm_tools.train.interrupt import Interrupted
from ddpm_tools.train.resume import shrink
from ddpm_tools.train.runs import train_run
from ddpm_tools.train.warm_start import training_behind
from tests.ddpm_core.test_training import CONFIG
from tests.ddpm_tools.train.test_cooldown import LONG, QUIET, begun, rates  # noqa: F401 - a fixture
from tests.ddpm_tools.train.test_runs import same

FIRST = replace(LONG, train=replace(CONFIG, steps=12))
MORE = replace(LONG, train=replace(CONFIG, steps=10, lr=1e-4, seed=7))


def test_a_run_that_learns_nothing_ends_with_the_weights_it_began_with(tmp_path):
    first, out = train_run(FIRST, tmp_path / "first", callbacks=QUIET), tmp_path / "more"
    shipped = shrink(first, tmp_path / "shipped")  # averaged weights alone, in float16
    still = replace(MORE, train=replace(MORE.train, lr=1e-30, weight_decay=0.0))
    train_run(still, out, callbacks=QUIET, source=Source(shipped))
    loaded, began = checkpoint.load(out), checkpoint.load(shipped)
    for name, weight in began.ema.state_dict().items():
        torch.testing.assert_close(loaded.ema.state_dict()[name], weight, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(loaded.raw.state_dict()[name], weight, rtol=1e-5, atol=1e-6)
    assert loaded.step == 10  # its own steps
    told = loaded.record["provenance"]["warm_start"]
    before = began.record["provenance"]
    images = 12 * FIRST.train.batch_size
    behind = {"step": 12, "images": images, "minutes": before["minutes"], "cpu_seconds": before["cpu_seconds"]}
    assert told == {"checkpoint": "shipped", "weights": checkpoint.file_digest(shipped)} | behind
    assert training_behind(began.record) == behind
    all_of_it, own = training_behind(loaded.record), loaded.record["provenance"]
    assert (all_of_it["step"], all_of_it["images"]) == (22, images + 10 * MORE.train.batch_size)
    assert all_of_it["cpu_seconds"] == pytest.approx(before["cpu_seconds"] + own["cpu_seconds"])


def test_it_goes_on_from_there_and_other_seeds_differ(tmp_path):
    first = train_run(FIRST, tmp_path / "first", callbacks=QUIET)
    warm = train_run(MORE, tmp_path / "warm", callbacks=QUIET, source=Source(first))
    cold = train_run(MORE, tmp_path / "cold", callbacks=QUIET)
    assert not same(warm, cold)
    distance = [
        sum((a - b).square().sum() for a, b in zip(n.ema.parameters(), checkpoint.load(first).ema.parameters()))
        for n in map(checkpoint.load, (warm, cold))
    ]
    assert distance[0] < 0.1 * distance[1]


def test_an_interrupted_one_resumes_bit_for_bit(rates, tmp_path):  # noqa: F811
    first = train_run(FIRST, tmp_path / "first", callbacks=QUIET)
    straight = train_run(MORE, tmp_path / "straight", callbacks=QUIET, source=Source(first))
    broken = tmp_path / "broken"
    rates["stop"] = 4
    with pytest.raises(Interrupted):
        train_run(MORE, broken, callbacks=QUIET, source=Source(first))
    rates["stop"] = 7
    with pytest.raises(Interrupted):
        train_run(MORE, broken, callbacks=QUIET, source=Source(first))  # the same call
    rates["stop"] = None
    assert same(straight, train_run(MORE, broken, callbacks=QUIET))  # and without the source
    assert checkpoint.load(broken).record["provenance"]["warm_start"]["step"] == 12


def test_what_cannot_begin_a_run(rates, tmp_path):  # noqa: F811
    first, out = train_run(FIRST, tmp_path / "first", callbacks=QUIET), tmp_path / "out"
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*gone"):
        train_run(MORE, out, callbacks=QUIET, source=Source(tmp_path / "gone"))
    other = replace(MORE, conditioning="adagn", parameterization="v")
    with pytest.raises(CheckpointError, match="conditioning is adaln_zero there and adagn here, parameterization is"):
        train_run(other, out, callbacks=QUIET, source=Source(first))
    with pytest.raises(CheckpointError, match=r"first exists, and a run that begins with other weights must not repl"):
        train_run(FIRST, first, callbacks=QUIET, source=Source(first))
    begun(rates, tmp_path / "random", stop=5, config=MORE)
    with pytest.raises(CheckpointError, match=r"random exists, and a run that begins with other weights must not rep"):
        train_run(MORE, tmp_path / "random", callbacks=QUIET, source=Source(first))
    train_run(MORE, out, callbacks=QUIET, source=Source(first))
    with pytest.raises(CheckpointError, match=r"out began with the weights of first \(step 12\); for another --from"):
        train_run(MORE, out, callbacks=QUIET, source=Source(tmp_path / "random"))
    with pytest.raises(CheckpointError, match=r"out began with the weights of first"):
        train_run(MORE, out, callbacks=QUIET, source=Source(first, 3))


def test_the_command_begins_with_a_checkpoint_that_ships(tmp_path):
    out, digits = tmp_path / "run", DATA_DIR / "checkpoints/digits"
    main(["train", "--from", str(digits), "--steps", "2", "--no-log", "--out", str(out)])
    told = checkpoint.load(out).record["provenance"]
    assert told["warm_start"]["checkpoint"] == "digits" and told["warm_start"]["step"] == 600
