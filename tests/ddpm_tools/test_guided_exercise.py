"""Our solution of the guided exercise: folded with its code and figure, and right where the answer is known."""

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_tools import guided_exercise


@pytest.fixture(scope="module")
def diffusion():
    return checkpoint.load(DATA_DIR / "checkpoints/digits").diffusion()


def test_a_step_is_folded_with_its_code_figure_and_sentence(diffusion, monkeypatch):
    shown = []
    monkeypatch.setattr(guided_exercise, "display", shown.append)
    values = guided_exercise.unfold(guided_exercise.one_noise, diffusion, list("0123456789"), (0, 2), 2)
    (html,) = (s.data for s in shown)
    assert html.startswith("<details><summary>") and "<details open" not in html
    assert "def one_noise(" in html and "data:image/png;base64," in html and "Largest difference" in html
    assert values["apart"][0] == 0 < values["apart"][1]  # w = 0 knows no class


def test_gains_are_paired_differences_by_class():
    asked = torch.tensor([0, 0, 1, 1])
    taken = [torch.tensor([1, 1, 1, 0]), torch.tensor([0, 1, 1, 1])]  # at w = 1 and w = 4
    values = guided_exercise.by_class(asked, taken, (1, 4), ["zero", "one"]).values
    assert values["table"] == [[0, 0.5], [0.5, 1]] and values["gain"] == {"zero": 0.5, "one": 0.5}


def test_the_grid_names_what_the_classifier_takes_for_another(diffusion, monkeypatch):
    monkeypatch.setattr(guided_exercise, "classify", lambda judge, images: (torch.zeros(len(images)).long(), None))
    step = guided_exercise.class_grid(diffusion, list("0123456789"), torch.nn.Identity(), 1.0, 2)
    assert step.values == {"wrong": 90} and "row 1, column 1, as 0" in step.said
