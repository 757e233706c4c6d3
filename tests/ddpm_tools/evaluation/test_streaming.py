import subprocess
import sys

import pytest
import torch

from ddpm_core.metrics.distances import Moments
from ddpm_tools.evaluation.extractor import Extractor
from ddpm_tools.evaluation.streaming import Reservoir, Running, extract_features

PIXELS = Extractor("pixels", "1", 4, (0.0, 1.0), lambda x: x.float().flatten(1) / 255)


def test_a_reservoir_is_a_uniform_sample_in_order():
    counts = torch.zeros(40)
    for seed in range(400):
        r = Reservoir(8, seed)
        for chunk in torch.arange(40).split(7):
            r.add(value=chunk)
        kept = r.rows["value"]
        assert len(kept) == 8 and torch.equal(kept, r.rows["index"]) and (kept.diff() > 0).all()
        counts[kept] += 1
    expected = 400 * 8 / 40
    chi2 = ((counts - expected) ** 2 / expected).sum() / (1 - 8 / 40)
    assert chi2 < 72  # 0.1 % quantile of 39 degrees of freedom


def test_a_kept_row_is_not_copied_for_each_chunk(monkeypatch):
    copied, real = [], torch.cat
    monkeypatch.setattr(torch, "cat", lambda parts: copied.append(sum(map(len, parts))) or real(parts))
    r = Reservoir(500)
    for chunk in torch.arange(10_000).split(10):
        r.add(value=chunk)
    assert len(r.rows["value"]) == 500
    assert sum(copied) < 3 * 3 * 10_000  # three columns; copied with each chunk, it would be 25 times as many


def test_one_pass_sees_everything_and_keeps_what_belongs_together(rng):
    images = torch.randint(256, (950, 1, 2, 2), generator=rng).byte()
    seen = extract_features(images.split(100), PIXELS, keep=60)
    whole = Moments.of(PIXELS.features(images))
    torch.testing.assert_close(seen.moments.cov, whole.cov, rtol=1e-9, atol=1e-12)
    assert seen.n == 950 and len(seen.features) == 60
    assert torch.equal(seen.images, images[seen.index])
    assert torch.equal(seen.features, PIXELS.features(images[seen.index]))
    assert extract_features(images.split(33), PIXELS).content == seen.content  # whatever the chunks
    assert torch.equal(
        extract_features(images.split(100), PIXELS).index, torch.arange(950)
    )  # all of them, where they fit
    with pytest.raises(ValueError, match="no images"):
        extract_features([], PIXELS)


SCRIPT = """
import os, re, sys, torch
from pathlib import Path
from ddpm_tools.evaluation.extractor import Extractor
from ddpm_tools.evaluation.streaming import extract_features
torch.set_num_threads(1)
net = Extractor("pixels", "1", 16, (0.0, 1.0), lambda x: x.float().flatten(1) / 255, batch=5000)
for n in map(int, sys.argv[1:]):
    if os.fork():  # each count in a process of its own, which need not import torch anew
        assert os.wait()[1] == 0
        continue
    rng = torch.Generator().manual_seed(0)
    chunks = (torch.randint(256, (5000, 1, 4, 4), generator=rng, dtype=torch.uint8) for _ in range(n // 5000))
    assert extract_features(chunks, net, keep=5000).n == n
    peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # of this process alone
    print(peak, flush=True)
    os._exit(0)
"""


def test_a_million_images_need_no_more_memory_than_some_thousands():
    """A million of them in memory would be 16 MB of pixels and 64 MB of features more."""
    words = [sys.executable, "-c", SCRIPT, "20000", "1000000"]
    few, many = map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert many - few < 12_000  # KiB: the allocator's own noise


def test_running_moments_equal_those_of_the_whole(rng):
    x = torch.randn(1000, 5, generator=rng).double() + 1e7  # sums of squares would lose every digit
    running = Running(5)
    for chunk in x.split([1, 300, 17, 682]):
        running.add(chunk)
    whole = Moments.of(x)
    torch.testing.assert_close(running.moments().cov, whole.cov, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(running.moments().mean, whole.mean, rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="feature 0 of image 1000 is not finite"):
        running.add(torch.full((1, 5), float("inf")))
    with pytest.raises(ValueError, match="at least two"):
        Running(3).moments()
