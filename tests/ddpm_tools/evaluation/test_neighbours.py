import pytest
import torch

from ddpm_core.data import ImageData, digits
from ddpm_tools.evaluation.neighbours import copy_limit, nearest


def test_nearest_by_brute_force_and_over_chunks(rng):
    x = torch.randint(256, (30, 3, 4, 4), generator=rng).byte()
    train = torch.randint(256, (50, 3, 4, 4), generator=rng).byte()
    found = nearest(x, train, chunk=7)
    d = ((x[:, None].double() - train.double()) / 127.5).square().mean((2, 3, 4)).sqrt()  # (30, 50)
    assert torch.equal(found.index, d.argmin(1))
    torch.testing.assert_close(found.distance.double(), d.amin(1), rtol=1e-5, atol=0)


def test_a_copy_is_at_distance_zero_and_one_grey_level_is_not():
    train = digits("train").images[:200]
    x = train[:3].clone()
    x[1, 0, 4, 4] += 1
    found = nearest(x, train)
    assert found.index.tolist() == [0, 1, 2]
    assert found.distance[0] == 0 and found.distance[1] == pytest.approx((1 / 127.5) / 8, rel=1e-3)


def test_about_one_in_twenty_unseen_images_is_below_the_limit():
    train, heldout = digits("train"), digits("heldout")
    half = ImageData("h", "heldout", heldout.images[:180], heldout.labels[:180], heldout.classes)
    limit = copy_limit(train, half)
    unseen = nearest(heldout.images[180:], train.images).copies(limit).mean()
    assert 0 < unseen < 0.12
    assert nearest(train.images[:100], train.images).copies(limit).mean() == 1  # remembered ones
    alone = copy_limit(train)  # no held-out part: a tenth of the training images stands in
    assert alone == pytest.approx(limit, rel=0.25)
