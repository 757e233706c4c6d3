import json
from dataclasses import replace

import pytest
import torch

from ddpm_core.checkpoint import CheckpointError
from ddpm_core.data import digits
from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_tools.evaluation import reference as ref
from ddpm_tools.evaluation.extractor import Extractor
from ddpm_tools.evaluation.features import network

PIXELS = Extractor("pixels", "1", 64, (0.0, 1.0), lambda x: x.float().flatten(1) / 255)


def test_shipped_statistics_are_those_of_the_data():
    data, net = digits("train"), network("digits")
    shipped = ref.find_reference(ref.describe(data, net))
    assert shipped is not None and shipped.config.n == 1437
    made = ref.make_reference(data, net, digits("heldout"))
    assert frechet_distance(made.moments, shipped.moments) < 1e-3  # other machines round differently
    assert torch.equal(made.labels, shipped.labels) and made.copy_limit == pytest.approx(shipped.copy_limit)
    torch.testing.assert_close(made.features, shipped.features, rtol=1e-3, atol=1e-3)
    assert frechet_distance(Moments.of(net.features(data.images)), shipped.moments) < 1e-3
    for file in ref.SHIPPED.glob("*.safetensors"):
        assert json.loads(file.with_suffix(".json").read_text())["provenance"]["command"].startswith(
            "ddpm reference --data "
        )


def test_the_emoji_that_ship_have_statistics_too():
    from ddpm_tools.datasets import load_data

    found = ref.find_reference(ref.describe(load_data("emoji", "train"), network("efficientnet-lite0-320")))
    assert found is not None and found.moments.cov.shape == (320, 320) and 0 < found.copy_limit < 1


def test_user_data_are_looked_at_once_and_again_when_they_change(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(ref, "make_reference", lambda *a, make=ref.make_reference: made.append(1) or make(*a))
    data = replace(digits("train"), name="mine")
    first = ref.reference_for(data, PIXELS, None, cache=tmp_path)
    again = ref.reference_for(data, PIXELS, None, cache=tmp_path)
    assert len(made) == 1 and torch.equal(first.moments.cov, again.moments.cov) and again.config == first.config
    touched = data.images.clone()
    touched[5, 0, 0, 0] += 1
    ref.reference_for(replace(data, images=touched), PIXELS, None, cache=tmp_path)
    assert len(made) == 2
    swapped = replace(data, labels=data.labels.flip(0))
    ref.reference_for(swapped, PIXELS, None, cache=tmp_path)
    assert len(made) == 3
    ref.reference_for(data, replace(PIXELS, version="2"), None, cache=tmp_path)
    assert len(made) == 4
    next(tmp_path.glob("*.safetensors")).write_bytes(b"damaged")
    for d in (data, swapped):
        ref.reference_for(d, PIXELS, None, cache=tmp_path)
    assert len(made) <= 5  # a damaged file is made anew, never believed


def test_a_file_of_another_kind_is_refused(tmp_path):
    from ddpm_tools.evaluation.features import COURSE

    with pytest.raises(CheckpointError, match="does not hold reference statistics"):
        ref.load_reference(COURSE / "digits")
