"""Properties that every answer that is a module must have, whatever it does (module.py)."""

from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Message
from autograder.exercises.base import AnswerError, Check, Failed, Probe, check_of, relative_change, tensor
from autograder.exercises.calls import PLACES, seed_of
from autograder.exercises.module import SAME, SEES, Batch, Subject, changes, mixed

REACHED = 0.9  # of the parameters; a bias before a norm, for one, gets no gradient and is no error
ROWS_REACHED = 0.95  # of a block's: an idle query, key or output layer is 6 % and more
MANY = 10**8  # parameters, beyond which they are told as so many
STEPS, WAY = 512, 4.0  # from one draw of an input to another, and beyond
JUMP = 100  # times the usual step: without a division 37 and less, with one mostly 1,000 and more
BUDGET = 4  # times the parameters of the model solution
DEVICE_HINT = (
    "make new tensors with device=x.device or torch.zeros_like(x), keep constants with self.register_buffer, and call "
    "neither .cuda() nor .cpu()"
)
Scales = dict[str, tuple[float, ...]]  # by input: its factors, one call after the other


def of_every_module(subject: Subject, lesson: str, scales: Scales) -> tuple[Check, ...]:
    """The checks that every module gets; `scales` names its inputs."""
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
    """number of total, in percent: no more digits than that, since both are the child's word."""
    return f"{min(max(number / total, 0), 1):.0%}" if total else "none"


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
                f"{subject.example}, other values in sample 1 must not change the output of sample 0. Look for "
                "[0], a mean over the batch, a batch norm, or a reshape that mixes the batch with another axis"
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
                    f"the output holds nan or inf for {sizes}: with {subject.example}, multiply by these numbers; "
                    "look for an exp, a division, or a root that needs a small number added"
                )
    *_, name = scales
    a, b = (subject.draw(rng, 1, subject.args) for _ in "ab")
    way = torch.linspace(-WAY, WAY, STEPS).view(-1, *[1] * (a[name].dim() - 1))
    same = {k: v.expand(STEPS, *v.shape[1:]) for k, v in a.items()}
    (out,) = subject.finite(probe, rng, {**same, name: a[name] * (1 - way) + b[name] * way})
    if jumps(out):
        raise Failed(
            f"the output jumps where `{name}` moves a little: with {subject.example}, go from one {name} to another in "
            "500 small steps; look for a division by something that learns, since it may pass zero"
        )


def jumps(outs: Tensor) -> bool:
    """Does one of many small steps of an input move the output far more than most do? outs: (STEPS, …)."""
    steps = (outs[1:].double() - outs[:-1]).flatten(1).norm(dim=1)
    return bool(steps.max() > JUMP * steps.median())


def gradients(subject: Subject, probe: Probe, rng: Generator, batch: Batch, names: tuple[str, ...]) -> Message:
    """What the child says of the parameters' gradients, and those of the inputs `names`, of a random projection."""
    onto = {"weights": torch.randn(subject.shape(batch, subject.args), generator=rng)}
    return subject.both(probe, "gradient", batch, more=onto, seed=seed_of(rng), of=[f"{n}0" for n in names])


def reached(subject: Subject, names: tuple[str, ...], probe: Probe, rng: Generator) -> None:
    batch = subject.draw(rng, 3, subject.args)
    reply, grads = gradients(subject, probe, rng, batch, names)
    for name in names:
        grad = tensor(grads, f"{name}0", tuple(batch[name].shape), f"the gradient of `{name}`")
        if not torch.isfinite(grad).all():
            raise Failed(f"the gradient of `{name}` is nan or infinite: backward() from {subject.example}")
        if (grad.abs().flatten(1).amax(1) == 0).any():
            raise Failed(
                f"no gradient reaches `{name}`: with {subject.example} and {name}.requires_grad_(), out.sum()"
                ".backward() must fill its .grad; look for .detach(), .data or torch.no_grad()"
            )
    number, total = reply.get("reached"), reply.get("parameters")
    if type(number) is not int or type(total) is not int or reply.get("finite") is not True:
        raise Failed(f"the parameters' gradients are nan or infinite: backward() from {subject.example}")
    if total == 0 or number < ROWS_REACHED * total:
        raise Failed(
            f"gradient reaches {share(number, total)} of the parameters: a layer is made in __init__ and not used in "
            "forward, or only in part (as where queries serve as keys, too), or a .detach() cuts it off"
        )


def autocast(subject: Subject, probe: Probe, rng: Generator) -> None:
    subject.finite(probe, rng, subject.draw(rng, 3, subject.args), autocast=True)


def deterministic(subject: Subject, probe: Probe, rng: Generator) -> None:
    a, other = (subject.draw(rng, 3, subject.args) for _ in "ab")
    one, _, again = subject.finite(probe, rng, a, other, a)
    if (relative_change(one, again) > 1e-6).any():
        raise Failed(
            "two calls in eval mode with the same inputs differ, with another call in between: with "
            f"{subject.example}, call it twice and compare; look for randomness outside nn.Dropout, and for "
            "anything that forward stores in self"
        )


def keeps_device(subject: Subject, probe: Probe, rng: Generator) -> None:
    asked: dict[str, Any] = {"seed": 0, "weights": "fresh", "elsewhere": True}
    try:
        about, _ = subject.both(probe, "forward", subject.draw(rng, 3, subject.args), **asked)
    except AnswerError as e:
        if PLACES.search(e.text):
            raise Failed(f"{subject.name} does not work after .to('cuda'): {DEVICE_HINT} ({e})") from e
        raise
    if about.get("elsewhere") is not True:
        raise Failed(f"{subject.name} returns a tensor on another device than its inputs: {DEVICE_HINT}")


def budget(subject: Subject, probe: Probe, rng: Generator) -> None:
    reply, _ = subject.both(probe, "parameters", seed=0, weights="fresh")
    number, most = reply.get("parameters"), BUDGET * subject.usual(subject.args)
    if type(number) is not int:
        raise Failed("the number of parameters could not be read")
    if not 0 < number <= most:
        raise Failed(
            f"{subject.name}({', '.join(map(str, subject.args))}) has {min(max(number, 0), MANY):,} parameters, where "
            f"at least one and at most {most:,} are allowed: sum(p.numel() for p in module.parameters())"
        )
