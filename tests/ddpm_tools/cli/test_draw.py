"""`ddpm sample`, `sweep` and `interpolate`: options reach the sampler, and wrong ones are refused in a sentence."""

import json
import shutil

import pytest
import torch
from PIL import Image

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.samplers import SampleConfig
from ddpm_tools.cli import draw
from ddpm_tools.cli.main import main, parser

SHIPPED = DATA_DIR / "checkpoints/digits"
FAST = ["--sampler", "dpm++", "--spacing", "log-snr", "--interval", "200", "800", "--batch-size", "3", "--steps", "2"]


@pytest.mark.parametrize("command", [["sample"], ["sweep"], ["interpolate", "--pair", "1", "2"]])
def test_options_make_the_config_they_say(command):
    assert draw.config_of(parser().parse_args(command)) == SampleConfig()
    a = parser().parse_args([*command, *FAST, "--rescale", "0.5", "--no-clip"])
    wanted = SampleConfig(sampler="dpm++", spacing="log-snr", interval=(200, 800), rescale=0.5, batch_size=3)
    loaded = checkpoint.load(SHIPPED)
    assert draw.config_of(a) == wanted and draw.changes_of(a, loaded) == {"clip": False}
    assert draw.changes_of(parser().parse_args(command), loaded) == {"clip": True}
    assert draw.config_of(parser().parse_args([*command, "--eta", "0.3", "--lam", "0.6"])) == SampleConfig(
        eta=0.3, lam=0.6
    )


def seen_by_the_network(monkeypatch, *argv):
    """The sizes of the batches that a command gives to its network."""
    sizes, load = [], checkpoint.load

    def spied(path, device="cpu"):
        loaded = load(path, device)
        for net in (loaded.ema, loaded.raw):
            net.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
        return loaded

    monkeypatch.setattr(checkpoint, "load", spied)
    main([str(a) for a in argv])
    return sizes


def test_the_batch_size_bounds_what_the_network_sees(monkeypatch, tmp_path):
    sizes = seen_by_the_network(
        monkeypatch, "sample", "--classes", "3", "8", "--n", 2, "--out", tmp_path / "s.png", "--w", 2, "--steps", 2,
        "--batch-size", 3,
    )  # fmt: skip
    assert sizes == [6, 6, 2, 2]


def test_a_trajectory_s_picture(monkeypatch, tmp_path, capsys):
    grids = []
    grid = draw.plots.grid
    monkeypatch.setattr(draw.plots, "grid", lambda images, *a, **k: grids.append((images, a)) or grid(images, *a, **k))
    main(
        [
            "sample",
            "--classes",
            "3",
            "8",
            "--n",
            "2",
            "--out",
            str(tmp_path / "s.png"),
            "--trajectory",
            "3",
            "--steps",
            "5",
        ]
    )
    assert capsys.readouterr().out.split() == [str(tmp_path / "s.png"), str(tmp_path / "s_trajectory.png")]
    assert Image.open(tmp_path / "s_trajectory.png").size[0] > 100
    (images, _), (way, about) = grids
    assert about[0] == 3 and about[1] == ["3, xt", "3, x0_hat", "8, xt", "8, x0_hat"]
    assert about[2] == ["t = 999", "t = 599", "t = 199"] and len(way) == 12
    torch.testing.assert_close(way[[5, 11]], images[[0, 2]], rtol=1e-3, atol=1e-3)  # it ends at the grid's own images
    assert way[0].std() > 0.8 and way[6].std() > 0.8  # and begins in noise


def test_a_sweep_records_how_it_sampled(tmp_path):
    main(["sweep", "--w", "2", "--n", "20", "--out", str(tmp_path), *FAST])
    (record,) = json.loads((tmp_path / "sweep.json").read_text())
    assert record["sampling"]["sampler"] == "dpm++" and record["sampling"]["interval"] == [200, 800]


@pytest.mark.parametrize("vary", ["noise", "both"])
def test_a_walk_between_noises(vary, tmp_path):
    main(["interpolate", "--pair", "1", "7", "--n", "3", "--vary", vary, "--out", str(tmp_path), *FAST])
    assert Image.open(tmp_path / "interpolate_1_7.gif").n_frames == 4


def sentence(capsys, *argv):
    with pytest.raises(SystemExit) as e:
        main([str(a) for a in argv])
    err = capsys.readouterr().err.strip()
    assert e.value.code == 2 and "Traceback" not in err
    return err.splitlines()[-1]


def test_errors_are_one_sentence(capsys, tmp_path):
    out = ["--out", tmp_path / "a.png"]
    assert "lower end comes first" in sentence(capsys, "sample", "--interval", 800, 200, *out)
    assert "eta must lie between 0 and 1, got 3" in sentence(capsys, "sample", "--eta", 3, *out)
    assert "eta is an option of the sampler ddim" in sentence(capsys, "sample", "--eta", 1, "--sampler", "ddpm", *out)
    assert "unknown value 'euler' (known: ddim, ddpm, dpm++)" in sentence(capsys, "sample", "--sampler", "euler", *out)
    assert "must be at least 1" in sentence(capsys, "sample", "--batch-size", 0, *out)
    assert "does not use; omit --lam" in sentence(capsys, "sweep", "--lam", 0.5, "--out", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["evaluate", "--seeds", 0, 1, 0], "--seeds names 0 more than once; give each value once"),
        (["sweep", "--w", 1, 2, "1.0"], "--w names 1.0 more than once"),
        (["sample", "--n", 10**12], "must be at most 600, as many as fit into one picture"),
        (["interpolate", "--pair", 1, 2, "--n", 601], "must be at most 600"),
        (["sweep", "--n", 10**12], "--n 1000000000000 images need 5.12e+05 GB, and"),
        (["evaluate", "--n", 10**12], "of memory is free; draw fewer"),
        (["sample", "--n", "1.5"], "must be a whole number of at least 1, got '1.5'"),
        (["sample", "--w", "nan"], "must be a number, got 'nan'"),
        (["train", "--lr", "fast"], "must be a number, got 'fast'"),
        (["sample", "--device", "cpu:x"], "unknown device 'cpu:x'; a number may follow the kind"),
        (["classifier", "--device", "cuda"], "unknown option --device"),  # it knows the CPU alone
        (["reference", "--size", 99999999], "the image size must be at most 4096 pixels, got 99999999"),
        (["reference", "--data", SHIPPED.parents[1], "--size", 99999999], "at most 4096 pixels"),
        (["sample", "--checkpoint", SHIPPED.parent], "checkpoints is a folder; name a checkpoint in it, such as"),
        (["sweep", "--classifier", SHIPPED], "is not a classifier; train one with `ddpm classifier`"),
        (["evaluate", "--n", 20, "--classifier", SHIPPED], "is not a classifier; train one with `ddpm classifier`"),
    ],
)
def test_numbers_and_models_that_make_no_sense(argv, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in sentence(capsys, *argv)
    assert not list(tmp_path.iterdir())


def test_autoguidance_by_a_snapshot(monkeypatch, tmp_path, capsys):
    """A snapshot of the same run is asked as often as the model; one of another kind is refused."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(checkpoint.with_suffix(SHIPPED, suffix), checkpoint.with_suffix(tmp_path / "weak", suffix))
    argv = ["sample", "--classes", "3", "--n", 2, "--steps", 2, "--w", 2, "--out", tmp_path / "a.png"]
    assert seen_by_the_network(monkeypatch, *argv, "--weak", tmp_path / "weak") == [2] * 4
    tensors, record = checkpoint.read(SHIPPED)
    checkpoint.write(tmp_path / "other", tensors, {**record["config"], "schedule": "linear"})
    said = sentence(capsys, *argv, "--weak", tmp_path / "other")
    assert "has other schedule than" in said and "a snapshot of the same run" in said


def test_a_walk_is_linear_at_w_2_unless_told_otherwise():
    given = parser().parse_args(["interpolate", "--pair", "3", "8"])
    assert (given.w, given.mode) == (2.0, "linear")  # measured: scripts/lesson_5_3_records.py walks
