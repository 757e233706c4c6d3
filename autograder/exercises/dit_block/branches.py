"""What each branch of a `DiTBlock` does, distinguished from outside by the choice of tokens.

If the gates are almost closed, or the tokens much larger than what is added to them, each branch reads x itself. What
the MLP adds to a token depends on that token alone; for a single token, attention is linear.
"""

from collections.abc import Iterable
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, normalize

from autograder.exercises import properties
from autograder.exercises.base import Check, Failed, Probe, check_of
from autograder.exercises.calls import seed_of
from autograder.exercises.dit_block.block import BLOCK, MOVED, SUBJECT, draw

DIM, COND_DIM, _ = SUBJECT.args
ONE_HEAD, WIDE, FOUR_HEADS = (DIM, COND_DIM, 1), (512, COND_DIM, 1), (64, COND_DIM, 4)
AJAR = {"weights": "awake", "by": 1e-3}  # the initial weights, but with the gates a thousandth open
OPEN = {"weights": "awake"}
FAR = 300.0  # how many times wider open, so that only the scales matter
LARGE = 1e3  # tokens so large that what is added is small beside them
OTHERS = 300  # equal tokens, among which a single other one has no weight
NONE = 0.01  # of a part's effect: below 0.005 without it, at least 0.03 with it
ALIKE = 0.998  # cosine: above 0.9999 without what should turn the vectors, at most 0.99 with it
OWN = 0.08  # of the largest direction: at least 0.19 for the fourth of four heads, below 0.05 beyond the last
STEEP = 3.0  # logits of a fresh, wide head: 0.5 with the square root, 10 without
PAIRS = ((1, 2), (3, 4), (1, 3), (2, 4))


def added(probe: Probe, seed: int, x: Tensor, cond: Tensor, args: tuple[int, ...] = SUBJECT.args, **how) -> Tensor:
    """What a block of this seed adds to the first token of each sample: (B, N, D) -> (B, D)."""
    (out,) = SUBJECT.finite(probe, Generator().manual_seed(seed), {"x": x, "cond": cond}, args=args, **how)
    return (out.double() - x)[:, 0]


def corners(rng: Generator) -> Tensor:
    """c + a + b, c + a - b, c - a + b, c - a - b for four pairs of a and b: (4, 4, D).

    No two directions share a channel; each has mean 0 and the same length, so the norm divides all by the same number.
    """
    d = torch.zeros(5, DIM)
    for row, part in zip(d, torch.randperm(DIM, generator=rng).chunk(5)):
        values = torch.randn(len(part), generator=rng)
        row[part] = normalize(values - values.mean(), dim=0) * DIM**0.5 / 3
    signs = [(s, t) for s in (1, -1) for t in (1, -1)]
    return torch.stack([torch.stack([2 * d[0] + s * d[i] + t * d[j] for s, t in signs]) for i, j in PAIRS])


def crossed(probe: Probe, seed: int, x: Tensor, cond: Tensor, **how) -> Tensor:
    """The joint effect of a and b in the MLP, beyond that of each: f(c+a+b) - f(c+a-b) - f(c-a+b) + f(c-a-b).

    x (P, 4, D) from `corners`, cond (B, cond_dim) -> (B, P, D). Anything linear cancels.
    """
    tokens = x.flatten(0, 1).repeat(len(cond), 1)[:, None]  # (B·P·4, 1, D)
    f = added(probe, seed, tokens, cond.repeat_interleave(4 * len(x), 0), **how).view(len(cond), len(x), 4, -1)
    return f[:, :, 0] - f[:, :, 1] - f[:, :, 2] + f[:, :, 3]


def fetched(probe: Probe, seed: int, x: Tensor, other: Tensor, cond: Tensor, **how) -> Tensor:
    """What attention adds to the first token because of the others: twice (B, N, D) -> (B, D)."""
    y = torch.cat([x[:, :1], other[:, 1:]], 1)
    one, two = (added(probe, seed, tokens, cond, **how) for tokens in (x, y))
    return one - two


def bends(probe: Probe, rng: Generator, weights: str) -> None:
    x, cond, seed = LARGE * corners(rng), torch.randn(1, COND_DIM, generator=rng), seed_of(rng)
    whole = added(probe, seed, x[:1, 0, None], cond, weights=weights)
    one, two, three, four = crossed(probe, seed, x, cond, weights=weights)[0]  # (D,) each
    if torch.stack([one, two]).norm() < NONE * whole.norm():
        raise Failed(
            "there is no activation between the two layers of the MLP, or no MLP at all: for a single token, the "
            "block adds only a sum of functions of one channel each. The MLP is a linear layer, a GELU, and another "
            "linear layer"
        )
    apart, together = one * two - three * four, (one * two).abs() + (three * four).abs()
    if apart.abs().sum() < 0.15 * together.sum():  # below 0.02 with an activation at the end, 0.47 with a hidden layer
        raise Failed(
            "the MLP has no hidden layer: each channel of its output bends in one direction only. The activation "
            "belongs between the two linear layers, not after them"
        )


def starts(probe: Probe, rng: Generator, weights: str) -> None:
    """With the gates slightly open and all else as initialised, what passes them must depend on x."""
    a, b = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    cond, seed, ajar = a["cond"], seed_of(rng), AJAR | {"weights": weights}
    size = ajar["by"] * DIM**0.5
    mlp = crossed(probe, seed, corners(rng), cond, **ajar).norm(dim=2).mean()
    attention = fetched(probe, seed, a["x"], b["x"], cond, **ajar).norm(dim=1).mean()
    for branch, one in (("attention", attention), ("MLP", mlp)):
        if one < NONE / 5 * size:
            raise Failed(
                f"the {branch} of a fresh block does not see x: while scale and shift are 0, it must read LN(x) "
                "itself. Multiply by 1 + scale, then add shift"
            )
    equal = a["x"][:, 1:2].expand(-1, OTHERS, -1)
    one, two = (added(probe, seed, torch.cat([x[:, :1], equal], 1), cond, **ajar) for x in (a["x"], b["x"]))
    if (one - two).norm() < 0.05 * one.norm():  # 0.005 if it reads something else, at least 0.37 if it reads x
        raise Failed(
            "the MLP does not read the token it adds to: in front of 300 equal tokens, another first token must "
            "change what the MLP adds to it. The second norm takes x after the attention is added, not the "
            "attention's output"
        )


def steers(probe: Probe, rng: Generator) -> None:
    """What cond does besides opening and closing each branch as a whole."""
    a, b = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    x, y, cond, seed = a["x"], b["x"], 2 * a["cond"], seed_of(rng)
    square = corners(rng)[:1]  # (1, 4, D)
    with_gates = (
        ("attention", fetched(probe, seed, x[:1].expand_as(x), y[:1].expand_as(y), cond, **AJAR)),
        ("MLP", crossed(probe, seed, square, cond, **AJAR)[:, 0]),
    )
    for branch, (one, *others) in with_gates:
        if alike((one, other) for other in others):
            raise Failed(
                f"the gate of the {branch} is a single number for all channels: the layer that reads cond has 6 · dim "
                "outputs, six vectors of dim values each"
            )
    (one, *ones), (two, *twos) = (found for _, found in with_gates)
    if alike((one * b, a * two) for a, b in zip(ones, twos)):
        raise Failed(
            "both branches have the same gate: the layer that reads cond has 6 · dim outputs, of which each branch has "
            "a scale, a shift and a gate of its own"
        )
    lacks = "the {} has no {} from cond: with " + f"{SUBJECT.example}, {MOVED}, what it reads is LN(x) * (1 + scale) + "
    lacks += "shift, with a scale and a shift of its own"
    if unscaled(probe, rng, cond):
        raise Failed(lacks.format("attention", "scale"))
    how = {"weights": "awake", "unbiased": True}
    far = crossed(probe, seed, LARGE * FAR * square, cond, by=FAR, **how).norm() / FAR
    if far < crossed(probe, seed, square, cond, **AJAR).norm() / AJAR["by"]:  # at most a third; with a scale, 35 times
        raise Failed(lacks.format("MLP", "scale"))
    # Without biases and shift, -x makes attention fetch the opposite and leaves crossed terms unchanged.
    one, two = (fetched(probe, seed, s * LARGE * x, s * LARGE * y, cond, **how) for s in (1, -1))
    if (one + two).norm() < NONE * one.norm():
        raise Failed(lacks.format("attention", "shift"))
    one, two = (crossed(probe, seed, s * LARGE * square, cond, **how) for s in (1, -1))
    if min((one - two).norm(), (one + two).norm()) < NONE * one.norm():
        raise Failed(lacks.format("MLP", "shift"))


def unscaled(probe: Probe, rng: Generator, cond: Tensor) -> bool:
    """With one head, is the ratio of what two tokens add the same under every cond, channel by channel?"""
    first, *others = LARGE * torch.randn(3, 1, 1, DIM, generator=rng)
    seed, size = seed_of(rng), (len(cond), 6, DIM)
    one, two = (
        fetched(probe, seed, first.expand(size), other.expand(size), cond, args=ONE_HEAD, **OPEN) for other in others
    )
    return alike((one[0] * two[i], two[0] * one[i]) for i in range(1, len(cond)))


def alike(pairs: Iterable[tuple[Tensor, Tensor]]) -> bool:
    """Whether the vectors of most pairs are parallel. Those of one may be so by chance, or not because one is tiny."""
    return median(float(cosine_similarity(a, b, 0).abs()) for a, b in pairs) > ALIKE


def mixes(probe: Probe, rng: Generator, weights: str) -> None:
    """Tokens of two kinds: with one head, a token receives a value between the two kinds' values, nearer to the more
    frequent one; how near tells exp(q · (k2 - k1))."""
    x, y = torch.randn(2, 48, 1, WIDE[0], generator=rng)
    ajar = AJAR | {"weights": weights}
    cond, seed = torch.randn(1, COND_DIM, generator=rng).expand(48, -1), seed_of(rng)
    none, one, five = (
        added(probe, seed, torch.cat([x.expand(-1, 6 - n, -1), y.expand(-1, n, -1)], 1), cond, args=WIDE, **ajar)
        for n in (0, 1, 5)
    )
    one, five = one - none, five - none  # (48, D)
    share = (one * five).sum(1, keepdim=True) / (five * five).sum(
        1, keepdim=True
    )  # (e/5 / (1 + e/5)) / (5e / (1 + 5e))
    if (one - share * five).norm() > 0.03 * one.norm():  # at most 0.002 on a line, 0.3 with many heads
        raise Failed(
            "with one head and two kinds of tokens, a token does not receive a weighted mean of the two values: try "
            "DiTBlock(512, 16, 1), where one weight sets the share of each kind. num_heads is the number of heads and "
            "dim // num_heads their size. The softmax weighs the values, and only linear layers follow"
        )
    logits = ((share - 0.04) / (0.2 - 0.2 * share)).clamp(1e-9, 1e9).log()
    if not logits.square().mean().sqrt() <= STEEP:  # nan if all weight is on one kind
        raise Failed(
            "in a fresh block with a wide head, a token attends to only one kind of token: products of queries and "
            "keys grow with their size d, so divide them by its square root. Queries and keys need separate weights. "
            "In DiTBlock(512, 16, 1), print the weights after the softmax"
        )

    attend_by_themselves(probe, rng, ajar)


def attend_by_themselves(probe: Probe, rng: Generator, ajar: dict[str, Any]) -> None:
    """Among two kinds of tokens, a head gives each first token a share of one vector. So these vary in as many
    directions as there are heads."""
    first, (a, b) = torch.randn(12, 1, FOUR_HEADS[0], generator=rng), torch.randn(2, 1, FOUR_HEADS[0], generator=rng)
    cond, seed = torch.randn(1, COND_DIM, generator=rng).expand(12, -1), seed_of(rng)
    both, alike = (
        torch.cat([first, a.expand(12, OTHERS // 2, -1), other.expand(12, OTHERS // 2, -1)], 1) for other in (b, a)
    )
    one, two = (added(probe, seed, x, cond, args=FOUR_HEADS, **ajar) for x in (both, alike))
    sizes = torch.linalg.svdvals(one - two - (one - two).mean(0))
    if sizes[FOUR_HEADS[2] - 1] < OWN * sizes[0]:
        raise Failed(
            "the heads do not attend independently, or there are fewer than num_heads: split queries, keys and values "
            "into num_heads parts, each with a softmax of its own, as in DiTBlock(64, 16, 4)"
        )


def checks(lesson: str) -> tuple[Check, ...]:
    check = partial(check_of, BLOCK, lesson)
    return (
        check("an activation in the MLP", 0.25, partial(properties.however_initialised, bends)),
        check("a fresh block's branches read x", 0.25, partial(properties.however_initialised, starts)),
        check("scale, shift and gate in each branch", 0.25, steers),
        check("each head mixes the tokens' values", 0.25, partial(properties.however_initialised, mixes)),
    )
