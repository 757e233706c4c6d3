"""ONNX models against the PyTorch networks that they came from, run by ONNX Runtime."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainState
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.cli.base import CHECKPOINT, CLASSIFIER
from ddpm_tools.cli.main import main
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.export.onnx_models import OnnxError, export_onnx
from ddpm_tools.train.resume import save_training
from ddpm_tools.unet2d import UNet2DConfig
from tests.ddpm_core.test_unet import perturbed

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def made(tmp_path, unet, data="elsewhere", conditioning="add", resumable=False, **preset):
    """A small checkpoint with random weights, its two networks different from each other."""
    config = Preset(data, conditioning, unet=unet, **preset)
    net = perturbed(build_unet(unet, strategy(conditioning)), 0.05)
    state = TrainState.start(config.diffusion(net), config.train)
    perturbed(state.ema.module, 0.05)
    return checkpoint.load(save_training(tmp_path / "run", state, config, resumable))


def assert_same(net, path, batches=(1, 3)):
    model = session(path)
    for n in batches:
        c, size = net.config.image_channels, net.config.image_size
        xt, t = torch.randn(n, c, size, size), torch.randint(0, 1000, (n,))
        emb = net.embed_class(torch.randint(0, net.null_class + 1, (n,))) * 0.5 + 0.1  # between classes, too
        with torch.no_grad():
            wanted = net.forward_with_cond(xt, t, emb)
        got = model.run(None, {"xt": xt.numpy(), "t": t.float().numpy(), "class_emb": emb.detach().numpy()})[0]
        assert wanted.std() > 0.01
        np.testing.assert_allclose(got, wanted.numpy(), rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx")
    main(["export-onnx", "--out", str(out), "--raw"])
    return out, json.loads((out / "manifest.json").read_text())["models"][0]


def test_the_digits_models_answer_as_in_pytorch(digits):
    out, entry = digits
    loaded = checkpoint.load(CHECKPOINT)
    for kind, net in (("ema", loaded.ema), ("raw", loaded.raw)):
        assert_same(net, out / entry["files"][kind]["file"])
        table = torch.tensor(entry["class_table"][kind])
        assert torch.equal(table, net.class_table.weight)  # (11, D), the null class last
    assert not torch.equal(loaded.ema.class_table.weight, loaded.raw.class_table.weight)


def test_the_classifier_answers_as_in_pytorch(digits):
    out, entry = digits
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    got = session(out / entry["files"]["classifier"]["file"]).run(None, {"images": images.numpy()})[0]
    np.testing.assert_allclose(got, load_classifier(CLASSIFIER)(images).numpy(), rtol=0, atol=1e-5)


def test_the_manifest_says_all_that_a_sampler_needs(digits):
    out, entry = digits
    assert (entry["name"], entry["shape"], entry["parameterization"]) == ("digits", [1, 8, 8], "epsilon")
    assert entry["classes"] == list("0123456789") and ["3", "8"] in entry["pairs"]
    abar = DiffusionSchedule.named("cosine").alphas_cumprod
    assert torch.equal(torch.tensor(entry["alphas_cumprod"]), abar) and entry["timesteps"] == len(abar)
    assert 1e6 < entry["macs"] < 1e8
    for file in entry["files"].values():
        blob = (out / file["file"]).read_bytes()
        assert (len(blob), hashlib.sha256(blob).hexdigest()) == (file["bytes"], file["sha256"])
        assert b"/ddpm_core/" not in blob  # no path of the machine that wrote it


@pytest.mark.parametrize(
    "unet,conditioning",
    [
        (UNetConfig(3, 16, 10, (16, 32), 1, (1,), cond_dim=32), "adaln_zero"),
        (UNet2DConfig(3, 16, 10, (16, 32), 1, (1,), groups=8, head_dim=16), "cross_attention"),
    ],
)
def test_other_networks_and_conditionings(tmp_path, unet, conditioning):
    loaded = made(tmp_path, unet, conditioning=conditioning)
    entry = export_onnx(loaded, tmp_path / "out", "mine", raw=True)
    assert_same(loaded.ema, tmp_path / "out" / "mine-ema.onnx")
    assert entry["pairs"] == [["3", "8"], ["1", "7"], ["4", "9"], ["0", "6"]] and "classifier" not in entry["files"]


def test_a_folder_keeps_its_other_models_and_replaces_one_of_the_same_name(tmp_path):
    small = made(tmp_path, UNetConfig(1, 8, 10, (8, 8), 1, num_heads=2, cond_dim=16))
    colour = replace(small, preset=replace(small.preset, data="cifar10"))
    for loaded, name in ((small, "b"), (colour, "a"), (small, "b")):
        export_onnx(loaded, tmp_path / "out", name)
    models = json.loads((tmp_path / "out/manifest.json").read_text())["models"]
    assert sorted(m["name"] for m in models) == ["a", "b"]
    a = next(m for m in models if m["name"] == "a")
    assert a["classes"] == list(CIFAR10)
    assert a["pairs"] == [["cat", "dog"], ["airplane", "ship"], ["automobile", "truck"], ["bird", "airplane"]]


def test_what_cannot_be_exported_is_said_in_a_sentence(tmp_path, monkeypatch):
    small = made(tmp_path, UNetConfig(1, 8, 3, (8, 8), 1, num_heads=2, cond_dim=16))
    unconditional = made(tmp_path, UNetConfig(1, 8, 0, (8, 8), 1, num_heads=2, cond_dim=16), conditioning="none")
    with pytest.raises(OnnxError, match="no classes"):
        export_onnx(unconditional, tmp_path / "out", "mine")
    with pytest.raises(OnnxError, match="cannot be part of a URL"):
        export_onnx(small, tmp_path / "out", "../mine")
    with pytest.raises(CheckpointError, match="averaged weights alone"):
        export_onnx(replace(small, raw_or_none=None), tmp_path / "out", "mine", raw=True)
    assert not (tmp_path / "out").exists()
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(OnnxError, match="not a list of models"):
        export_onnx(small, tmp_path, "mine")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OnnxError, match="pip install onnx"):
        export_onnx(small, tmp_path / "out", "mine")


def test_a_missing_checkpoint_is_no_traceback(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["export-onnx", "--checkpoint", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert "no checkpoint at" in capsys.readouterr().err
