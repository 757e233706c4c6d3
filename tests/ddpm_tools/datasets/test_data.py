import hashlib
import json
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from ddpm_core.data import digits, to_uint8
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.load import EMOJI
from ddpm_tools.datasets.splits import SPLITS

SHARED = Path(__file__).resolve().parents[4] / "shared/data/cifar10-test-jpeg.zip"


def test_digits_are_the_real_ones_split_without_overlap():
    train, heldout, everything = digits("train"), digits("heldout"), digits("all")
    assert (len(train), len(heldout), len(everything)) == (1437, 360, 1797)
    torch.testing.assert_close(
        everything.floats()[:, 0].double(), torch.tensor(load_digits().images) / 8 - 1, atol=0.005, rtol=0
    )
    both = torch.cat([train.images, heldout.images]).flatten(1)
    assert torch.equal(both.sort(0).values, everything.images.flatten(1).sort(0).values)
    assert min(torch.bincount(heldout.labels)) >= 34


def test_uint8_and_floats_invert():
    data = digits()
    assert torch.equal(to_uint8(data.floats()), data.images)
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


def test_every_set_can_be_resized_and_recoloured():
    data = digits("train")
    assert load_data("digits", size=8, channels=1) is data  # nothing to do, nothing copied
    larger = load_data("digits", size=16, channels=3)
    assert larger.images.shape == (1437, 3, 16, 16) and torch.equal(larger.labels, data.labels)
    assert torch.equal(larger.images[:, 0], larger.images[:, 1])
    back = torch.nn.functional.avg_pool2d(larger.floats()[:, :1], 2)  # enlarged, each pixel is about its four
    assert (back - data.floats()).abs().mean() < 0.1


def test_emoji_ship_with_captions():
    train, heldout, everything = (load_data("emoji", s) for s in SPLITS)
    assert (len(train), len(heldout), len(everything)) == (1719, 192, 1911)
    assert everything.images.shape == (1911, 3, 32, 32) and len(everything.captions) == 1911
    assert len(everything.classes) == 10 and torch.bincount(everything.labels).tolist()[3] == 270  # flags
    assert sorted(train.captions + heldout.captions) == sorted(everything.captions)
    i = everything.captions.index("tiger, animal mammal")
    assert everything.classes[everything.labels[i]] == "Animals & Nature"
    r, g, b = everything.images[everything.captions.index("large red square, geometric")].float().mean((1, 2))
    assert r > 200 and r > 2 * g and r > 2 * b  # captions belong to their pictures
    corners = everything.images[..., [0, 0, -1, -1], [0, -1, 0, -1]]  # (N, 3, 4)
    assert (corners == 255).all(1).float().mean() > 0.6  # on white


def test_emoji_are_what_their_record_says():
    record = json.loads((EMOJI.parent / "emoji.json").read_text())
    assert record["sha256"] == hashlib.sha256(EMOJI.read_bytes()).hexdigest() and record["pictures"] == 1911
    assert "Apache License" in (EMOJI.parent / "emoji-LICENSE.txt").read_text()
    assert EMOJI.stat().st_size < 3e6


@pytest.mark.parametrize("_", [0] if SHARED.exists() else [])
def test_cifar10_as_jpeg_where_it_is_present(_, tmp_path):
    data = load_data(str(SHARED), "all", tmp_path)
    assert data.images.shape == (10_000, 3, 32, 32) and len(data.classes) == 10
    assert torch.bincount(data.labels).tolist() == [1000] * 10
    heldout = load_data(str(SHARED), "heldout", tmp_path)
    assert torch.bincount(heldout.labels).tolist() == [100] * 10
