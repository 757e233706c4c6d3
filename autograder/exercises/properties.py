"""Properties that every answer that is a module must have, whatever it does (module.py)."""

from typing import Any

import torch
from torch import Generator, Tensor

from autograder.exercises.base import AnswerError, Failed, Probe, relative_change
from autograder.exercises.calls import PLACES, Run, seed_of
from autograder.exercises.module import SAME, SEES, Batch, Subject, mixed, spell

REACHED = 0.9  # of the parameters; a bias before a norm, for one, gets no gradient and is no error
BUDGET = 4  # times the parameters of the model solution
DEVICE_HINT = (
    "make new tensors with device=x.device or torch.zeros_like(x), keep constants with self.register_buffer, and call "
    "neither .cuda() nor .cpu()"
)


def depends_on(subject: Subject, name: str, message: str) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        a = subject.draw(rng, 4, subject.args)
        other = subject.draw(rng, 4, subject.args)
        one, two = subject.finite(probe, rng, a, {**a, name: other[name]})
        if (relative_change(one, two) < SEES).any():
            raise Failed(message)

    return check


def own_sample_only(subject: Subject) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        a, other = (subject.draw(rng, 4, subject.args) for _ in "ab")
        keep = torch.arange(4) < 2
        for training in (False, True):
            full, first, last = subject.finite(
                probe, rng, a, mixed(a, other, keep), mixed(a, other, ~keep), training=training
            )
            moved = torch.cat([relative_change(full, first)[:2], relative_change(full, last)[2:]])
            if (moved > SAME).any():
                raise Failed(
                    f"sample i depends on other samples of the batch{' in training mode' if training else ''}: with "
                    f"{subject.example}, other values in sample 1 must not change the output of sample 0. Look for "
                    "[0], a mean over the batch, a batch norm, or a reshape that mixes the batch with another axis"
                )

    return check


def stays_finite(subject: Subject, scales: dict[str, tuple[float, ...]]) -> Run:
    """`scales`: for each named input, the factors of one call after the other."""

    def check(probe: Probe, rng: Generator) -> None:
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

    return check


def gradients(
    subject: Subject, probe: Probe, rng: Generator, batch: Batch, names: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What the child says of the parameters' gradients, and those of the inputs `names`, of a random projection."""
    sent, calls = spell(batch)
    sent["weights"] = torch.randn(subject.shape(batch, subject.args), generator=rng)
    return probe.both(
        "gradient", sent, name=subject.name, args=list(subject.args), calls=calls, seed=seed_of(rng),
        weights="perturbed", of=[f"{n}0" for n in names],
    )  # fmt: skip


def gradient_reaches(subject: Subject, *names: str) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        batch = subject.draw(rng, 3, subject.args)
        reply, grads = gradients(subject, probe, rng, batch, names)
        for name in names:
            grad = grads.get(f"{name}0")
            if grad is None or grad.shape != batch[name].shape or not torch.isfinite(grad).all():
                raise Failed(f"the gradient of `{name}` is nan or infinite: backward() from {subject.example}")
            if (grad.abs().flatten(1).amax(1) == 0).any():
                raise Failed(
                    f"no gradient reaches `{name}`: with {subject.example} and {name}.requires_grad_(), out.sum()"
                    ".backward() must fill its .grad; look for .detach(), .data or torch.no_grad()"
                )
        reached, total = reply.get("reached"), reply.get("parameters")
        if type(reached) is not int or type(total) is not int or reply.get("finite") is not True:
            raise Failed(f"the parameters' gradients are nan or infinite: backward() from {subject.example}")
        if total == 0 or reached < REACHED * total:
            raise Failed(
                f"gradient reaches {reached:,} of {total:,} parameters: a layer is made in __init__ and not used in "
                "forward, or a .detach() cuts it off"
            )

    return check


def autocast(subject: Subject) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        subject.finite(probe, rng, subject.draw(rng, 3, subject.args), autocast=True)

    return check


def deterministic(subject: Subject) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        a, other = (subject.draw(rng, 3, subject.args) for _ in "ab")
        one, _, again = subject.finite(probe, rng, a, other, a)
        if (relative_change(one, again) > 1e-6).any():
            raise Failed(
                "two calls in eval mode with the same inputs differ, with another call in between: with "
                f"{subject.example}, call it twice and compare; look for randomness outside nn.Dropout, and for "
                "anything that forward stores in self"
            )

    return check


def keeps_device(subject: Subject) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        sent, calls = spell(subject.draw(rng, 3, subject.args))
        asked = {"name": subject.name, "args": list(subject.args), "calls": calls, "seed": 0, "weights": "fresh"}
        try:
            about, _ = probe.both("forward", sent, **asked, elsewhere=True)
        except AnswerError as e:
            if PLACES.search(str(e)):
                raise Failed(f"{subject.name} does not work after .to('cuda'): {DEVICE_HINT} ({e})") from e
            raise
        if about.get("elsewhere") is not True:
            raise Failed(f"{subject.name} returns a tensor on another device than its inputs: {DEVICE_HINT}")

    return check


def budget(subject: Subject) -> Run:
    def check(probe: Probe, rng: Generator) -> None:
        reply, _ = probe.both("parameters", name=subject.name, args=list(subject.args), seed=0, weights="fresh")
        number, most = reply.get("parameters"), BUDGET * subject.usual(subject.args)
        if type(number) is not int:
            raise Failed("the number of parameters could not be read")
        if not 0 < number <= most:
            raise Failed(
                f"{subject.name}({', '.join(map(str, subject.args))}) holds {number:,} parameters, where at least one "
                f"and at most {most:,} are allowed: sum(p.numel() for p in module.parameters())"
            )

    return check
