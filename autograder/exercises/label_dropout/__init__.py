"""The label_dropout exercise: each label of a batch is replaced by the null class independently."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Exercise, Failed, Probe, check_of
from autograder.exercises.calls import Returned, Seeded, call, keeps_device, same, seed_of

LESSON = "lesson 5.2, “Dropping labels”"
NAME = "drop_labels"
SIGMAS = 6.0  # how far a fraction may be from its mean: by chance once in five hundred million


def classes(rng: Generator) -> int:
    """K, also the index of the null class; never 10 as with the digits."""
    return int(torch.randint(11, 60, (), generator=rng))


def drawn(rng: Generator, count: int, null: int = 0) -> tuple[Tensor, int]:
    """Labels (count,), and the null class."""
    null = null or classes(rng)
    return torch.randint(null, (count,), generator=rng), null


def drop(probe: Probe, y: Tensor, p: float, null: int, rng: Generator, **more: object) -> Returned:
    generator = Seeded(seed_of(rng))
    return call(probe, NAME, y, p, null, generator, rename=("labels",), **more)


def contract(probe: Probe, rng: Generator) -> None:
    for count in (1, 7, 128):
        y, null = drawn(rng, count)
        for p in (0.0, 0.5, 1.0):
            drop(probe, y, p, null, rng).unchanged().tensor((count,), torch.int64)


def new_tensor(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 16, null=20)
    for p in (0.0, 0.5, 1.0):
        if "labels" in (drop(probe, y, p, null, rng).about.get("shares") or ()):
            raise Failed(
                "the result is the input itself or shares its memory: with y = torch.tensor([1, 2]), writing to "
                "drop_labels(y, 0.0, 10) must not change y"
            )


def null_or_kept(probe: Probe, rng: Generator) -> None:
    for _ in range(3):
        y, null = drawn(rng, 200)
        out = drop(probe, y, 0.4, null, rng).tensor((200,))
        if not ((out == y) | (out == null)).all():
            raise Failed(
                "some labels are neither kept nor replaced by null_class: look at drop_labels(torch.tensor([1, 2, "
                "3]), 0.5, 77). Each entry must be the original label or 77"
            )


def never_and_always(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 500)
    if not torch.equal(drop(probe, y, 0.0, null, rng).tensor((500,)).long(), y):
        raise Failed("with p_uncond = 0, some labels are dropped: look at drop_labels(torch.arange(5), 0.0, 10)")
    if not (drop(probe, y, 1.0, null, rng).tensor((500,)) == null).all():
        raise Failed("with p_uncond = 1, some labels are kept: look at drop_labels(torch.arange(5), 1.0, 10)")


def far(dropped: Tensor, p: float) -> bool:
    """Is the fraction of dropped labels further from p than chance allows?"""
    n = dropped.numel()
    return abs(float(dropped.double().mean()) - p) > SIGMAS * (p * (1 - p) / n) ** 0.5


def right_share(probe: Probe, rng: Generator) -> None:
    for p in (0.15, 0.3 + 0.5 * float(torch.rand((), generator=rng))):
        y, null = drawn(rng, 100_000)
        if far(drop(probe, y, p, null, rng).tensor((100_000,)) == null, p):
            raise Failed(
                "the fraction of dropped labels is not p_uncond: with labels = torch.zeros(100_000).long(), compute "
                "(drop_labels(labels, 0.15, 10) == 10).float().mean()"
            )


def own_coin(probe: Probe, rng: Generator) -> None:
    p, batch, times = 0.3, 8, 600
    y, null = drawn(rng, batch)
    out = drop(probe, y, p, null, rng, repeat=times).tensor((times, batch)) == null  # (times, B)
    counts = out.sum(1).double()  # binomial: mean B·p, variance B·p·(1 - p)
    spread = batch * p * (1 - p)
    hint = (
        "call drop_labels(torch.zeros(8).long(), 0.3, 10) a few times and count the 10s. There should be mostly "
        "between 0 and 5, not always the same number, and not all or none"
    )
    if not 0.6 * spread < counts.var() < 1.6 * spread:
        raise Failed(f"the labels of a batch are not dropped independently: {hint}")
    if any(far(out[:, i], p) for i in range(batch)):
        raise Failed(
            f"some positions in the batch are dropped more often than others: {hint}. Also compare the positions"
        )


def single_labels(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 1)
    if far(drop(probe, y, 0.3, null, rng, repeat=1500).tensor((1500, 1)) == null, 0.3):
        raise Failed(
            "in a batch of one, the label is not dropped with probability p_uncond: call "
            "drop_labels(torch.tensor([3]), 0.3, 10) a hundred times. Rounding B · p_uncond to a whole number of "
            "labels drops it never or always"
        )


def every_class(probe: Probe, rng: Generator) -> None:
    null, p = 12, 0.25
    y = torch.arange(12_000) % null
    out = drop(probe, y, p, null, rng).tensor((12_000,)) == null
    if any(far(out[y == k], p) for k in range(null)):
        raise Failed("some classes are dropped more often than others: compute the fraction dropped for each class")


def repeatable(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 400)
    one, other = (Seeded(seed_of(rng)) for _ in range(2))
    first, again, different = (call(probe, NAME, y, 0.5, null, g, seed=i) for i, g in enumerate((one, one, other)))
    if not same(first.tensor((400,)), again.tensor((400,))):
        raise Failed(
            "generators with the same seed do not drop the same labels: pass generator to the function that draws"
        )
    if same(first.tensor(), different.tensor((400,))):
        raise Failed("generators with different seeds drop the same labels: is a seed fixed inside the function?")
    twice = call(probe, NAME, y, 0.5, null, one, repeat=2).tensor((2, 400))
    if same(twice[0], twice[1]):
        raise Failed(
            "a second call with the same generator drops the same labels again: do not reset the generator or copy it"
        )


def global_stream(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 400)
    if drop(probe, y, 0.5, null, rng).about.get("drew"):
        raise Failed(
            "although a generator is given, random numbers are also drawn from torch's global generator: draw only "
            "from the generator that is given, so that runs stay comparable"
        )
    one, two = (call(probe, NAME, y, 0.5, null, seed=i).tensor((400,)) for i in range(2))
    if same(one, two):
        raise Failed(
            "without a generator, the same labels are dropped every time: draw from torch's global generator in that "
            "case"
        )


def device(probe: Probe, rng: Generator) -> None:
    y, null = drawn(rng, 20, null=30)
    keeps_device(probe, NAME, y, 0.5, null, seed=seed_of(rng))


check = partial(check_of, NAME, LESSON)
EXERCISE = Exercise(
    assignment="5_2_guidance",
    position=1,
    name="label_dropout",
    answers=(NAME,),
    operations="functions",
    library=("__init__",),
    hidden=("training",),
    checks=(
        check("keeps its contract", 1.0, contract),
        check("a new tensor", 0.5, new_tensor),
        check("null_class or kept", 1.5, null_or_kept),
        check("never at 0, always at 1", 1.0, never_and_always),
        check("the share is p_uncond", 1.5, right_share),
        check("a coin for each label", 2.0, own_coin),
        check("a batch of one", 0.5, single_labels),
        check("every class alike", 0.5, every_class),
        check("the generator decides", 0.5, repeatable),
        check("the global stream only where it should", 0.5, global_stream),
        check("keeps the device", 0.5, device),
    ),
    written=("label_dropout_written",),
)
