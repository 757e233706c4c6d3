"""Every checkpoint of the corpus put to `ddpm import-diffusers`: what was read is what diffusers itself draws with."""

import re

import diffusers
import pytest
import torch

from ddpm_core import checkpoint
from ddpm_tools.cli.main import main
from tests.corpus import models
from tests.corpus.models import CASES, Accepted, Refused, network

diffusers.logging.set_verbosity_error()


def run(capsys, *argv):
    """Exit status, what was printed, and the one line that was complained."""
    try:
        main([str(a) for a in argv])
        status = 0
    except SystemExit as e:
        status = e.code
    out, err = capsys.readouterr()
    return status, out, err


def put(case, folder, capsys):
    folder.mkdir(exist_ok=True)
    named = case.make(folder)
    out = folder.parent / "run"
    return out, run(capsys, "import-diffusers", named or folder, "--out", out, *case.options)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if isinstance(c, Accepted)])
def test_accepted(name, tmp_path, capsys):
    case = CASES[name]
    out, (status, told, err) = put(case, tmp_path / "in", capsys)
    assert status == 0 and err == "" and case.says in told, (told, err)
    model = checkpoint.load(out)
    preset, unet = model.preset, model.preset.unet
    assert (preset.parameterization, unet.num_classes) == (case.parameterization, case.classes)
    abar, product = preset.make_schedule().alphas_cumprod, 1.0
    for i in range(len(abar)):
        product *= 1 - case.betas(i)
        if i in (0, 1, 10, len(abar) // 2, len(abar) - 2, len(abar) - 1):
            assert float(abar[i]) == pytest.approx(product, rel=2e-3, abs=1e-12), i
    assert (model.ema.null_class is not None) == case.null
    assert ("no null class" in told) == (case.classes > 0 and not case.null)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if isinstance(c, Refused)])
def test_refused_in_one_sentence(name, tmp_path, capsys):
    case = CASES[name]
    _, (status, told, err) = put(case, tmp_path / "in", capsys)
    assert status == 2 and told == "" and err.count("\n") == 1 and len(err) < 400, err
    assert re.search(case.says, err), err
    assert not list(tmp_path.glob("run*"))


def output(net, y):
    x, t = torch.linspace(-1, 1, 64 * len(y)).view(-1, 1, 8, 8), torch.full((len(y),), 400)
    with torch.no_grad():
        return net(x, t, class_labels=y).sample if isinstance(net, diffusers.UNet2DModel) else net(x, t, y)


@pytest.mark.parametrize("name", ["10 rows of digits", "one class", "11 rows, said", "averaged", "fp16", "shards"])
def test_every_class_is_the_one_that_was_trained(name, tmp_path, capsys):
    out, _ = put(CASES[name], tmp_path / "in", capsys)
    theirs = network({"one class": 1, "11 rows, said": 11}.get(name, 10)).eval()
    y = torch.arange(theirs.config.num_class_embeds)
    model, loose = checkpoint.load(out), 1e-2 if name == "fp16" else 1e-5
    torch.testing.assert_close(output(model.raw, y), output(theirs, y), rtol=loose, atol=loose)
    if name == "averaged":
        with torch.no_grad():
            for p in theirs.parameters():
                p += 0.5
    torch.testing.assert_close(output(model.ema, y), output(theirs, y), rtol=loose, atol=loose)


def test_ten_classes_without_a_null_class_are_drawn_at_w_1_alone(tmp_path, capsys):
    out, _ = put(CASES["10 rows of digits"], tmp_path / "in", capsys)
    picture = ("--n", 1, "--steps", 2, "--out", tmp_path / "a.png")
    says = "10 classes and no null class, so guidance .* has nothing to compare with; use --w 1"
    for command, *options in (
        ["sample", *picture], ["sample", *picture, "--w", 0], ["sample", *picture, "--w", 1, "--lam", 0.5],
        ["interpolate", "--pair", 3, 8, "--n", 2, "--steps", 2, "--out", tmp_path / "i"],
        ["sweep", "--w", 2, "--n", 20, "--steps", 1, "--out", tmp_path / "s"],
    ):  # fmt: skip
        status, told, err = run(capsys, command, "--checkpoint", out, *options)
        assert status == 2 and told == "" and re.search(says, err.splitlines()[-1]) and "Traceback" not in err, err
    for command, *options in (
        ["sample", *picture, "--w", 1, "--classes", 9],
        ["sample", *picture, "--w", 2, "--weak", out],  # autoguidance compares with another network
        ["interpolate", "--pair", 0, 9, "--n", 2, "--steps", 2, "--w", 1, "--out", tmp_path / "i"],
        ["diagnose", "--n", 10, "--steps", 2, "--out", tmp_path / "d"],
        ["export-diffusers", "--out", tmp_path / "pipe"],
        ["import-diffusers", tmp_path / "pipe", "--out", tmp_path / "back"],
    ):
        own = () if command == "import-diffusers" else ("--checkpoint", out)
        status, told, err = run(capsys, command, *own, *options)
        assert status == 0, err
    assert checkpoint.load(tmp_path / "back").preset.unet == checkpoint.load(out).preset.unet
    status, _, err = run(capsys, "export-onnx", "--checkpoint", out, "--out", tmp_path / "onnx")
    assert status == 2 and "no null class" in err


def test_without_classes_nothing_is_asked(tmp_path, capsys):
    out, _ = put(CASES["no classes"], tmp_path / "in", capsys)
    status, _, err = run(capsys, "sample", "--checkpoint", out, "--n", 1, "--steps", 2, "--out", tmp_path / "a.png")
    assert status == 0 and (tmp_path / "a.png").is_file(), err


def test_the_corpus_knows_its_betas():
    """The formulas here against diffusers', so that neither can be wrong alone."""
    for theirs, ours in (
        ({"beta_schedule": "squaredcos_cap_v2"}, models.squaredcos()), ({"beta_schedule": "sigmoid"}, models.sigmoid()),
        ({"beta_schedule": "scaled_linear"}, models.scaled()), ({"rescale_betas_zero_snr": True}, models.zero_snr()),
    ):  # fmt: skip
        betas = diffusers.DDPMScheduler(**theirs).betas.double()
        torch.testing.assert_close(betas, torch.tensor(ours).double(), rtol=2e-3, atol=2e-6)
