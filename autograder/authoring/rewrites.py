"""Machine-made rewrites of right answers, as other people might write them. None may lose a point.

A rewrite takes a known right answer and applies one to four kinds of change, drawn from a seed (rewrites_of_*.py), each
at some of the places where it fits. The result computes the same up to rounding, except that layers built or
initialised in another way make a different right answer.
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
ANYWHERE = {  # kinds that fit nearly every answer, which are drawn later than those that fit only a few
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
NEEDS = {  # what a source must contain for a kind to be worth trying
    **dict.fromkeys(layers.KINDS, LAYERS),
    **{"products": "@", "long names": r"\b(F|nn)\.", "activations": r"F\.|nn\.", "comparisons": "[<>!=]=|[<>]"},
    **{"branches": " else ", "early returns": r"\bif\b"},
}
COST_S = {  # processor seconds to judge one answer; the others take less
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
        """A hash of its syntax tree, which does not depend on layout."""
        return hashlib.sha256(ast.dump(ast.parse(self.source)).encode()).hexdigest()[:8]


@cache
def all_banks() -> tuple[Bank, ...]:
    return tuple(banks())


def rights(bank: Bank) -> dict[str, str]:
    return {**bank.right, "model solution": source_of(bank)}


def rewritten(source: str, name: str, rng: random.Random) -> str | None:
    """Return the source after one kind of change; None if that finds nothing to change."""
    if not re.search(NEEDS.get(name, ""), source):
        return None
    code = KINDS[name](cst.parse_module(source), rng).code
    return code if ast.dump(ast.parse(code)) != ast.dump(ast.parse(source)) else None


def rewrite(bank: Bank, rng: random.Random) -> Rewrite:
    """Apply one to MOST kinds, of those that find something to change, to a right answer of this cell."""
    answer, original = rng.choice(sorted(rights(bank).items()))
    source, used = original, []
    order = sorted(KINDS, key=lambda name: rng.random() + 0.5 * (name in ANYWHERE))
    wanted = rng.randint(1, MOST)
    for name in order:
        if len(used) < wanted and (new := rewritten(source, name, rng)) is not None:
            source, used = new, [*used, name]
    return Rewrite(bank, answer, original, tuple(used), source)


def drawn(seed: int) -> Rewrite:
    """Return the rewrite for a seed. Cells whose checks take long are drawn less often."""
    rng = random.Random(seed)
    weights = [1 / (0.3 + COST_S.get(b.answer, 0.1)) for b in all_banks()]
    return rewrite(rng.choices(all_banks(), weights)[0], rng)
