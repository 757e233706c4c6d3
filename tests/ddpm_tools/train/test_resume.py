"""Runs that stop and go on bit for bit, that are killed while saving, and that are shrunk for shipping."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_tools.train.resume import resume, save_training, shrink
from ddpm_tools.train.speed import Speed
from tests.ddpm_core.test_training import CONFIG, UNET
from tests.ddpm_tools.train.test_engine import assert_same, begin, run

PRESET = Preset(unet=UNET, conditioning="adaln_zero", train=CONFIG)


def fresh():
    return begin()[0]


@pytest.fixture
def saved(tmp_path):
    state = run(*begin(), until=3)
    return save_training(tmp_path / "a", state, PRESET), state


@pytest.mark.parametrize("flip", [False, True])
def test_resume_is_bit_identical(tmp_path, flip):
    """In the middle of the second epoch: 96 images are 6 batches."""
    few, config = (
        replace(digits(), images=digits().images[:96], labels=digits().labels[:96]),
        replace(CONFIG, flip=flip),
    )
    preset = Preset(unet=UNET, conditioning="adaln_zero", train=config)
    whole, half = (run(*begin(config=config), config, until, few) for until in (None, 8))
    save_training(tmp_path / "run", half, preset)
    state, engine = begin(config=config)
    again = run(resume(tmp_path / "run", preset, state), engine, config, None, few)
    assert again.step == whole.step == 12
    assert_same(again, whole)


@pytest.mark.parametrize(("first", "then"), [(True, True), (True, False), (False, True)])
def test_a_run_may_go_on_at_another_speed(tmp_path, first, then):
    speeds = [Speed(channels_last=on, fused=on) for on in (first, then)]
    save_training(tmp_path / "run", run(*begin(speeds[0]), until=6), PRESET)
    state, engine = begin(speeds[1])
    again = run(resume(tmp_path / "run", PRESET, state), engine)
    assert_same(again, run(*begin()), rtol=0, atol=1e-4)


def test_shrunk_checkpoints_are_small_and_sample_alike(saved, tmp_path, rng):
    path, state = saved
    before = path.with_name("a.safetensors").stat().st_size
    loaded = checkpoint.load(shrink(path, tmp_path / "half"))
    assert tmp_path.joinpath("half.safetensors").stat().st_size < before / 7  # of EMA, weights and two moments
    x, t, y = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([3, 700]), torch.tensor([1, 10])
    assert all(p.dtype == torch.float32 for p in loaded.ema.parameters())
    for ours, was in zip(loaded.ema.state_dict().values(), state.ema.module.state_dict().values()):
        assert torch.equal(ours, was.half().float())
    torch.testing.assert_close(loaded.ema(x, t, y), state.ema.module(x, t, y), rtol=1e-2, atol=1e-2)
    assert loaded.step == 3 and loaded.preset == PRESET
    with pytest.raises(CheckpointError, match="averaged weights alone"):
        _ = loaded.raw
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        resume(tmp_path / "half", PRESET, fresh())


def test_weights_too_large_for_float16_are_named(saved, tmp_path):
    path, state = saved
    with torch.no_grad():
        state.ema.module.conv_in.bias[0] = 1e6
    save_training(path, state, PRESET)
    with pytest.raises(ValueError, match=r"ema\.conv_in\.bias holds values beyond 65504"):
        shrink(path, tmp_path / "half")
    assert not tmp_path.joinpath("half.safetensors").exists()


KILLED = """
import os, random, signal, sys, time
import torch
from ddpm_core import checkpoint
from ddpm_tools.train import resume

def save(step):
    big = {f"w{i}": torch.full((40_000,), float(step)) for i in range(8)} | {"step": torch.tensor([step, step])}
    checkpoint.write(sys.argv[1], big, {"size": 1}, provenance={"step": step})

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

def at_call(n):
    real, calls = os.replace, []
    def replace(*args):
        calls.append(args)
        die() if len(calls) == n else real(*args)
    os.replace = replace

def whole(oldest):
    tensors, record = checkpoint.read(sys.argv[1])
    values = {float(x) for k, v in tensors.items() for x in v.unique()}
    assert len(values) == 1 and values.pop() >= oldest, values

def child(work):
    if (pid := os.fork()) == 0:
        work()
        os._exit(0)
    os.waitpid(pid, 0)

torch.set_num_threads(1)
child(lambda: (at_call(1), save(1)))  # before there is anything
assert not resume.exists(sys.argv[1])
child(lambda: (at_call(2), save(1)))  # the text alone: still no checkpoint
assert not resume.exists(sys.argv[1])
save(1)
for n in (1, 2):
    child(lambda: (at_call(n), save(2)))
    whole(1)
for trial in range(12):
    if (pid := os.fork()) == 0:
        for step in range(2, 10**6):
            save(step)
    time.sleep(random.uniform(0.01, 0.3))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    whole(1)
resume.clear_drafts(sys.argv[1])
print(sorted(os.listdir(os.path.dirname(sys.argv[1]))))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    """SIGKILL at either file's replacement, then at random moments of one save after another."""
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['run.json', 'run.safetensors']"


def test_resuming_another_run_is_refused(saved):
    other = replace(PRESET, conditioning="add", train=replace(CONFIG, lr=1.0))
    with pytest.raises(CheckpointError, match=r"another config \(conditioning, train.lr differ\)"):
        resume(saved[0], other, fresh())
