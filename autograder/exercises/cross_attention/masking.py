"""Checks of the mask: a masked token must have the same effect as no token."""

import torch
from torch import Generator

from autograder.exercises import properties
from autograder.exercises.base import Failed, Probe, relative_change
from autograder.exercises.cross_attention.asking import EXAMPLE, SIZES, SUBJECT, bare, draw
from autograder.exercises.module import SAME, SEES, Batch

LOUD = 200.0  # how large tokens are whose scores reach hundreds


def masked_is_unseen(probe: Probe, rng: Generator) -> None:
    mask_of = "with mask = torch.tensor([[True, True, False, False, False]])"
    for sizes in SIZES:
        a, other = (draw(rng, sizes[0], SUBJECT.args, *sizes[1:]) for _ in "ab")
        allowed = a["mask"][..., None]  # (B, S, 1)
        hidden = {**a, "context": torch.where(allowed, a["context"], 3 * other["context"])}
        shown = {**a, "context": torch.where(allowed, other["context"], a["context"])}
        faint, loud = (  # beside masked tokens of large scores, and beside allowed ones
            [{**a, "context": torch.where(allowed, p * a["context"], q * x["context"])} for x in (a, other)]
            for p, q in ((1.0, LOUD), (LOUD, 1.0))
        )
        out, of_hidden, of_shown, *large = SUBJECT.finite(probe, rng, a, hidden, shown, *faint, *loud)
        if (relative_change(out, of_hidden) > SAME).any():
            raise Failed(
                f"masked tokens affect the output: with {EXAMPLE}, {mask_of}, changing context[:, 2:] must not change "
                "attend(x, context, mask). True means that a token may be attended to. Reshape the mask (B, S) to (B, "
                "1, 1, S) to match the scores (B, heads, L, S)"
            )
        if (relative_change(out, of_shown) < SEES).any():
            raise Failed(
                f"allowed tokens do not affect the output: with {EXAMPLE}, {mask_of}, changing context[:, :2] must "
                "change attend(x, context, mask). True means that a token may be attended to"
            )
        if any((relative_change(one, two) > SAME).any() for one, two in ((out, large[0]), large[:2], large[2:])):
            raise Failed(
                f"masked tokens affect the output when scores are large: with {EXAMPLE}, {mask_of}, 200 * context must "
                "still give the same for another context[:, 2:]. A score lowered by 10, say, still counts beside lower "
                "ones: set masked scores to -inf, or to a number as large as -1e9"
            )


def masked_is_left_out(probe: Probe, rng: Generator) -> None:
    for i, sizes in enumerate(SIZES):
        a = draw(rng, sizes[0], SUBJECT.args, *sizes[1:])
        count = 1 + i % 3
        order = torch.rand(sizes[0], sizes[2], generator=rng).argsort(1)  # (B, S)
        kept = order[:, :count]
        mask = torch.zeros(sizes[0], sizes[2], dtype=torch.bool).scatter_(1, kept, True)
        context = a["context"].gather(1, kept[..., None].expand(-1, -1, 24))  # (B, count, text_dim)
        everything = torch.ones_like(mask)
        masked, left_out, full, free = SUBJECT.finite(
            probe, rng, {**a, "mask": mask}, {**bare(a), "context": context}, {**a, "mask": everything}, bare(a)
        )
        if (relative_change(full, free) > SAME).any():
            raise Failed(f"a mask that is True everywhere does not act like no mask: try it with {EXAMPLE}")
        if (relative_change(masked, left_out) > SAME).any():
            raise Failed(
                "masking tokens differs from leaving them out, so the remaining weights do not add up to 1: with "
                f"{EXAMPLE}, mask = torch.tensor([[True, True, False, False, False]]), compare attend(x, context, "
                "mask) with attend(x, context[:, :2]). Set the scores to -inf before the softmax; setting weights to "
                "0 after it is too late"
            )


def empty_rows(rng: Generator) -> Batch:
    """A batch in which some rows have no allowed token."""
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
                    "a row with no allowed token gives nan or inf: the softmax of a row of -inf is 0 / 0. Try it "
                    f"{EMPTY}. Let such a row attend to anything, but add nothing to x for it"
                )


def empty_gradient(probe: Probe, rng: Generator) -> None:
    reply, grads = properties.gradients(SUBJECT, probe, rng, empty_rows(rng), ("x", "context"))
    if reply.get("finite") is not True or not all(torch.isfinite(g).all() for g in grads.values()):
        raise Failed(
            "a row with no allowed token gives nan gradients, and one training step with it ruins all parameters: run "
            f"backward() {EMPTY}. Replacing the nan after the softmax fixes the output but not the gradient, so the "
            "softmax must never get a row of only -inf"
        )
