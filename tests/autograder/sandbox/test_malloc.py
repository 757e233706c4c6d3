"""Freed memory stays for the next tensor: the kernel is asked for it once."""

import os
import subprocess
import sys

import pytest

from autograder.sandbox import malloc

LOOP = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from autograder.sandbox import malloc
    malloc.keep()
def work():
    blocks = [np.ones(3_000_000, dtype=np.uint8) for _ in range(8)]
work(); work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way, **env):
    said = subprocess.run(
        [sys.executable, "-c", LOOP, way], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    return int(said.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_memory_is_cleared_once_and_not_for_every_tensor():
    plain = faults("plain")
    if plain < 5_000:
        pytest.skip("this system's allocator keeps it anyway")
    assert faults("keep") < plain / 20 and faults("plain", **malloc.ENVIRONMENT) < plain / 20
