"""Properties that every module answer must have, whatever it does (module.py)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Message
from autograder.exercises.base import AnswerError, Check, Failed, Probe, check_of, relative_change, tensor
from autograder.exercises.calls import PLACES, seed_of
from autograder.exercises.module import SAME, SEES, Batch, Subject, changes, mixed

REACHED = 0.9  # of the parameters; a bias before a norm, for example, rightly gets no gradient
ROWS_REACHED = 0.95  # of a block's parameters: an idle query, key or output layer is 6 % or more
MANY = 10**8  # parameters; larger counts are shown as this number
STEPS, WAY = 512, 4.0  # from one draw of an input to another, and beyond
JUMP = 100  # times the usual step: at most 37 without a division, mostly over 1,000 with one
BUDGET = 4  # times the parameters of the model solution
DEVICE_HINT = (
    "create tensors with device=x.device or torch.zeros_like(x), register constants with self.register_buffer, and do "
    "not call .cuda() or .cpu()"
)
Scales = dict[str, tuple[float, ...]]  # by input: its factors, one per call


def of_every_module(subject: Subject, lesson: str, scales: Scales) -> tuple[Check, ...]:
    """The checks every module gets; `scales` names its inputs."""
    check, names = partial(check_of, subject.name, lesson), tuple(scales)
    return (
        check("sample i depends only on sample i", 0.5, partial(own_sample_only, subject)),
        check("finite at large inputs", 0.25, partial(stays_finite, subject, scales)),
        check(f"gradient reaches {', '.join(names)} and the parameters", 0.25, partial(reached, subject, names)),
        check("runs under bfloat16 autocast", 0.25, partial(autocast, subject)),
        check("deterministic in eval mode", 0.25, partial(deterministic, subject)),
        check("keeps the device", 0.25, partial(keeps_device, subject)),
        check("stays within the parameter budget", 0.25, partial(budget, subject)),
    )


def share(number: int, total: int) -> str:
    """number of total in whole percent: both are the child's word, so no more digits are shown."""
    return f"{min(max(number / total, 0), 1):.0%}" if total else "none"


def however_initialised(run: Callable[[Probe, Generator, str], None], probe: Probe, rng: Generator) -> None:
    """A check of a module that has learnt nothing: with its own initial weights or, if these are unusually small or
    large, with such as torch draws (`weights` of child/blocks.py)."""
    try:
        run(probe, rng, "awake")
    except Failed as fresh:
        try:
            run(probe, rng, "drawn")
        except Failed:
            raise fresh from None


def depends_on(subject: Subject, name: str, message: str, probe: Probe, rng: Generator) -> None:
    a, other = (subject.draw(rng, 4, subject.args) for _ in "ab")
    one, two = subject.finite(probe, rng, a, {**a, name: other[name]})
    if (relative_change(one, two) < SEES).any():
        raise Failed(message)


def own_sample_only(subject: Subject, probe: Probe, rng: Generator) -> None:
    a, other = (subject.draw(rng, 4, subject.args) for _ in "ab")
    keep = torch.arange(4) < 2
    batches = a, mixed(a, other, keep), mixed(a, other, ~keep)
    for training in (False, True):
        if (changes(*subject.finite(probe, rng, *batches, training=training)) > SAME).any():
            raise Failed(
                f"sample i depends on other samples of the batch{' in training mode' if training else ''}: with "
                f"{subject.example}, changing sample 1 must not change the output of sample 0. Look for [0], a mean "
                "over the batch, a batch norm, or a reshape that mixes the batch with another axis"
            )


def stays_finite(subject: Subject, scales: Scales, probe: Probe, rng: Generator) -> None:
    for factors in zip(*scales.values()):
        batch = subject.draw(rng, 3, subject.args)
        batch |= {k: batch[k] * f for k, f in zip(scales, factors)}
        for weights in ("fresh", "perturbed"):
            (out,) = subject.ask(probe, rng, batch, weights=weights)
            if not torch.isfinite(out).all():
                sizes = ", ".join(f"{k} of size {f:g}" for k, f in zip(scales, factors))
                raise Failed(
                    f"the output contains nan or inf for {sizes}: start from {subject.example}, multiply by these "
                    "numbers, and look for an exp, a division, or a root that needs a small number added"
                )
    *_, name = scales
    a, b = (subject.draw(rng, 1, subject.args) for _ in "ab")
    way = torch.linspace(-WAY, WAY, STEPS).view(-1, *[1] * (a[name].dim() - 1))
    same = {k: v.expand(STEPS, *v.shape[1:]) for k, v in a.items()}
    (out,) = subject.finite(probe, rng, {**same, name: a[name] * (1 - way) + b[name] * way})
    if jumps(out):
        raise Failed(
            f"the output jumps when `{name}` changes a little: with {subject.example}, go from one {name} to another "
            "in 500 small steps. Look for a division by something learnt, which can pass through zero"
        )


def jumps(outs: Tensor) -> bool:
    """Does one of many small steps of an input move the output far more than the others? outs: (STEPS, …)."""
    steps = (outs[1:].double() - outs[:-1]).flatten(1).norm(dim=1)
    return bool(steps.max() > JUMP * steps.median())


def gradients(subject: Subject, probe: Probe, rng: Generator, batch: Batch, names: tuple[str, ...]) -> Message:
    """The child's report on the parameters' gradients, and those of the inputs `names`, for a random projection."""
    onto = {"weights": torch.randn(subject.shape(batch, subject.args), generator=rng)}
    return subject.both(probe, "gradient", batch, more=onto, seed=seed_of(rng), of=[f"{n}0" for n in names])


def reached(subject: Subject, names: tuple[str, ...], probe: Probe, rng: Generator) -> None:
    batch = subject.draw(rng, 3, subject.args)
    reply, grads = gradients(subject, probe, rng, batch, names)
    for name in names:
        grad = tensor(grads, f"{name}0", tuple(batch[name].shape), f"the gradient of `{name}`")
        if not torch.isfinite(grad).all():
            raise Failed(
                f"the gradient of `{name}` is nan or infinite: with {subject.example}, run out.sum().backward(), and "
                "look for a division or a root near zero"
            )
        if (grad.abs().flatten(1).amax(1) == 0).any():
            raise Failed(
                f"no gradient reaches `{name}`: with {subject.example} and {name}.requires_grad_(), "
                f"out.sum().backward() must fill {name}.grad. Look for .detach(), .data or torch.no_grad()"
            )
    number, total = reply.get("reached"), reply.get("parameters")
    if type(number) is not int or type(total) is not int or reply.get("finite") is not True:
        raise Failed(
            f"the parameters' gradients are nan or infinite: with {subject.example}, run out.sum().backward(), and "
            "look for a division or a root near zero"
        )
    if total == 0 or number < ROWS_REACHED * total:
        raise Failed(
            f"gradient reaches {share(number, total)} of the parameters: look for a layer that is created in __init__ "
            "but not used, or only partly used, in forward (such as queries that also serve as keys), or a .detach()"
        )


def autocast(subject: Subject, probe: Probe, rng: Generator) -> None:
    subject.finite(probe, rng, subject.draw(rng, 3, subject.args), autocast=True)


def deterministic(subject: Subject, probe: Probe, rng: Generator) -> None:
    a, other = (subject.draw(rng, 3, subject.args) for _ in "ab")
    one, _, again = subject.finite(probe, rng, a, other, a)
    if (relative_change(one, again) > 1e-6).any():
        raise Failed(
            "two calls in eval mode with the same inputs give different outputs, with another call in between: with "
            f"{subject.example}, call it twice and compare. Look for randomness outside nn.Dropout, and for anything "
            "that forward stores in self"
        )


def keeps_device(subject: Subject, probe: Probe, rng: Generator) -> None:
    asked: dict[str, Any] = {"seed": 0, "weights": "fresh", "elsewhere": True}
    stays_there(subject.name, partial(subject.both, probe, "forward", subject.draw(rng, 3, subject.args), **asked))


def stays_there(name: str, ask: Callable[[], Message]) -> None:
    """Failed if what is asked `elsewhere`, as if on a GPU, mixes its inputs with tensors on the CPU or returns one."""
    try:
        about, _ = ask()
    except AnswerError as e:
        if PLACES.search(e.text):
            raise Failed(f"{name} fails after .to('cuda'): {DEVICE_HINT} ({e})") from e
        raise
    if about.get("elsewhere") is not True:
        raise Failed(f"{name} returns a tensor on a different device from its inputs: {DEVICE_HINT}")


def budget(subject: Subject, probe: Probe, rng: Generator) -> None:
    reply, _ = subject.both(probe, "parameters", seed=0, weights="fresh")
    number, most = reply.get("parameters"), BUDGET * subject.usual(subject.args)
    if type(number) is not int:
        raise Failed("the number of parameters could not be read")
    if not 0 < number <= most:
        raise Failed(
            f"{subject.name}({', '.join(map(str, subject.args))}) has {min(max(number, 0), MANY):,} parameters, but "
            f"must have at least one and at most {most:,}: count them with sum(p.numel() for p in module.parameters())"
        )
