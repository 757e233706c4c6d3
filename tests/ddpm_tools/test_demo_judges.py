"""What a sweep is measured with, statistics where images are missing, and how its grids are labelled."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_tools import demo, drawing
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.vision import CIFAR10_CLASSES
from ddpm_tools.evaluation import judges, reference
from ddpm_tools.evaluation.judges import load_judge
from ddpm_tools.evaluation.scores import ReferenceStatistics

DIGITS, COLOUR = DATA_DIR / "classifiers/digits", DATA_DIR / "classifiers/cifar10"


@pytest.fixture(scope="module")
def loaded():
    return checkpoint.load(DATA_DIR / "checkpoints/digits")


def test_the_classifier_is_the_one_that_knows_the_classes(loaded):
    assert judges.judge_of(loaded).name == "digits-classifier"
    preset = replace(loaded.preset, data="cifar10", unet=replace(loaded.preset.unet, image_channels=3, image_size=32))
    assert judges.judge_of(replace(loaded, preset=preset)).name == "cifar10-classifier"
    with pytest.raises(ValueError, match="other classes, or another picture size"):
        judges.judge_of(loaded, COLOUR)
    with pytest.raises(ValueError, match="has fashion-mnist's classes"):
        unet = replace(preset.unet, image_channels=1, image_size=28)
        judges.judge_of(replace(loaded, preset=replace(preset, data="fashion-mnist", unet=unet)))
    letters = replace(loaded, record={"provenance": {"classes": list("abcdefghij")}})  # no digits, but as large
    with pytest.raises(ValueError, match="no classifier has"):
        judges.judge_of(letters)
    with pytest.raises(ValueError, match="other classes, or another picture size"):
        judges.judge_of(letters, DIGITS)


def test_class_names_are_the_checkpoint_s_own(loaded):
    """A model of CIFAR-10 kept in a zip of any name still knows a cat, and finds who can tell one."""
    preset = replace(loaded.preset, data="my.zip", unet=replace(loaded.preset.unet, image_channels=3, image_size=32))
    record = {**loaded.record, "provenance": {"classes": list(CIFAR10_CLASSES)}}
    named = replace(loaded, preset=preset, record=record)
    assert judges.classes_of(named) == CIFAR10_CLASSES and judges.judge_of(named).name == "cifar10-classifier"
    assert drawing.known_pairs(CIFAR10_CLASSES) == list(drawing.COLOUR_PAIRS)
    assert (
        drawing.known_pairs(judges.classes_of(loaded)) == list(drawing.PAIRS) and drawing.known_pairs(("x", "y")) == []
    )
    for spoilt in (["cat"], 3, list(range(10))):
        wrong = replace(named, record={"provenance": {"classes": spoilt}})
        assert judges.classes_of(wrong) == tuple("0123456789")


def test_statistics_that_ship_stand_for_the_images(monkeypatch):
    judge = load_judge(DIGITS)
    wanted = ReferenceStatistics.of(load_data("digits"), judge.model)
    monkeypatch.setattr(demo, "TORCHVISION", {"digits-train": None})  # as if it had to be downloaded
    monkeypatch.setattr(demo, "load_data", lambda *a: pytest.fail("went for the images"))
    found = demo.reference_statistics("digits-train", judge)
    torch.testing.assert_close(found.moments.mean, wanted.moments.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.moments.cov, wanted.moments.cov, rtol=1e-3, atol=1e-5)
    assert found.spread == pytest.approx(wanted.spread, rel=1e-3) and "1437 images" in found.name


def test_what_is_at_hand_is_measured_itself():
    judge = load_judge(DIGITS)
    assert demo.reference_statistics("digits", judge).name == "digits/all"


@pytest.mark.parametrize(("columns", "named"), [(10, True), (8, False), (3, False)])
def test_names_and_labels_of_a_grid_lie_within_it_and_do_not_touch(columns, named):
    from ddpm_core import plots
    from ddpm_tools.datasets.vision import CIFAR10_CLASSES

    images = torch.zeros(10 * columns, 3, 32, 32)
    labels = {"row_label": "class asked for", "column_label": "class asked for"}
    fig = plots.grid(images, columns, CIFAR10_CLASSES, CIFAR10_CLASSES if named else (), "every class", **labels)
    fig.draw_without_rendering()
    (ax,) = fig.axes
    boxes = [t.get_window_extent() for t in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    for box in (*boxes, ax.yaxis.label.get_window_extent(), ax.xaxis.label.get_window_extent()):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= fig.bbox.width and box.y1 <= fig.bbox.height
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes[: 10 * named]))


def test_fewer_features_may_be_kept(tmp_path):
    from ddpm_tools.evaluation.features import network

    data, net = load_data("digits"), network("digits-classifier")
    small, whole = reference.make_reference(data, net, keep=100), reference.make_reference(data, net)
    assert len(small.features) == 100 and len(whole.features) == len(data)
    assert torch.equal(small.moments.cov, whole.moments.cov)  # of all images, however many are kept
    assert reference.load_reference(reference.save_reference(tmp_path / "r", small)).config.keep == 100
