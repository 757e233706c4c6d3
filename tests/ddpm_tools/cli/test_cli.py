import functools
import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_tools.cli.main import main, parser
from ddpm_tools.cli.train import config_of
from tests.ddpm_tools.train.standing import SIGN

SHIPPED = DATA_DIR / "checkpoints/digits"
COMMANDS = ("train", "shrink", "sample", "sweep", "interpolate", "demo", "classifier")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as e:
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert e.value.code == 0 and f"example: ddpm {command}" in text
    parser().parse_args(text.split("example: ddpm ")[1].split())


def sentence(capsys, *argv):
    with pytest.raises(SystemExit) as e:
        main([str(a) for a in argv])
    err = capsys.readouterr().err.strip()
    assert e.value.code == 2 and "Traceback" not in err
    return err.splitlines()[-1]


def test_errors_are_one_sentence(capsys, tmp_path):
    assert "unknown class '12'; known: 0, 1, 2" in sentence(
        capsys, "sample", "--classes", "12", "--out", tmp_path / "a.png"
    )
    assert "unknown class 'x'; known: 0" in sentence(capsys, "interpolate", "--pair", "1", "x", "--out", tmp_path)
    assert "no checkpoint at" in sentence(capsys, "sample", "--checkpoint", tmp_path / "none")
    assert "unknown preset 'mnist'; known: digits" in sentence(
        capsys, "train", "--preset", "mnist", "--out", tmp_path / "r"
    )
    assert "unknown conditioning 'film'" in sentence(capsys, "train", "--conditioner", "film", "--out", tmp_path / "r")
    assert "between 1 and 1000" in sentence(capsys, "sample", "--steps", 2000, "--out", tmp_path / "a.png")
    assert "at least 20" in sentence(capsys, "sweep", "--n", 5, "--out", tmp_path)
    assert "must be at least 1" in sentence(capsys, "sample", "--n", 0)
    damaged = tmp_path / "damaged"
    for suffix in (".json", ".safetensors"):
        content = checkpoint.with_suffix(SHIPPED, suffix).read_bytes()
        checkpoint.with_suffix(damaged, suffix).write_bytes(content if suffix == ".json" else content[:5000])
    assert "truncated or damaged" in sentence(capsys, "sample", "--checkpoint", damaged)
    assert not list(tmp_path.glob("*.png"))


def test_digits_are_never_mirrored():
    """Nor any other data where the user says so; photographs are, by their preset."""
    for words, flip in (
        (["cifar10"], True),
        (["cifar10", "--data", "digits"], False),
        (["cifar10", "--data", "digits28"], False),
        (["cifar10", "--data", "digits", "--flip"], True),
        (["cifar10", "--no-flip"], False),
        (["digits"], False),
    ):
        assert config_of(parser().parse_args(["train", "--preset", *words])).train.flip is flip
    assert config_of(parser().parse_args(["train", "--preview-every", "7"])).train.preview_every == 7


def test_class_names_travel_with_the_model(tmp_path, capsys):
    for i, name in enumerate(("cat", "dog") * 10):
        (tmp_path / f"pets/{name}").mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 12 * i).save(tmp_path / f"pets/{name}/{i}.png")
    main(["train", "--data", str(tmp_path / "pets"), "--steps", "1", "--no-log", "--out", str(tmp_path / "run")])
    (tmp_path / "pets").rename(tmp_path / "gone")
    shared = ["--checkpoint", str(tmp_path / "run"), "--steps", "2"]
    main(["interpolate", *shared, "--pair", "cat", "dog", "--n", "3", "--out", str(tmp_path / "walk")])
    assert (tmp_path / "walk/interpolate_cat_dog.png").is_file()
    assert "unknown class '3'; known: cat, dog" in sentence(capsys, "sample", *shared, "--classes", "3")
    late = ("--pair", "cat", "dog", "--pair", "cat", "cow", "--out", tmp_path / "late")
    assert "unknown class 'cow'" in sentence(capsys, "interpolate", *shared, *late)
    assert not (tmp_path / "late/interpolate_cat_dog.png").exists()  # refused before anything is drawn


def test_the_way_from_training_to_pictures(tmp_path, capsys):
    run = tmp_path / "run"
    main(["train", "--steps", "3", "--seed", "5", "--out", str(run)])
    assert "0 steps instead of 50" in capsys.readouterr().out
    loaded = checkpoint.load(run)
    assert loaded.step == 3 and loaded.preset.train.seed == 5
    shared = ["--checkpoint", str(run), "--steps", "2"]
    main(["sample", *shared, "--classes", "3", "8", "--n", "2", "--out", str(tmp_path / "s.png")])
    main(["sweep", *shared, "--w", "1", "3", "--n", "40", "--out", str(tmp_path / "sweep")])
    main(["interpolate", *shared, "--pair", "0", "6", "--n", "4", "--out", str(tmp_path / "walk")])
    for name in ("s.png", "sweep/sweep.png", "sweep/sweep_plot.png", "walk/interpolate_0_6.png"):
        assert Image.open(tmp_path / name).size[0] > 100
    assert Image.open(tmp_path / "walk/interpolate_0_6.gif").n_frames == 6
    scores = json.loads((tmp_path / "sweep/sweep.json").read_text())
    assert [s["about"]["w"] for s in scores] == [1, 3] and scores[0]["about"]["n"] == 40
    assert set(scores[0]["about"]) == {"extractor", "n", "reference", "seed", "steps", "w", "weights"}


def test_the_shipped_checkpoint_draws_what_it_is_asked_for(rng):
    """It also proves that the checkpoint still fits the code."""
    from ddpm_core.config import PRESETS
    from ddpm_core.metrics.adherence import classify
    from ddpm_tools.drawing import Drawing, draw
    from ddpm_tools.evaluation.plain_classifier import load_classifier

    loaded = checkpoint.load(SHIPPED)
    assert loaded.preset == PRESETS["digits"] and loaded.step == loaded.preset.train.steps
    y = torch.arange(100) % 10
    images = draw(loaded, y, Drawing(w=3.0, steps=20, seed=1))
    assert (classify(load_classifier(DATA_DIR / "judges/digits"), images)[0] == y).double().mean() > 0.95


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path):
    def words(out):
        return ["train", "--batch-size", "16", "--steps", "8", "--no-log", "--out", str(tmp_path / out)]

    code = "from ddpm_tools.cli.main import main; from tests.ddpm_tools.train.standing import stand_still; "
    command = [sys.executable, "-c", f"{code}stand_still(after=3); main()", *words("b")]
    # a background job of a shell ignores Ctrl-C, and its children inherit that
    restore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # as here: another number of threads sums in another order
    stopped = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=restore)
    while (line := stopped.stderr.readline()) and SIGN not in line:
        pass
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=120)
    assert stopped.returncode == 130 and "the same command goes on" in err and "Traceback" not in err
    assert int(checkpoint.read(tmp_path / "b")[0]["step"][0]) == 3
    main(words("a"))
    main(words("b"))
    a, b = (checkpoint.read(tmp_path / x)[0] for x in "ab")
    assert all(torch.equal(a[k], b[k]) for k in a) and set(a) == set(b)


def test_ctrl_c_among_the_imports_is_one_line():
    code = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "ddpm_tools.cli.draw":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from ddpm_tools.cli.main import main
main(["sample"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130 and done.stderr.strip() == "ddpm: interrupted"
