import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset, from_dict, to_dict
from ddpm_core.training import TrainConfig, TrainState
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.presets import PRESETS, preset
from ddpm_tools.train.resume import resume, save_training
from ddpm_tools.unet2d import UNet2DConfig
from tests.ddpm_core.test_training import CONFIG, UNET, run, start

PRESET = Preset(unet=UNET, conditioning="adaln_zero", train=CONFIG)


@pytest.fixture
def saved(tmp_path):
    state = run(start(), replace(CONFIG, steps=3))
    return save_training(tmp_path / "a", state, PRESET), state


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
        (UNet2DConfig(1, 8, 10, (32, 64), 1, (1,)), "gated"),
        (UNet2DConfig(1, 8, 0, (32, 32), 1), "none"),
    ],
)
def test_every_architecture_comes_back(tmp_path, rng, unet, conditioning):
    config = Preset(unet=unet, conditioning=conditioning, train=CONFIG)
    state = TrainState.start(config.diffusion(build_unet(unet, strategy(conditioning), 5)), CONFIG)
    with torch.no_grad():
        for p in state.model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng))
    state.ema.update(state.model)
    loaded = checkpoint.load(save_training(tmp_path / "a", state, config))
    x, t, y = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([3, 700]), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(loaded.raw(x, t, y), state.model.eval()(x, t, y), rtol=0, atol=0)
    torch.testing.assert_close(loaded.ema(x, t, y), state.ema.module(x, t, y), rtol=0, atol=0)
    assert loaded.preset == config


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"b: b\.safetensors is missing; train one"):
        checkpoint.load(tmp_path / "b")


def test_truncated(saved):
    weights = saved[0].with_name("a.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        checkpoint.load(saved[0])


def test_a_reader_beside_a_training_gets_one_save_or_the_other(tmp_path):
    """Saves may differ in size: a training that came in 16 bits goes on in 32."""
    for name, size in (("small", 1_000), ("large", 10_000)):
        checkpoint.write(tmp_path / name, {f"w{i}": torch.full((size,), float(size)) for i in range(20)}, {})
    shutil.copy(tmp_path / "small.json", tmp_path / "a.json")
    saves = (
        "while True:\n for n in 'small', 'large':\n  os.link(f'{n}.safetensors', 'b'); os.replace('b', 'a.safetensors')"
    )
    with subprocess.Popen([sys.executable, "-c", f"import os\n{saves}"], cwd=tmp_path) as training:
        try:
            while not (tmp_path / "a.safetensors").exists():
                assert training.poll() is None
            sizes = []
            for _ in range(1000):
                tensors, _ = checkpoint.read(tmp_path / "a")
                assert all(len(v) == int(v[0]) == int(v[-1]) == len(tensors["w0"]) for v in tensors.values())
                sizes.append(len(tensors["w0"]))
        finally:
            training.kill()
    assert set(sizes) == {1_000, 10_000}


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
    from ddpm_tools.evaluation.plain_classifier import Classifier, ClassifierConfig, load_classifier, save_classifier

    path = save_classifier(tmp_path / "c", Classifier(ClassifierConfig()))
    assert load_classifier(path).config == ClassifierConfig()
    with pytest.raises(CheckpointError, match="not a checkpoint of a diffusion model"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "parameterization",
            "foo",
            "a is not a checkpoint of a diffusion model: unknown parameterization 'foo'; known: epsilon, v",
        ),
        ("schedule", "foo", "a is not a checkpoint of a diffusion model: unknown schedule 'foo'; known: "),
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
            resume(path, PRESET, start())


def test_a_folder_is_no_checkpoint_but_may_hold_one(saved, tmp_path):
    with pytest.raises(CheckpointError, match=r"is a folder; name a checkpoint in it, such as .*/a$"):
        checkpoint.load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty is a folder; it holds no checkpoint"):
        checkpoint.load(tmp_path / "empty")


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
        ({"unet": {"architecture": "v2", "channels": "abc"}}, "UNetConfig: channels must be tuple, got 'abc'"),
        ({"data": 3}, "Preset: data must be str, got 3"),
        ({"unet": []}, "NetworkConfig must be an object, got list"),
    ],
)
def test_values_of_a_wrong_kind_are_named(values, says):
    with pytest.raises(ValueError, match=says):
        from_dict(Preset, values)
    assert from_dict(TrainConfig, {"lr": 1}).lr == 1  # JSON has one kind of number
