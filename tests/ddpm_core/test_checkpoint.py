import json

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import PRESETS, Preset, from_dict, preset, to_dict
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


def test_resuming_another_run_is_refused(saved):
    from dataclasses import replace

    other = replace(PRESET, conditioning="add")
    with pytest.raises(CheckpointError, match=r"another config \(conditioning differ\)"):
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
