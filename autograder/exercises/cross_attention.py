"""Checks of the cross_attention exercise: image tokens ask, context tokens answer. Any projections pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises import blocks
from autograder.exercises.base import Check, Exercise, Failed, Probe, relative_change
from autograder.exercises.blocks import SAME, SEES, Batch, Subject

LESSON = "lesson 5.3, “Cross-attention”"
NAME = "CrossAttention"
LARGE = 1e4  # image tokens beside which whatever the context adds is small
EXAMPLE = "attend = CrossAttention(32, 16), x = torch.randn(1, 3, 32), context = torch.randn(1, 5, 16)"


def draw(rng: Generator, batch: int, args: tuple[Any, ...], length: int = 6, tokens: int = 5) -> Batch:
    """Image tokens, context, and a mask that allows at least two tokens of each row and forbids at least one."""
    return {
        "x": torch.randn(batch, length, args[0], generator=rng),
        "context": torch.randn(batch, tokens, args[1], generator=rng),
        "mask": masks(rng, batch, tokens),
    }


def masks(rng: Generator, batch: int, tokens: int) -> Tensor:
    """(B, S) bool, of another pattern in each row: 2 … S - 1 tokens are allowed."""
    count = 2 + torch.randint(tokens - 2, (batch, 1), generator=rng)  # (B, 1)
    return torch.rand(batch, tokens, generator=rng).argsort(1).argsort(1) < count


def bare(batch: Batch) -> Batch:
    """Without the mask."""
    return {k: v for k, v in batch.items() if k != "mask"}


SUBJECT = Subject(
    NAME,
    args=(32, 24, 4),
    draw=draw,
    shape=lambda batch, args: tuple(batch["x"].shape),
    usual=lambda args: 2 * args[0] * (args[0] + args[1]) + 6 * args[0],
    example=EXAMPLE,
)
# B, L and S that coincide with each other and with the four heads hide a wrong broadcast, so there are some of each
SIZES = ((4, 4, 4), (4, 6, 5), (2, 5, 7), (5, 5, 4))


def update(subject: Subject, probe: Probe, rng: Generator, *batches: Batch, **more: Any) -> list[Tensor]:
    """What the context adds to x, in float64."""
    outs = subject.finite(probe, rng, *batches, **more)
    return [out.double() - b["x"].double() for out, b in zip(outs, batches)]


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
            "x is not added to the result: the output is x plus what the context says, which has the size of the "
            f"context however large x is. With {EXAMPLE}, attend(1000 * x, context) must be nearly 1000 * x (residual, "
            "with nothing after the sum)"
        )


def weights_add_up(probe: Probe, rng: Generator) -> None:
    for sizes in SIZES:
        a = bare(draw(rng, sizes[0], SUBJECT.args, *sizes[1:]))
        once, twice = update(SUBJECT, probe, rng, a, {**a, "context": a["context"].repeat(1, 2, 1)})
        if (relative_change(once, twice) > SAME).any():
            raise Failed(
                "the weights over the tokens do not add up to 1: saying everything twice must change nothing, so with "
                f"{EXAMPLE}, attend(x, context) and attend(x, torch.cat([context, context], 1)) must agree. The "
                "softmax runs over the last axis of the scores (B, heads, L, S), the tokens; keys and values come from "
                "context alone; a view from (B, S, D) straight to (B, heads, S, d) mixes tokens with heads"
            )


def one_token(probe: Probe, rng: Generator) -> None:
    a = bare(draw(rng, 4, SUBJECT.args))
    (out,) = update(SUBJECT, probe, rng, {**a, "context": a["context"][:, :1]})  # (B, L, D)
    if (out - out[:, :1]).abs().max() > SAME * out.std():
        raise Failed(
            "one token alone gets weights other than 1: a softmax over one score is 1 whatever is asked, so with "
            "attend = CrossAttention(32, 16), x = torch.randn(1, 3, 32), context = torch.randn(1, 1, 16), every "
            "position of attend(x, context) - x must hold the same vector; if weights are 1, look at how heads are cut "
            "and put together again"
        )


def looks(probe: Probe, rng: Generator) -> None:
    a = bare(draw(rng, 4, SUBJECT.args))
    (out,) = update(SUBJECT, probe, rng, a)  # (B, L, D)
    if ((out - out.mean(1, keepdim=True)).abs().flatten(1).amax(1) < SEES * out.std()).any():
        raise Failed(
            f"every position receives the same mixture of the tokens: with {EXAMPLE} and parameters that have been "
            "moved a little, the three rows of (attend(x, context) - x)[0] must differ. The weights come from queries "
            "(of x) times keys (of context)"
        )


def masked_is_unseen(probe: Probe, rng: Generator) -> None:
    mask_of = "with mask = torch.tensor([[True, True, False, False, False]])"
    for sizes in SIZES:
        a, other = (draw(rng, sizes[0], SUBJECT.args, *sizes[1:]) for _ in "ab")
        allowed = a["mask"][..., None]  # (B, S, 1)
        hidden = {**a, "context": torch.where(allowed, a["context"], 3 * other["context"])}
        shown = {**a, "context": torch.where(allowed, other["context"], a["context"])}
        out, of_hidden, of_shown = SUBJECT.finite(probe, rng, a, hidden, shown)
        if (relative_change(out, of_hidden) > SAME).any():
            raise Failed(
                f"masked tokens have an influence: with {EXAMPLE}, {mask_of}, changing context[:, 2:] must not change "
                "attend(x, context, mask). True means that a token may be attended to; mask (B, S) belongs to the "
                "batch and to the tokens of the scores (B, heads, L, S), so it needs the shape (B, 1, 1, S)"
            )
        if (relative_change(out, of_shown) < SEES).any():
            raise Failed(
                f"tokens that are allowed have no influence: with {EXAMPLE}, {mask_of}, changing context[:, :2] must "
                "change attend(x, context, mask). True means that a token may be attended to"
            )


def masked_is_left_out(probe: Probe, rng: Generator) -> None:
    for sizes in SIZES:
        a = draw(rng, sizes[0], SUBJECT.args, *sizes[1:])
        order = torch.rand(sizes[0], sizes[2], generator=rng).argsort(1)  # (B, S)
        kept = order[:, :2]
        mask = torch.zeros(sizes[0], sizes[2], dtype=torch.bool).scatter_(1, kept, True)
        context = a["context"].gather(1, kept[..., None].expand(-1, -1, 24))  # (B, 2, text_dim)
        everything = torch.ones_like(mask)
        masked, left_out, full, free = SUBJECT.finite(
            probe, rng, {**a, "mask": mask}, {**bare(a), "context": context}, {**a, "mask": everything}, bare(a)
        )
        if (relative_change(full, free) > SAME).any():
            raise Failed(f"a mask of True everywhere is something else than no mask: try it with {EXAMPLE}")
        if (relative_change(masked, left_out) > SAME).any():
            raise Failed(
                "masking tokens is something else than leaving them out, so the weights of those that are left do not "
                f"add up to 1: with {EXAMPLE}, mask = torch.tensor([[True, True, False, False, False]]), compare "
                "attend(x, context, mask) with attend(x, context[:, :2]). Set the scores to -inf before the softmax; "
                "weights put to 0 after it are too late"
            )


def permuted(probe: Probe, rng: Generator) -> None:
    a = draw(rng, 4, SUBJECT.args)
    order = torch.tensor([3, 0, 4, 1, 2])
    one, two = SUBJECT.finite(probe, rng, a, {**a, "context": a["context"][:, order], "mask": a["mask"][:, order]})
    if (relative_change(one, two) > SAME).any():
        raise Failed(
            f"the order of the tokens matters: with {EXAMPLE}, attend(x, context) and attend(x, context.flip(1)) must "
            "agree (and with the mask flipped too). Word order is in the tokens' own positions, which the text encoder "
            "adds"
        )


def empty_rows(rng: Generator) -> Batch:
    """A batch of which some rows may attend to nothing."""
    a = draw(rng, 3, SUBJECT.args)
    a["mask"][int(torch.randint(3, (), generator=rng))] = False
    return a


EMPTY = f"with {EXAMPLE}, mask = torch.zeros(1, 5, dtype=torch.bool)"


def empty_row(probe: Probe, rng: Generator) -> None:
    for batch in (empty_rows(rng), {**draw(rng, 1, SUBJECT.args), "mask": torch.zeros(1, 5, dtype=torch.bool)}):
        for weights in ("fresh", "perturbed"):
            (out,) = SUBJECT.ask(probe, rng, batch, weights=weights)
            if not torch.isfinite(out).all():
                raise Failed(
                    "a row with no allowed token gives nan or inf: a softmax over nothing but -inf is 0 / 0. See it "
                    f"{EMPTY}; let such a row attend to anything, and add nothing of it"
                )


def empty_gradient(probe: Probe, rng: Generator) -> None:
    reply, grads = blocks.gradients(SUBJECT, probe, rng, empty_rows(rng), ("x", "context"))
    if reply.get("finite") is not True or not all(torch.isfinite(g).all() for g in grads.values()):
        raise Failed(
            "a row with no allowed token gives gradients that are nan, and one step of training with it ruins all "
            f"parameters. See it in backward() {EMPTY}: where -inf was added to the scores, replacing the nan after "
            "the softmax mends the output and not the gradient; the softmax should never see a row of nothing but -inf"
        )


def check(what: str, points: float, run: blocks.Run) -> Check:
    return Check(f"{NAME}: {what}", points, run, answer=NAME, lesson=LESSON)


BLIND = (
    f"the output does not depend on the context: with {EXAMPLE}, parameters that have been moved a little (a zero-"
    "initialised output is right) and another context, the output of every image must change"
)

EXERCISE = Exercise(
    assignment="5_3_conditioning",
    name="cross_attention",
    answers=(NAME,),
    operations="blocks",
    library=("__init__",),
    hidden=("attention", "attention_maps", "layers", "text", "unet", "unet2d"),
    checks=(
        check("keeps its contract", 1.0, contract),
        check("x is added to the result", 1.0, residual),
        check("the output depends on the context", 1.0, blocks.depends_on(SUBJECT, "context", BLIND)),
        check("the weights over the tokens add up to 1", 1.0, weights_add_up),
        check("one token alone gets the weight 1", 0.5, one_token),
        check("each position has a mixture of its own", 0.75, looks),
        check("masked tokens have no influence", 1.0, masked_is_unseen),
        check("masking is leaving out", 0.75, masked_is_left_out),
        check("the order of the tokens does not matter", 0.25, permuted),
        check("a row with no allowed token stays finite", 0.5, empty_row),
        check("and so does its gradient", 0.25, empty_gradient),
        check("sample i depends only on sample i", 0.5, blocks.own_sample_only(SUBJECT)),
        check(
            "finite at large inputs", 0.25,
            blocks.stays_finite(SUBJECT, {"x": (1e4, 1.0, 0.0), "context": (1.0, 1e3, 0.0)}),
        ),
        check("gradient reaches x, context and the parameters", 0.25, blocks.gradient_reaches(SUBJECT, "x", "context")),
        check("runs under bfloat16 autocast", 0.25, blocks.autocast(SUBJECT)),
        check("deterministic in eval mode", 0.25, blocks.deterministic(SUBJECT)),
        check("keeps the device", 0.25, blocks.keeps_device(SUBJECT)),
        check("stays within the parameter budget", 0.25, blocks.budget(SUBJECT)),
    ),
    written=("cross_attention_written",),
)  # fmt: skip
