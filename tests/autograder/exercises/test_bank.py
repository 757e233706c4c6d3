"""The mutant bank: every wrong answer loses the points that it should, and no right answer loses any."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from autograder.authoring import bank as texts
from autograder.authoring import mutants
from autograder.exercises import EXERCISES
from autograder.sandbox.child_process import Child, Limits
from autograder.sandbox.staging import stage

BANKS = list(mutants.banks())
# One seed in this process; in the sandbox another, for half of the right answers, which cost most. The rest is up to
# benchmarks/mutants.py, which takes ten.
HERE, INSIDE = 0, 3


@pytest.mark.parametrize("bank", BANKS, ids=lambda b: b.answer)
def test_right_and_wrong_are_told_apart(bank):
    assert mutants.survivors(bank, HERE) == {}
    assert mutants.victims(bank, HERE) == {}


@pytest.mark.parametrize("name", mutants.NAMES)
def test_in_the_sandbox_as_in_one_process(name, tmp_path):
    banks = [b for b in BANKS if b.exercise.name == name]
    code = stage(banks[0].exercise, tmp_path / "code")
    with ExitStack() as stack:
        child = stack.enter_context(Child(code, Limits()))
        for bank in banks:
            assert mutants.survivors(bank, INSIDE, child) == {}
            some = dict(list(bank.right.items())[::2])
            assert mutants.victims(replace(bank, right=some), INSIDE, child) == {}


def test_the_bank_is_large_enough():
    ungated = {(e.name, a) for e in EXERCISES.values() if not e.gate_cell for a in e.answers}
    assert ungated <= {(b.exercise.name, b.answer) for b in BANKS}
    for bank in BANKS:
        assert len(bank.wrong) >= 12 and len(bank.right) >= 4, bank.answer
        sources = [*bank.right.values(), *(w.source for w in bank.wrong.values())]
        assert len(set(sources)) == len(sources)
        assert all(w.loses for w in bank.wrong.values())
        beside = [b for b in BANKS if b.exercise is bank.exercise] if bank.exercise.judged_as_pair else [bank]
        never = {c.name for c in bank.checks} - {c for b in beside for w in b.wrong.values() for c in w.loses}
        assert not never, f"no known wrong answer fails {never}"


@pytest.mark.parametrize("bank", BANKS, ids=lambda b: b.answer)
def test_messages_are_short_and_do_not_repeat_one_another(bank):
    for wrong in bank.wrong.values():
        for text in mutants.failures(bank, wrong.source, 4, only=wrong.loses).values():
            assert 20 < len(text) < 700 and "Traceback" not in text and "{" not in text.replace("{:", ""), text


TOLD = [  # a wrong answer, a check, and what the student must be told there, or None: that check is passed
    ("interpolate_classes", "never arrives", "from class_a to class_b", "a clean mixture of the two classes"),
    ("interpolate_classes", "never arrives", "guidance", None),
    ("interpolate_classes", "never arrives", "the defaults", None),
    ("interpolate_classes", "the row turned round", "from class_a to class_b", "alpha must be 0 for the first image"),
    ("interpolate_classes", "the row turned round", "guidance", None),
    ("interpolate_classes", "the last step is left out", "from class_a to class_b", "Remaining noise"),
    ("interpolate_classes", "no guidance", "guidance", "guidance is not eps_u + w"),
    ("interpolate_embeddings", "alphas ignored", "linear: a straight line", "alphas never reach the result"),
    (
        "interpolate_embeddings",
        "alphas ignored",
        "spherical: the length goes linearly",
        "alphas never reach the result",
    ),
    ("interpolate_embeddings", "a and b exchanged", "linear: a straight line", "is not a straight line from a"),
    ("cosine_beta_schedule", "clamped at 0.999, as published", "clamped to [1e-4, 0.9999]", "is cut below 0.9999"),
    ("cosine_beta_schedule", "clamped at 0.02", "clamped to [1e-4, 0.9999]", "is cut below 0.9999"),
    ("cosine_beta_schedule", "one step early", "clamped to [1e-4, 0.9999]", "not because of a clamp"),
    ("cosine_beta_schedule", "sine", "clamped to [1e-4, 0.9999]", "not because of a clamp"),
]


@pytest.mark.parametrize(("answer", "name", "check", "said"), TOLD)
def test_a_message_names_the_property_that_is_missing(answer, name, check, said):
    bank = next(b for b in BANKS if b.answer == answer)
    told = mutants.failures(bank, bank.wrong[name].source, 4).get(f"{answer}: {check}")
    assert told is None if said is None else said in (told or ""), told


def test_an_edit_must_have_one_place():
    with pytest.raises(ValueError, match="matches 2 times"):
        texts.edited("a a\n", "- a\n+ b\n")
