"""The cross_attention exercise: image tokens ask, context tokens answer. Any projections pass."""

from functools import partial

import torch
from torch import Generator

from autograder.exercises import properties
from autograder.exercises.base import Exercise, Failed, Probe, check_of, relative_change
from autograder.exercises.cross_attention import masking
from autograder.exercises.cross_attention.asking import EXAMPLE, NAME, SIZES, SUBJECT, bare, draw, update
from autograder.exercises.module import SAME, SEES

LESSON = "lesson 5.3, “Cross-attention”"
LARGEST = 0.133, 0.6  # of eight weights: 0.15 to 0.35 if scores are divided by √d, above 0.75 if not, 0.127 if by d
LARGE = 1e4  # image tokens so large that what the context adds is small beside them
FOUR, NARROW = (64, 24, 4), (1024, 24, 64)  # sizes with four heads, and with heads of size 16
OWN = 0.03  # of the largest direction: at least 0.24 for the fourth of four heads, below 1e-4 beyond the last
UNEVEN = 0.04  # from equal weights: at least 0.09 if scores are divided by √d, 0.02 if by √image_dim


def contract(probe: Probe, rng: Generator) -> None:
    for args, sizes in (((32, 16), (2, 3, 4)), ((16, 40, 1), (3, 7, 3)), ((64, 64, 8), (1, 1, 6))):
        a = draw(rng, sizes[0], args, *sizes[1:])
        one = {**bare(a), "context": a["context"][:, :1]}
        SUBJECT.finite(probe, rng, a, bare(a), one, args=args)
    SUBJECT.finite(probe, rng, draw(rng, 2, (24, 10)), args=(24, 10), kwargs={"num_heads": 2})


def residual(probe: Probe, rng: Generator) -> None:
    a, more = bare(draw(rng, 3, SUBJECT.args)), torch.randn(3, 6, 32, generator=rng)
    one, two = SUBJECT.finite(probe, rng, {**a, "x": LARGE * a["x"]}, {**a, "x": LARGE * (a["x"] + more)})
    if ((two - one) / LARGE - more).abs().max() > 0.05:
        raise Failed(
            "x is not added to the result: the output is x plus a term of the context's size, however large x is. "
            f"With {EXAMPLE}, attend(1000 * x, context) must be nearly 1000 * x (a residual, with nothing after the "
            "sum)"
        )


def weights_add_up(probe: Probe, rng: Generator) -> None:
    for sizes in SIZES:
        a = bare(draw(rng, sizes[0], SUBJECT.args, *sizes[1:]))
        once, twice = update(SUBJECT, probe, rng, a, {**a, "context": a["context"].repeat(1, 2, 1)})
        if (relative_change(once, twice) > SAME).any():
            raise Failed(
                "the weights over the tokens do not add up to 1: repeating every token must change nothing, so with "
                f"{EXAMPLE}, attend(x, context) and attend(x, torch.cat([context, context], 1)) must agree. The "
                "softmax runs over the tokens, the last axis of the scores (B, heads, L, S). Keys and values come "
                "only from context. A view from (B, S, D) straight to (B, heads, S, d) mixes tokens with heads"
            )


def one_token(probe: Probe, rng: Generator) -> None:
    a = bare(draw(rng, 4, SUBJECT.args))
    (out,) = update(SUBJECT, probe, rng, {**a, "context": a["context"][:, :1]})  # (B, L, D)
    if (out - out[:, :1]).abs().max() > SAME * out.std():
        raise Failed(
            "a single token gets a weight other than 1: a softmax over one score is always 1, so with attend = "
            "CrossAttention(32, 16), x = torch.randn(1, 3, 32), context = torch.randn(1, 1, 16), every position of "
            "attend(x, context) - x must be the same vector. If the weights are 1, look at how heads are split and "
            "merged"
        )


def looks(probe: Probe, rng: Generator) -> None:
    a = bare(draw(rng, 4, SUBJECT.args))
    (out,) = update(SUBJECT, probe, rng, a)  # (B, L, D)
    if ((out - out.mean(1, keepdim=True)).abs().flatten(1).amax(1) < SEES * out.std()).any():
        raise Failed(
            f"every position receives the same mixture of the tokens: with {EXAMPLE} and slightly changed parameters, "
            "the three rows of (attend(x, context) - x)[0] must differ. The weights come from queries (from x) times "
            "keys (from context)"
        )
    attend_by_themselves(probe, rng)


def attend_by_themselves(probe: Probe, rng: Generator) -> None:
    """With two tokens, a head gives each position a share of one vector. So the positions differ in as many directions
    as there are heads."""
    a = bare(draw(rng, 1, FOUR, 16, 3))
    (out,) = update(SUBJECT, probe, rng, {**a, "context": a["context"][:, :2]}, args=FOUR, weights="awake")
    sizes = torch.linalg.svdvals(out[0] - out[0].mean(0))
    if sizes[FOUR[2] - 1] < OWN * sizes[0]:
        raise Failed(
            "the heads do not attend independently, or there are fewer than num_heads: for context of two tokens and "
            "16 positions, torch.linalg.matrix_rank of the rows of (attend(x, context) - x)[0], minus their mean, must "
            "be the number of heads. Split queries, keys and values into num_heads parts, each with a softmax of its "
            "own"
        )


def permuted(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 4, SUBJECT.args)
    order = torch.tensor([3, 0, 4, 1, 2])
    one, two = SUBJECT.finite(probe, rng, a, {**a, "context": a["context"][:, order], "mask": a["mask"][:, order]})
    if (relative_change(one, two) > SAME).any():
        raise Failed(
            f"the result depends on the order of the tokens: with {EXAMPLE}, attend(x, context) and attend(x, "
            "context.flip(1)) must agree (with a mask, flip it too). The text encoder has already encoded word order "
            "in the tokens"
        )


def divides(probe: Probe, rng: Generator, weights: str) -> None:
    """With one head, the context adds a mixture of what each token adds alone, so the weights can be read off.

    The layer has learnt nothing, and should look at several tokens.
    """
    wide, tokens = (1024, 24, 1), 8
    a = bare(draw(rng, 2, wide, 6, tokens))
    alone = [{**a, "context": a["context"][:, s : s + 1]} for s in range(tokens)]
    whole, *each = update(SUBJECT, probe, rng, a, *alone, args=wide, weights=weights)  # (B, L, D) each
    values = torch.stack([one[:, 0] for one in each], 2)  # (B, D, S)
    shares = torch.linalg.lstsq(values, whole.mT).solution  # (B, S, L)
    if not (values @ shares - whole.mT).abs().max() < 0.01 * whole.abs().max():
        raise Failed(
            "with one head, a position does not receive a weighted mixture of the tokens, one weight for each: "
            "num_heads is the number of heads and image_dim // num_heads their size, not the other way round"
        )
    largest = float(shares.amax(1).mean())
    if not LARGEST[0] < largest < LARGEST[1]:
        raise Failed(
            "a fresh layer with wide heads gives "
            f"{'all tokens equal weight' if largest < LARGEST[0] else 'nearly all weight to one token'}: products of "
            "queries and keys of size d grow like the square root of d, so divide the scores by it. With attend = "
            "CrossAttention(1024, 16, 1) and x = torch.randn(1, 3, 1024), print the weights after the softmax"
        )
    a = bare(draw(rng, 2, NARROW, 6, tokens))
    alone = [{**a, "context": a["context"][:, s : s + 1]} for s in range(tokens)]
    whole, *each = update(SUBJECT, probe, rng, a, *alone, args=NARROW, weights=weights)  # (B, L, D) each
    values = torch.stack(each)  # (S, B, L, D)
    apart = (values - values.mean(0)).square().sum((1, 2, 3)).mean().sqrt()
    if not (whole - values.mean(0)).norm() > UNEVEN * apart:
        raise Failed(
            "a fresh layer with many narrow heads gives all tokens equal weight: d in √d is the size of one head, "
            "image_dim // num_heads, and not image_dim"
        )


BLIND = (
    f"the output does not depend on the context: with {EXAMPLE}, slightly changed parameters (a last layer may start "
    "at zero) and another context, the output of every image must change"
)
check = partial(check_of, NAME, LESSON)
EXERCISE = Exercise(
    assignment="5_3_conditioning",
    position=2,
    name="cross_attention",
    answers=(NAME,),
    operations="blocks",
    library=("__init__",),
    hidden=("attention", "layers", "text", "unet", "unet2d"),
    checks=(
        check("keeps its contract", 0.75, contract),
        check("x is added to the result", 0.75, residual),
        check("the output depends on the context", 1.0, partial(properties.depends_on, SUBJECT, "context", BLIND)),
        check("the weights over the tokens add up to 1", 1.0, weights_add_up),
        check("one token alone gets the weight 1", 0.5, one_token),
        check("each position has a mixture of its own", 0.75, looks),
        check("one wide head mixes several tokens", 0.5, partial(properties.however_initialised, divides)),
        check("masked tokens have no influence", 1.0, masking.masked_is_unseen),
        check("masking is leaving out", 0.75, masking.masked_is_left_out),
        check("the order of the tokens does not matter", 0.25, permuted),
        check("a row with no allowed token stays finite", 0.5, masking.empty_row),
        check("and so does its gradient", 0.25, masking.empty_gradient),
        *properties.of_every_module(SUBJECT, LESSON, {"x": (1e4, 1.0, 0.0), "context": (1.0, 1e3, 0.0)}),
    ),
    written=("cross_attention_written",),
)
