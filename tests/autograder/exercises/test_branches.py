"""What the checks of a DiTBlock conclude from several pairs of vectors (exercises/dit_block/branches.py)."""

import pytest
import torch

from autograder.exercises.dit_block.branches import alike

PARALLEL, APART = ((1.0, 2.0, 3.0), (-2.0, -4.0, -6.0)), ((1.0, 2.0, 3.0), (3.0, 2.0, 1.0))


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((PARALLEL, PARALLEL, PARALLEL), True),
        ((PARALLEL, APART, PARALLEL), True),  # one gate for all channels, almost closed under one condition
        ((APART, PARALLEL, APART), False),  # a right block, two of whose conditions scale nearly alike
        ((APART, APART, APART), False),
    ],
)
def test_one_pair_does_not_decide(pairs, expected):
    assert alike([(torch.tensor(a), torch.tensor(b)) for a, b in pairs]) is expected
