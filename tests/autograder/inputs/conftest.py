"""The right notebook, new for every test."""

from __future__ import annotations

import json

import pytest

from tests.autograder.inputs.notebooks import SOLUTION


@pytest.fixture
def nb() -> dict:
    return json.loads(SOLUTION.read_text(encoding="utf-8"))
