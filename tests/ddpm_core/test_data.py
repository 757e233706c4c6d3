import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ddpm_core.data import digits, load_data, to_uint8

SHARED = Path(__file__).resolve().parents[3] / "shared/data/cifar10-test-jpeg.zip"


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


def make_zip(path, sizes=((4, 4), (4, 4), (4, 4)), damage=None, meta=None):
    files = [f"{i}.png" for i in range(len(sizes))]
    with zipfile.ZipFile(path, "w") as z:
        for i, (name, size) in enumerate(zip(files, sizes)):
            buffer = io.BytesIO()
            Image.fromarray(np.full((*size, 3), i, np.uint8)).save(buffer, "png")
            z.writestr(name, b"broken" if name == damage else buffer.getvalue())
        z.writestr(
            "dataset.json",
            json.dumps(meta or {"labels": [[f, i % 2] for i, f in enumerate(files)], "classes": ["a", "b"]}),
        )
    return str(path)


def test_dataset_zip(tmp_path):
    data = load_data(make_zip(tmp_path / "x.zip"))
    assert data.images.shape == (3, 3, 4, 4) and data.labels.tolist() == [0, 1, 0] and data.classes == ("a", "b")
    assert data.images[2].unique().tolist() == [2]


BROKEN = [
    ({"damage": "1.png"}, "picture '1.png' cannot be read"),
    ({"sizes": ((4, 4), (5, 4))}, "differ in size"),
    ({"meta": {"no": 1}}, "not a data set zip"),
]


@pytest.mark.parametrize("change,says", BROKEN)
def test_broken_zips_are_named(tmp_path, change, says):
    with pytest.raises(ValueError, match=says):
        load_data(make_zip(tmp_path / "x.zip", **change))


def test_unknown_data_set():
    with pytest.raises(ValueError, match="unknown data set 'mnist'; known: digits"):
        load_data("mnist")


@pytest.mark.parametrize("_", [0] if SHARED.exists() else [])
def test_cifar10_as_jpeg_where_it_is_present(_):
    data = load_data(str(SHARED), "heldout")
    assert data.images.shape == (10_000, 3, 32, 32) and len(data.classes) == 10
    assert torch.bincount(data.labels).tolist() == [1000] * 10
