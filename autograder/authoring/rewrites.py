"""Rewrites that change nothing: right answers as others would write them, made by machine. None may lose a point.

A rewrite takes a known right answer, and applies one to four kinds, drawn from a seed (rewrites_of_*.py), each to some
of the places that it fits. What is computed stays the same up to rounding; layers that are built or initialised
otherwise make another right answer.
"""

import ast
import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import libcst as cst

from autograder.authoring import rewrites_of_expressions as expressions
from autograder.authoring import rewrites_of_layers as layers
from autograder.authoring import rewrites_of_names as names
from autograder.authoring import rewrites_of_statements as statements
from autograder.authoring.machine import banks, source_of
from autograder.authoring.mutants import Bank

Kind = Callable[[cst.Module, random.Random], cst.Module]
KINDS: dict[str, Kind] = {**expressions.KINDS, **names.KINDS, **statements.KINDS, **layers.KINDS}
MOST = 4  # kinds in one rewrite
ANYWHERE = {  # what fits nearly every answer is drawn later than what fits a few
    *(
        "renamed locals",
        "helper functions",
        "named results",
        "differences",
        "commuted",
        "functions",
        "decorators",
        "hints",
    )
}
LAYERS = r"self\.\w+ = (torch\.)?nn\."
NEEDS = {  # what a source must hold for a kind to be worth a try
    **dict.fromkeys(layers.KINDS, LAYERS),
    **{"products": "@", "long names": r"\b(F|nn)\.", "activations": r"F\.|nn\.", "comparisons": "[<>!=]=|[<>]"},
    **{"branches": " else ", "early returns": r"\bif\b"},
}
COST_S = {  # of judging one answer, of a processor; the others take less
    **{"build_model": 4.2, "sample_conditional": 1.4, "EMA": 1.3, "AdaResBlock": 1.1, "ClassConditioner": 1.0},
    **{"prepare_conditioning": 0.9, "interpolate_classes": 0.6, "invert_ddim": 0.4, "CrossAttention": 0.4},
}


@dataclass(frozen=True)
class Rewrite:
    bank: Bank
    answer: str  # the right answer's name
    original: str
    kinds: tuple[str, ...]
    source: str

    @property
    def digest(self) -> str:
        """Of its syntax tree, whatever the layout."""
        return hashlib.sha256(ast.dump(ast.parse(self.source)).encode()).hexdigest()[:8]


@cache
def all_banks() -> tuple[Bank, ...]:
    return tuple(banks())


def rights(bank: Bank) -> dict[str, str]:
    return {**bank.right, "model solution": source_of(bank)}


def rewritten(source: str, name: str, rng: random.Random) -> str | None:
    """The source after one kind; None where that finds nothing to change."""
    if not re.search(NEEDS.get(name, ""), source):
        return None
    code = KINDS[name](cst.parse_module(source), rng).code
    return code if ast.dump(ast.parse(code)) != ast.dump(ast.parse(source)) else None


def rewrite(bank: Bank, rng: random.Random) -> Rewrite:
    """One to MOST kinds, of those that find something to change in a right answer of this cell."""
    answer, original = rng.choice(sorted(rights(bank).items()))
    source, used = original, []
    order = sorted(KINDS, key=lambda name: rng.random() + 0.5 * (name in ANYWHERE))
    wanted = rng.randint(1, MOST)
    for name in order:
        if len(used) < wanted and (new := rewritten(source, name, rng)) is not None:
            source, used = new, [*used, name]
    return Rewrite(bank, answer, original, tuple(used), source)


def drawn(seed: int) -> Rewrite:
    """The rewrite that a seed stands for; cells whose checks take long are drawn less often."""
    rng = random.Random(seed)
    weights = [1 / (0.3 + COST_S.get(b.answer, 0.1)) for b in all_banks()]
    return rewrite(rng.choices(all_banks(), weights)[0], rng)
