import json

import pytest

from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import DATA_DIR
from ddpm_core.data import digits
from ddpm_core.metrics.adherence import classify
from ddpm_tools.evaluation.plain_classifier import load_classifier


@pytest.mark.parametrize("name", ["classifiers/digits", "judges/digits"])
def test_shipped_classifiers_are_as_good_as_they_say(name):
    model, heldout = load_classifier(DATA_DIR / name), digits("heldout")
    accuracy = float((classify(model, heldout.floats())[0] == heldout.labels).double().mean())
    said = json.loads((DATA_DIR / f"{name}.json").read_text())["provenance"]["heldout_accuracy"]
    assert accuracy == pytest.approx(said, abs=0.003) and accuracy > 0.98


def test_the_book_s_loader_refuses_the_residual_kind_in_a_sentence():
    with pytest.raises(CheckpointError, match="not a classifier of this version"):
        load_classifier(DATA_DIR / "classifiers/cifar10")
