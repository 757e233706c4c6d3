"""What each attack got, for the table of benchmarks/redteam.py."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def got(record_property):
    """got(attack, points, harm): the points gained over the same answer without it, and the harm to anybody else."""

    def note(attack: str, points: float, harm: str = "none") -> None:
        record_property("attack", json.dumps([attack, round(max(0.0, points), 4), harm]))

    return note
