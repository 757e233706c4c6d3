"""lessons/one_file.py computes what the library computes, on its own, and is short enough to hold in the head.

python tests/test_one_file.py SEED ...   # the library's distances at these seeds, about a minute each
"""

import ast
import functools
import importlib.util
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import t as student

from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR, preset
from ddpm_core.samplers import initial_noise, sample
from ddpm_core.training import TrainState, train
from ddpm_core.unet import build_unet
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import score

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "lessons/one_file.py"
STEPS = 40  # of a run that is compared bit for bit, from its warm-up to the end of its decay
SHORT = 150  # of one whose pictures are measured; the file's own takes four times as many
N, SAMPLING_STEPS, SCALES = 500, 20, (1.0, 2.0)  # as `ddpm sweep` draws and scores them
# Fréchet distances of the library's own runs at other seeds than the file's, at each of SCALES: `main` below makes them
LIBRARY = {1: (4.609, 3.515), 2: (4.778, 3.849), 3: (5.065, 2.967), 4: (4.560, 3.207), 5: (3.814, 3.710)}


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("one_file", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["one_file"] = module  # where its dataclass looks for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def one_file() -> ModuleType:
    return load()


def library_run(seed: int, steps: int) -> tuple[list[float], TrainState]:
    """The losses and the state of the digits preset, trained by the library in so many steps."""
    config = preset("digits")
    warmup = min(config.train.warmup, steps // 10)  # a short run cannot spend all its steps on it
    config = replace(config, train=replace(config.train, seed=seed, steps=steps, warmup=warmup))
    diffusion = config.diffusion(build_unet(config.unet, strategy(config.conditioning), seed))
    state = TrainState.start(diffusion, config.train)
    steps_taken = train(state, load_data(config.data), config.train)
    return [step.loss.item() for step in steps_taken], state


def distance(images: torch.Tensor, y: torch.Tensor, w: float, seed: int) -> float:
    """As `ddpm sweep` has it: from all real digits, in the features of the shipped classifier."""
    about = Provenance("digits classifier", len(y), "digits/all", seed, SAMPLING_STEPS, w, "ema")
    judge = load_classifier(DATA_DIR / "classifiers/digits")
    return score(images, y, load_data("digits", "all"), judge, about, repeats=2).distance.value


def test_it_fits_in_the_head_and_stands_alone():
    source = FILE.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 200
    nodes = list(ast.walk(ast.parse(source)))
    names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    names += [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
    assert {n.split(".")[0] for n in names} <= {*sys.stdlib_module_names, "torch", "sklearn", "matplotlib", "tqdm"}


def test_losses_average_and_samples_are_the_librarys_bit_for_bit(one_file: ModuleType):
    usual = preset("digits").train
    assert (usual.steps, usual.warmup) == (one_file.Config.steps, 50)
    theirs, state = library_run(0, STEPS)
    config = one_file.Config(steps=STEPS)
    run = list(one_file.train(config))
    assert [loss for loss, _ in run] == theirs
    ema = run[-1][1]
    pairs = list(zip(ema.parameters(), state.ema.module.parameters(), strict=True))
    assert all(torch.equal(mine, lib) for mine, lib in pairs)
    y = torch.arange(20) % 10
    for w in (0.0, 1.0, 2.0, 4.0):
        mine = one_file.sample(ema, initial_noise(range(20), (1, 8, 8)), y, w, config)
        lib = sample(state.averaged, y, w, config.sample_steps)
        if w in (0, 1):  # for which the library leaves out half of the batch
            torch.testing.assert_close(mine, lib, rtol=0, atol=1e-4)
        else:
            assert torch.equal(mine, lib)


@pytest.mark.timeout(900)
def test_a_short_run_is_as_good_as_the_library_s_and_the_whole_takes_five_minutes(one_file: ModuleType):
    """One more run lies within the prediction interval of the library's runs (Student's t, 99 %)."""
    began, config = time.process_time(), one_file.Config(steps=SHORT)
    *_, (_, ema) = one_file.train(config)
    seconds = time.process_time() - began  # on one thread: what other programs take does not count
    y = torch.arange(N) % config.K
    for i, w in enumerate(SCALES):
        images = one_file.sample(ema, initial_noise(range(N), (1, 8, 8)), y, w, config)
        runs = np.array([found[i] for found in LIBRARY.values()])
        n, mean = len(runs), runs.mean()
        half = student.ppf(0.995, n - 1) * runs.std(ddof=1) * (1 + 1 / n) ** 0.5
        assert abs(distance(images, y, w, config.seed) - mean) < half, f"w = {w:g}: {mean:.3f} ± {half:.3f}"
    assert seconds * one_file.Config.steps / SHORT < 300


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """The file as a command, with these words, in an empty folder."""

    def call(words: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(FILE), *words.split()])
        runpy.run_path(str(FILE), run_name="__main__")

    return call


def test_it_ends_with_a_picture(called: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture):
    called("--steps 3 --seed 5 --out new/folder/digits.png")
    said = capsys.readouterr()
    assert said.out == "new/folder/digits.png\n" and "3/3" in said.err
    assert np.asarray(Image.open(tmp_path / "new/folder/digits.png").convert("L")).std() > 10


def test_the_picture_has_a_row_for_each_class(one_file: ModuleType):
    calls = []

    def net(xt: torch.Tensor, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        calls.append((xt, y))
        return torch.zeros_like(xt)

    axes = one_file.picture(net, one_file.Config(sample_steps=1), columns=3).axes[0]
    (xt, y), steps = calls[0], len(calls)
    assert steps == 1 and y[30:].tolist() == [k for k in range(10) for _ in range(3)] and (y[:30] == 10).all()
    assert torch.equal(xt[:3], xt[27:30]) and not torch.equal(xt[0], xt[1])  # a column is one noise
    assert [label.get_text() for label in axes.get_yticklabels()] == list("0123456789")
    assert axes.get_title() and axes.get_xlabel() and axes.get_ylabel() == "class asked for"
    drawn = axes.get_images()[0].get_array()
    assert drawn.shape == (100, 30)
    one = one_file.sample(net, xt[23:24], y[53:54], 2.0, one_file.Config(sample_steps=1))  # a 7
    assert np.allclose(drawn[71:79, 21:29], one[0, 0])


@pytest.mark.parametrize("words", ["--steps 0", "--seed -1", "--out digits.xyz", "--out file/a.png"])
def test_bad_input_ends_in_one_sentence(
    words: str, called: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as end:
        called(words)
    said = capsys.readouterr().err.splitlines()[-1] if end.value.code == 2 else end.value.code
    assert ("File exists: 'file'" if "file/" in words else words.split()[0]) in said


def test_ctrl_c_ends_in_one_line(tmp_path: Path):
    words = [sys.executable, str(FILE), "--out", "a.png"]
    # a background job of a shell ignores Ctrl-C, and its children inherit that
    restore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, preexec_fn=restore)
    seen = b""
    while b"1/600" not in seen:  # the bar moves: it trains
        seen += (some := child.stderr.read1())
        assert some, seen
    child.send_signal(signal.SIGINT)
    rest = child.communicate(timeout=200)[1].decode()
    assert child.returncode == 1 and rest.splitlines()[-1] == "stopped, and no picture was written: Ctrl-C"
    assert "Traceback" not in rest and not (tmp_path / "a.png").exists()


def main() -> None:
    torch.set_num_threads(1)
    for seed in map(int, sys.argv[1:]):
        _, state = library_run(seed, SHORT)
        y = torch.arange(N) % 10
        images = (sample(state.averaged, y, w, SAMPLING_STEPS, seed) for w in SCALES)
        print(seed, *(f"{distance(x, y, w, seed):.3f}" for w, x in zip(SCALES, images)), flush=True)


if __name__ == "__main__":
    main()
