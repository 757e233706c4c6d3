"""Walks between two classes: one batch draws what one walk after another would; and lesson 5.3's records hold."""

import json
from math import sqrt
from statistics import mean, stdev

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.interpolation import PATHS, InterpolationConfig, interpolate_classes
from ddpm_core.samplers import SampleConfig, initial_noise
from ddpm_tools.datasets.vision import CIFAR10_CLASSES
from ddpm_tools.drawing import between
from scripts.lesson_5_3_records import grain

RECORDS = DATA_DIR / "checkpoints/lesson_5_3"


@pytest.mark.parametrize("path", PATHS)
def test_a_batch_of_walks_is_the_walks_one_by_one(path):
    diffusion = checkpoint.load(DATA_DIR / "checkpoints/digits").diffusion()
    rngs = [torch.Generator().manual_seed(k) for k in range(2)]
    noises = torch.cat([torch.randn((1, 1, 8, 8), generator=torch.Generator().manual_seed(k)) for k in range(2)])
    how = InterpolationConfig(mode=path, steps=4)
    together = between(diffusion, (3, 8), torch.linspace(0, 1, 3), noises, 2.0, how)
    alone = torch.cat([interpolate_classes(diffusion, 3, 8, 3, 2.0, rng, how) for rng in rngs])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    assert (together[:3] - together[3:]).abs().max() > 0.1  # each walk has a noise of its own


def test_grain_is_that_of_a_checkerboard():
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(1, 3, 4, 4)  # (1, 3, 8, 8)
    blocks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert grain(torch.cat([board, 0.5 * board])) == [1.0, 0.5]
    assert grain(blocks.repeat(1, 3, 2, 2)) == [0.0]  # edges between blocks are no grain


def test_the_grain_on_record_is_that_of_the_shipped_network():
    record = json.loads((RECORDS / "walks.json").read_text(encoding="utf-8"))
    assert record["checkpoint"] == checkpoint.file_digest(DATA_DIR / "checkpoints/cifar10")
    diffusion = checkpoint.load(DATA_DIR / "checkpoints/cifar10").diffusion()
    noises = initial_noise(range(2), diffusion.shape, record["seed"])
    ends, middle = [CIFAR10_CLASSES.index(name) for name in ("cat", "dog")], torch.tensor([0.5])
    for path in PATHS:
        (row,) = [r for r in record["rows"] if (r["pair"][0], r["w"], r["path"], r["alpha"]) == ("cat", 3, path, 0.5)]
        how = InterpolationConfig(mode=path, steps=record["steps"], sampling=SampleConfig(record["sampler"]))
        images = between(diffusion, ends, middle, noises, 3.0, how)
        assert grain(images) == pytest.approx(row["grain"][:2], abs=2e-3)


def test_the_paired_reruns_add_up():
    record = json.loads((RECORDS / "reruns.json").read_text(encoding="utf-8"))
    assert len(record["seeds"]) == len(set(record["seeds"])) >= 8
    for d in record["differences"].values():
        each = [a - b for a, b in d["pairs"]]
        assert d["mean"] == pytest.approx(mean(each))
        assert d["t"] == pytest.approx(mean(each) / (stdev(each) / sqrt(len(each))))
