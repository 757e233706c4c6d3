"""Right answers written otherwise by machine: each kind of rewrite, a fresh sample, and a kind that is none."""

import random
import time

import libcst as cst
import pytest

from autograder.authoring import machine, rewrites
from autograder.authoring.rewrites_of_expressions import everywhere

SOURCE = """class Block(nn.Module):
    def __init__(self, dim, heads=4):
        super().__init__()
        self.wide = dim > 64
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.both = nn.Linear(dim, 2 * dim)
        nn.init.zeros_(self.both.weight)

    def forward(self, x, mask=None):
        a, b = self.both(F.silu(x)).chunk(2, dim=-1)
        scale = 1 - b if mask is None else b
        scores = (self.q(x) @ self.k(x).transpose(-2, -1)).softmax(-1)
        if mask is not None:
            scores = scores * mask
        return scores @ a + scale
"""
MADE = {
    "commuted": "(scale) + (scores @ a)",
    "differences": "(-(b))",
    "products": 'torch.einsum("...ij,...jk->...ik", (self.q(x)), (self.k(x).transpose(-2, -1)))',
    "functions": "torch.chunk(self.both(F.silu(x)), 2, dim=-1)",
    "activations": "nn.SiLU()((x))",
    "comparisons": "(64) < (dim)",
    "long names": "torch.nn.functional.silu(x)",
    "renamed locals": "chunk(2, dim=-1)",
    "helper functions": "    return (scores @ a + scale)",
    "named results": "result_ = scores @ a + scale",
    "early returns": "if not (mask is not None):",
    "branches": "            scale = (b)",
    "decorators": "@passed_on\n    def forward",
    "hints": ", mask: ",
    "functional": "F.linear((x), self.q.weight, self.q.bias)",
    "split projections": "torch.cat([part((F.silu(x))) for part in self.both], dim=-1)",
    "merged projections": "self.k_q = nn.Linear(dim, 2 * dim)",
    "other initialisation": ".weight",
    "wrapped layers": "Wrapped(nn.Linear(dim, dim))",
}


@pytest.mark.parametrize("name", rewrites.KINDS)
def test_each_kind_makes_its_change(name):
    made = [rewrites.rewritten(SOURCE, name, random.Random(seed)) for seed in range(12)]
    assert any(m and MADE[name] in m for m in made), made[0]


def test_kinds_add_up():
    source = SOURCE.replace("nn.init", "torch.nn.init")
    for seed in range(8):
        other = rewrites.rewritten(source, "other initialisation", random.Random(seed))
        assert other and "torch.self" not in other
    split = rewrites.rewritten(source, "split projections", random.Random(0))
    assert "    [nn.init.zeros_(part.weight) for part in self.both]" in split


def test_the_same_seed_is_the_same_rewrite():
    one, two = rewrites.drawn(5), rewrites.drawn(5)
    assert one == two and one.source != one.original and one.kinds


@pytest.mark.parametrize("answer", ["q_sample", "ddim_step", "patchify", "heun_step", "interpolate_embeddings"])
def test_what_is_computed_stays_the_same(answer):
    bank = next(b for b in rewrites.all_banks() if b.answer == answer)
    for seed in range(4):
        r = rewrites.rewrite(bank, random.Random(seed))
        assert machine.equivalent(bank, r.source, r.original), r.kinds


def test_a_kind_that_changes_the_meaning_is_seen():
    def swapped(n, rng):
        minus = isinstance(n, cst.BinaryOperation) and isinstance(n.operator, cst.Subtract)
        return n.with_changes(left=n.right, right=n.left) if minus else None

    seen = 0
    for bank in rewrites.all_banks():
        right = machine.source_of(bank)
        source = everywhere(swapped)(cst.parse_module(right), random.Random(0)).code
        if bank.answer in ("q_sample", "predict_x0", "ddim_step", "velocity_target", "euler_step"):
            assert machine.first_failure(bank, source, 0) and not machine.equivalent(bank, source, right)
            seen += 1
    assert seen == 5


def test_no_fresh_rewrite_loses_a_point():
    """About half a minute of a processor; cells whose checks take long are drawn less often (rewrites.COST_S)."""
    first = time.time_ns() // 1_000
    for seed in range(first, first + 200):
        r = rewrites.drawn(seed)
        assert machine.first_failure(r.bank, r.source, seed) is None, (seed, r.bank.answer, r.answer, r.kinds)
