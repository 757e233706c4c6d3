import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.conditioning import strategy
from ddpm_core.config import PRESETS, Preset, from_dict, preset, to_dict
from ddpm_core.training import TrainConfig, TrainState
from ddpm_core.unet import UNetConfig, build_unet
from tests.ddpm_core.test_training import CONFIG, UNET, run, start

PRESET = Preset(unet=UNET, conditioning="adaln_zero", train=CONFIG)


@pytest.fixture
def saved(tmp_path):
    state = run(start(), until=3)
    return checkpoint.save_training(tmp_path / "a", state, PRESET), state


def test_round_trip(saved, rng):
    path, state = saved
    loaded = checkpoint.load(path.with_name("a.json"))
    x, t, y = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([3, 700]), torch.tensor([1, 10])
    torch.testing.assert_close(loaded.raw(x, t, y), state.model.eval()(x, t, y), rtol=0, atol=0)
    torch.testing.assert_close(loaded.ema(x, t, y), state.ema.module(x, t, y), rtol=0, atol=0)
    assert loaded.preset == PRESET and loaded.step == 3
    assert not list(path.parent.glob("*.tmp"))


@pytest.mark.parametrize(
    ("unet", "conditioning"),
    [
        (UNetConfig(1, 8, 10, (32, 32), 1, cond_dim=32), "cross_attention"),
        (UNetConfig(1, 8, 0, (32, 32), 1, cond_dim=32), "none"),
        (UNetConfig(1, 8, 10, (32, 64), 1, (1,), architecture="unet2d"), "gated"),
        (UNetConfig(1, 8, 0, (32, 32), 1, architecture="unet2d"), "none"),
    ],
)
def test_every_architecture_comes_back(tmp_path, rng, unet, conditioning):
    state = TrainState.start(build_unet(unet, strategy(conditioning), 5), CONFIG)
    with torch.no_grad():
        for p in state.model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng))
    state.ema.update(state.model)
    config = Preset(unet=unet, conditioning=conditioning, train=CONFIG)
    loaded = checkpoint.load(checkpoint.save_training(tmp_path / "a", state, config))
    x, t, y = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([3, 700]), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(loaded.raw(x, t, y), state.model.eval()(x, t, y), rtol=0, atol=0)
    torch.testing.assert_close(loaded.ema(x, t, y), state.ema.module(x, t, y), rtol=0, atol=0)
    assert loaded.preset == config


def test_shrunk_checkpoints_are_small_and_sample_alike(saved, tmp_path, rng):
    path, state = saved
    before = path.with_name("a.safetensors").stat().st_size
    loaded = checkpoint.load(checkpoint.shrink(path, tmp_path / "half"))
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
        checkpoint.resume(tmp_path / "half", PRESET, start())


def test_weights_too_large_for_float16_are_named(saved, tmp_path):
    path, state = saved
    with torch.no_grad():
        state.ema.module.conv_in.bias[0] = 1e6
    checkpoint.save_training(path, state, PRESET)
    with pytest.raises(ValueError, match=r"ema\.conv_in\.bias holds values beyond 65504"):
        checkpoint.shrink(path, tmp_path / "half")
    assert not tmp_path.joinpath("half.safetensors").exists()


KILLED = """
import os, random, signal, sys, time
import torch
from ddpm_core import checkpoint

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
assert not checkpoint.exists(sys.argv[1])
child(lambda: (at_call(2), save(1)))  # the text alone: still no checkpoint
assert not checkpoint.exists(sys.argv[1])
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
checkpoint.clear_drafts(sys.argv[1])
print(sorted(os.listdir(os.path.dirname(sys.argv[1]))))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    """SIGKILL at either file's replacement, then at random moments of one save after another."""
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['run.json', 'run.safetensors']"


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"b: b\.safetensors is missing; train one"):
        checkpoint.load(tmp_path / "b")


def test_truncated(saved):
    weights = saved[0].with_name("a.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        checkpoint.load(saved[0])


@pytest.mark.parametrize("text", ["", "{", '{"no": 1}', "[]", "\x00"])
def test_damaged_json(saved, text):
    saved[0].with_name("a.json").write_text(text)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(saved[0])


def test_weights_of_another_config(saved):
    file = saved[0].with_name("a.json")
    record = json.loads(file.read_text())
    record["config"]["unet"]["cond_dim"] = 64
    file.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="belongs to another config"):
        checkpoint.load(saved[0])


def test_a_classifier_is_no_diffusion_model(tmp_path):
    from ddpm_core.metrics.classifier import Classifier, ClassifierConfig, load_classifier, save_classifier

    path = save_classifier(tmp_path / "c", Classifier(ClassifierConfig()))
    assert load_classifier(path).config == ClassifierConfig()
    with pytest.raises(CheckpointError, match="not a checkpoint of a diffusion model"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("parameterization", "foo", "a has an unknown parameterization 'foo'; known: epsilon, v"),
        ("schedule", "foo", "a has an unknown schedule 'foo'; known: "),
        ("step", None, "a does not say how many steps"),
        ("step", torch.tensor(3), "a does not say how many steps"),
    ],
)
def test_checkpoints_made_by_hand_are_told(saved, key, value, says):
    path, _ = saved
    tensors, record = checkpoint.read(path)
    if key == "step":
        tensors = {k: v for k, v in tensors.items() if k != key} | ({} if value is None else {key: value})
    else:
        record["config"][key] = value
    checkpoint.write(path, tensors, record["config"])
    with pytest.raises(CheckpointError, match=says):
        checkpoint.load(path)
    if key == "step":
        with pytest.raises(CheckpointError, match=says):
            checkpoint.resume(path, PRESET, start())


def test_a_folder_is_no_checkpoint_but_may_hold_one(saved, tmp_path):
    with pytest.raises(CheckpointError, match=r"is a folder; name a checkpoint in it, such as .*/a$"):
        checkpoint.load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty is a folder; it holds no checkpoint"):
        checkpoint.load(tmp_path / "empty")


def test_resuming_another_run_is_refused(saved):
    other = replace(PRESET, conditioning="add", train=replace(CONFIG, lr=1.0))
    with pytest.raises(CheckpointError, match=r"another config \(conditioning, train.lr differ\)"):
        checkpoint.resume(saved[0], other, start())


@pytest.mark.parametrize("name", PRESETS)
def test_configs_survive_json(name):
    config = preset(name)
    assert from_dict(Preset, json.loads(json.dumps(to_dict(config)))) == config


def test_unknown_keys_raise():
    with pytest.raises(ValueError, match=r"unknown TrainConfig key\(s\) learning_rate; known: steps"):
        from_dict(Preset, {"train": {"learning_rate": 1}})
    with pytest.raises(ValueError, match=r"unknown preset 'imagenet'; known: digits"):
        preset("imagenet")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"train": {"steps": "abc"}}, "TrainConfig: steps must be int, got 'abc'"),
        ({"train": {"steps": True}}, "TrainConfig: steps must be int, got True"),
        ({"train": {"lr": None}}, "TrainConfig: lr must be float, got None"),
        ({"unet": {"channels": "abc"}}, "UNetConfig: channels must be tuple, got 'abc'"),
        ({"data": 3}, "Preset: data must be str, got 3"),
        ({"unet": []}, "UNetConfig must be an object, got list"),
    ],
)
def test_values_of_a_wrong_kind_are_named(values, says):
    with pytest.raises(ValueError, match=says):
        from_dict(Preset, values)
    assert from_dict(TrainConfig, {"lr": 1}).lr == 1  # JSON has one kind of number
