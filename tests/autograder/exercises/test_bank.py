"""The mutant bank: every wrong answer loses the points that it should, and no right answer loses any."""

from contextlib import ExitStack

import pytest

from autograder.authoring import bank as texts
from autograder.authoring import mutants
from autograder.exercises import EXERCISES
from autograder.sandbox.child_process import Child, Limits
from autograder.sandbox.staging import stage

BANKS = list(mutants.banks())
SEEDS = range(6)  # benchmarks/mutants.py takes ten


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bank", BANKS, ids=lambda b: b.answer)
def test_right_and_wrong_are_told_apart(bank, seed):
    assert mutants.survivors(bank, seed) == {}
    assert mutants.victims(bank, seed) == {}


@pytest.mark.parametrize("name", mutants.NAMES)
def test_in_the_sandbox_as_in_one_process(name, tmp_path):
    banks = [b for b in BANKS if b.exercise.name == name]
    code = stage(banks[0].exercise, tmp_path / "code")
    with ExitStack() as stack:
        child = stack.enter_context(Child(code, Limits()))
        for bank in banks:
            assert mutants.survivors(bank, 3, child) == {}
            assert mutants.victims(bank, 3, child) == {}


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


def test_an_edit_must_have_one_place():
    with pytest.raises(ValueError, match="2 places"):
        texts.edited("a a\n", "- a\n+ b\n")
