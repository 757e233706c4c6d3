import os

import pytest
import torch

os.environ["OMP_NUM_THREADS"] = (
    "1"  # of what tests start: two tests run at a time, and spinning threads halve the speed
)


def pytest_addoption(parser):
    parser.addoption("--from-zygote", action="store_true", help="fork every answer's process (tests/autograder)")


@pytest.fixture(autouse=True)
def one_thread_and_a_fixed_stream():
    """Every test starts alike, whatever ran before it."""
    torch.set_num_threads(1)  # more would fight for the cores with the children that tests start
    torch.manual_seed(0)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)
