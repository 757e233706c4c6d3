"""What each branch of a `DiTBlock` does, told apart from outside by how tokens are chosen.

Where gates are almost shut, or tokens large beside what is added to them, each branch reads x itself. The MLP adds to a
token what follows from this token alone, whatever the others are; for a single token attention is linear.
"""

from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn.functional import cosine_similarity, normalize

from autograder.exercises.base import Check, Failed, Probe, check_of
from autograder.exercises.calls import seed_of
from autograder.exercises.dit_block.block import BLOCK, MOVED, SUBJECT, draw

DIM, COND_DIM, _ = SUBJECT.args
ONE_HEAD, WIDE = (DIM, COND_DIM, 1), (512, COND_DIM, 1)
AJAR = {"weights": "awake", "by": 1e-3}  # as it starts, but the gates a thousandth open
OPEN = {"weights": "awake"}
FAR = 300.0  # how many times farther open, where scales are all that counts
LARGE = 1e3  # tokens, beside which whatever is added is small
OTHERS = 300  # equal tokens, beside which one alone has no weight
NONE = 0.01  # of what a part does: without it less than 0.005, with it 0.03 and more
ALIKE = 0.998  # cosine; without what should turn the vectors more than 0.9999, with it at most 0.99
STEEP = 3.0  # logits of a fresh, wide head: 0.5 with the root, 10 without
PAIRS = ((1, 2), (3, 4), (1, 3), (2, 4))


def added(probe: Probe, seed: int, x: Tensor, cond: Tensor, args: tuple[int, ...] = SUBJECT.args, **how) -> Tensor:
    """What a block of this seed adds to the first token of each sample: (B, N, D) -> (B, D)."""
    (out,) = SUBJECT.finite(probe, Generator().manual_seed(seed), {"x": x, "cond": cond}, args=args, **how)
    return (out.double() - x)[:, 0]


def corners(rng: Generator) -> Tensor:
    """c + a + b, c + a - b, c - a + b, c - a - b for four pairs of a and b, one after the other: (4, 4, D).

    No two directions share a channel, each has mean 0 and all one length: the norm divides all by the same.
    """
    d = torch.zeros(5, DIM)
    for row, part in zip(d, torch.randperm(DIM, generator=rng).chunk(5)):
        values = torch.randn(len(part), generator=rng)
        row[part] = normalize(values - values.mean(), dim=0) * DIM**0.5 / 3
    signs = [(s, t) for s in (1, -1) for t in (1, -1)]
    return torch.stack([torch.stack([2 * d[0] + s * d[i] + t * d[j] for s, t in signs]) for i, j in PAIRS])


def crossed(probe: Probe, seed: int, x: Tensor, cond: Tensor, **how) -> Tensor:
    """What the MLP makes of a and b together, beyond what it makes of each: f(c+a+b) - f(c+a-b) - f(c-a+b) + f(c-a-b).

    x (P, 4, D) as `corners` gives them, cond (B, cond_dim) -> (B, P, D). Whatever is linear drops out.
    """
    tokens = x.flatten(0, 1).repeat(len(cond), 1)[:, None]  # (B·P·4, 1, D)
    f = added(probe, seed, tokens, cond.repeat_interleave(4 * len(x), 0), **how).view(len(cond), len(x), 4, -1)
    return f[:, :, 0] - f[:, :, 1] - f[:, :, 2] + f[:, :, 3]


def fetched(probe: Probe, seed: int, x: Tensor, other: Tensor, cond: Tensor, **how) -> Tensor:
    """What attention adds to the first token because of the others: (B, N, D) twice -> (B, D)."""
    y = torch.cat([x[:, :1], other[:, 1:]], 1)
    one, two = (added(probe, seed, tokens, cond, **how) for tokens in (x, y))
    return one - two


def bends(probe: Probe, rng: Generator) -> None:
    x, cond, seed = LARGE * corners(rng), torch.randn(1, COND_DIM, generator=rng), seed_of(rng)
    whole = added(probe, seed, x[:1, 0, None], cond, **OPEN)
    one, two, three, four = crossed(probe, seed, x, cond, **OPEN)[0]  # (D,) each
    if torch.stack([one, two]).norm() < NONE * whole.norm():
        raise Failed(
            "no activation stands between the two layers of the MLP, or there is no MLP: for a single token, what the "
            "block adds is a sum of functions of one channel each. The MLP is a linear layer, a GELU, and another "
            "linear layer"
        )
    apart, together = one * two - three * four, (one * two).abs() + (three * four).abs()
    if apart.abs().sum() < 0.15 * together.sum():  # an activation at the end less than 0.02, a hidden layer 0.47
        raise Failed(
            "no hidden layer stands in the MLP: each channel of what it adds bends in one direction only. The "
            "activation comes between the two linear layers, not behind them"
        )


def starts(probe: Probe, rng: Generator) -> None:
    """Gates a little open, all else as it starts: what they let through follows from x."""
    a, b = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    cond, seed = a["cond"], seed_of(rng)
    size = AJAR["by"] * DIM**0.5
    mlp = crossed(probe, seed, corners(rng), cond, **AJAR).norm(dim=2).mean()
    attention = fetched(probe, seed, a["x"], b["x"], cond, **AJAR).norm(dim=1).mean()
    for branch, one in (("attention", attention), ("MLP", mlp)):
        if one < NONE / 5 * size:
            raise Failed(
                f"the {branch} of a fresh block sees nothing of x: while scale and shift are 0, it must read LN(x) "
                "itself. Scale acts as 1 + scale, and shift is added"
            )
    equal = a["x"][:, 1:2].expand(-1, OTHERS, -1)
    one, two = (added(probe, seed, torch.cat([x[:, :1], equal], 1), cond, **AJAR) for x in (a["x"], b["x"]))
    if (one - two).norm() < 0.05 * one.norm():  # reading something else 0.005, reading x 0.37 and more
        raise Failed(
            "the MLP does not read the token that it adds to: among 300 equal tokens, another first token must get "
            "something else. The second norm takes x, the sum behind the attention, and not the attention's output"
        )


def steers(probe: Probe, rng: Generator) -> None:
    """What cond does besides opening and shutting each branch as a whole."""
    a, b = (draw(rng, 4, SUBJECT.args) for _ in "ab")
    x, y, cond, seed = a["x"], b["x"], 2 * a["cond"], seed_of(rng)
    square = corners(rng)[:1]  # (1, 4, D)
    with_gates = (
        ("attention", fetched(probe, seed, x[:1].expand_as(x), y[:1].expand_as(y), cond, **AJAR)),
        ("MLP", crossed(probe, seed, square, cond, **AJAR)[:, 0]),
    )
    for branch, (one, two, *_) in with_gates:
        if cosine_similarity(one, two, 0).abs() > ALIKE:
            raise Failed(
                f"the gate of the {branch} is one number for all channels: the layer that reads cond has 6 · dim "
                "outputs, six vectors of dim numbers each"
            )
    lacks = "the {} has no {} from cond: with " + f"{SUBJECT.example}, {MOVED}, what it reads is LN(x) * (1 + scale) + "
    lacks += "shift, with a scale and a shift of its own"
    if unscaled(probe, rng, cond):
        raise Failed(lacks.format("attention", "scale"))
    how = {"weights": "awake", "unbiased": True}
    far = crossed(probe, seed, LARGE * FAR * square, cond, by=FAR, **how).norm() / FAR
    if far < crossed(probe, seed, square, cond, **AJAR).norm() / AJAR["by"]:  # a third and less; with a scale 35 times
        raise Failed(lacks.format("MLP", "scale"))
    # Without biases and without a shift, -x makes attention fetch the opposite, and leaves crossed terms as they are.
    one, two = (fetched(probe, seed, s * LARGE * x, s * LARGE * y, cond, **how) for s in (1, -1))
    if (one + two).norm() < NONE * one.norm():
        raise Failed(lacks.format("attention", "shift"))
    one, two = (crossed(probe, seed, s * LARGE * square, cond, **how) for s in (1, -1))
    if min((one - two).norm(), (one + two).norm()) < NONE * one.norm():
        raise Failed(lacks.format("MLP", "shift"))


def unscaled(probe: Probe, rng: Generator, cond: Tensor) -> bool:
    """With one head, is what two tokens add in proportion the same under every cond, channel by channel?"""
    first, *others = LARGE * torch.randn(3, 1, 1, DIM, generator=rng)
    seed, size = seed_of(rng), (len(cond), 6, DIM)
    one, two = (
        fetched(probe, seed, first.expand(size), other.expand(size), cond, args=ONE_HEAD, **OPEN) for other in others
    )
    return bool(cosine_similarity(one[0] * two[1], two[0] * one[1], 0).abs() > ALIKE)


def mixes(probe: Probe, rng: Generator) -> None:
    """Tokens of two kinds: with one head, what one receives lies between the two kinds' values, the nearer to one the
    more there are of it, and how near says what exp(q · (k2 - k1)) is."""
    x, y = torch.randn(2, 48, 1, WIDE[0], generator=rng)
    cond, seed = torch.randn(1, COND_DIM, generator=rng).expand(48, -1), seed_of(rng)
    none, one, five = (
        added(probe, seed, torch.cat([x.expand(-1, 6 - n, -1), y.expand(-1, n, -1)], 1), cond, args=WIDE, **AJAR)
        for n in (0, 1, 5)
    )
    one, five = one - none, five - none  # (48, D)
    share = (one * five).sum(1, keepdim=True) / (five * five).sum(
        1, keepdim=True
    )  # (e/5 / (1 + e/5)) / (5e / (1 + 5e))
    if (one - share * five).norm() > 0.03 * one.norm():  # 0.002 and less on a line, with many heads 0.3
        raise Failed(
            "with one head, what a token receives is no mixture of two values: in DiTBlock(512, 16, 1), with two kinds "
            "of tokens, one weight says how much comes from each. num_heads is the number of heads, dim // num_heads "
            "their size; the softmax weighs the values, and nothing bends them after it"
        )
    logits = ((share - 0.04) / (0.2 - 0.2 * share)).clamp(1e-9, 1e9).log()
    if not logits.square().mean().sqrt() <= STEEP:  # nan where all weight lies on one kind
        raise Failed(
            "in a fresh block with a wide head, a token attends to one kind of token alone: products of queries and "
            "keys grow with their size d, and are divided by its root; queries and keys are two different layers. In "
            "DiTBlock(512, 16, 1), print the weights behind the softmax"
        )


def checks(lesson: str) -> tuple[Check, ...]:
    check = partial(check_of, BLOCK, lesson)
    return (
        check("an activation in the MLP", 0.25, bends),
        check("a fresh block's branches read x", 0.25, starts),
        check("scale, shift and gate in each branch", 0.25, steers),
        check("each head mixes the tokens' values", 0.25, mixes),
    )
