"""Names that nobody can tell apart in print, and names that only resemble each other."""

from __future__ import annotations

import pytest

from autograder.intake.look_alikes import appearances, look_alikes

SAME = [
    ("ada", "\u0430da"),  # Cyrillic
    ("ada", "\u0430d\u0430"),
    ("Bob", "\u0412\u043eb"),
    ("TOM", "\u03a4\u039f\u039c"),  # Greek
    ("ivan", "i\u03bdan"),
    ("\u0393", "\u0413"),  # of two scripts, neither of them Latin
    ("uno", "\u057d\u0578\u0585"),  # Armenian
    ("ADA", "\u13aaDA"),  # Cherokee
    ("ada", "\uff41\uff44\uff41"),  # full-width
    ("ada", "\U0001d41a\U0001d41d\U0001d41a"),  # of mathematics
    ("ada", "ada\ufe0f"),
    ("ada", "ada "),
    ("ada l", "ada  l"),
    ("ada", "Ada"),
    ("\u00e9mile", "e\u0301mile"),
    ("adal", "adaI"),
    ("adal", "ada1"),
    ("s10", "s1O"),
    ("arne", "ame"),
    ("dan", "\u0501an"),
    ("ada", "\u0251da"),
    ("lan", "\u04cfan"),
]
APART = [
    *(("ada", "adam"), ("anna", "ana"), ("s1000", "s1001"), ("clara", "dara"), ("m\u00fcller", "muller")),
    *(("ben", "bem"), ("o'neil", "oneil"), ("nina", "mina"), ("jo", "jo-2"), ("\u4e00", "\u30fc")),
    *(("\u674e\u660e", "\u738b\u82b3"), ("\u0905\u092e", "\u0905\u0928")),  # of scripts that the font may not have
    ("\u0434\u0438\u043c\u0430", "\u0440\u0438\u043c\u0430"),
]


@pytest.mark.parametrize(("a", "b"), SAME, ids=ascii)
def test_the_same_in_print(a, b):
    assert appearances(a) & appearances(b)
    (found,) = look_alikes(["zoe", a, b, "b2"])
    assert {a, b} == {found.student, min(a, b)} and "looks like the name" in found.text and found.text.isascii()


@pytest.mark.parametrize(("a", "b"), APART, ids=ascii)
def test_told_apart(a, b):
    assert not appearances(a) & appearances(b) and look_alikes([a, b]) == []
