"""A known mistake is named where an answer behaves as it does, however it is written, and nothing else is."""

import pytest

from autograder.authoring import machine
from autograder.authoring.misconceptions import named

BANKS = {b.answer: b for b in machine.banks()}
SAME = {  # the model solution with a mistake: the name in the bank
    ("ddim_step", "x_0 = x_0.clamp(-1, 1)", "x_0 = x_0 * 1"): "no clamp",
    ("ddim_timesteps", "// num_steps - 1", "// num_steps"): "starts at T",
}


@pytest.mark.parametrize(("answer", "old", "new"), SAME)
def test_a_known_mistake_is_named(answer, old, new):
    source = machine.source_of(BANKS[answer])
    assert source.count(old) == 1
    best, _ = named(BANKS[answer], source.replace(old, new), seed=3)
    assert best and best.name == SAME[answer, old, new] and best.agree == best.telling


@pytest.mark.parametrize(
    "change", [("(1 - abar)", "(1.1 - abar)"), ("abar.sqrt() * x_0", "None"), ("return", "return")]
)
def test_others_have_no_name(change):
    bank = BANKS["q_sample"]
    assert named(bank, machine.source_of(bank).replace(*change), seed=3)[0] is None
