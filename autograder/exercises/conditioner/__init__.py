"""The conditioner exercise: `prepare_conditioning` and `ClassConditioner`, judged as a pair.

Either half may be trivial, so what matters (does the output depend on the class, the time, and only its own sample?)
is tested on the course's network with the pair plugged in and all parameters perturbed: zero-initialised gates are
fine. The network runs in the parent (gate/remote_modules.py), so the child cannot make up its outputs or parameters.
The gradient is the child's word: it is worth half a point, and a wrong one spoils the pair's own training.
"""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.child.perturb import count
from autograder.exercises.base import Check, Exercise, Failed, Probe, finite, relative_change, tensor
from autograder.exercises.calls import same, seed_of
from autograder.exercises.conditioner import learning
from autograder.exercises.conditioner.asking import images, perturbed
from autograder.exercises.module import SAME, SEES, changes, mixed
from autograder.exercises.properties import WAY, jumps, stays_there
from autograder.gate.network import UNET
from autograder.gate.remote_modules import with_pair

PREPARE, CONDITIONER = "prepare_conditioning", "ClassConditioner"
STEPS = 2048  # from one embedding to another
BUDGET = 1.5  # the conditioners' parameters, in units of the rest of the network


def forward(probe: Probe, seed: int, *batches: dict[str, Tensor], autocast: bool = False) -> list[Tensor]:
    net = perturbed(probe, seed).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        outs = [net(b["x"], b["t"], b["y"]) for b in batches]
    return [finite(o, "the network's output with your pair plugged in") for o in outs]


def kept(name: str, given: dict[str, Tensor], out: dict[str, Tensor], what: str) -> Tensor:
    """The result, of the first input's shape; Failed if it is not, or if an input was changed."""
    x = tensor(out, "out", tuple(next(iter(given.values())).shape), what)
    for k, v in given.items():
        if not same(out.get(k, v), v):
            raise Failed(f"{name} changes its input `{k}` in place: return a new tensor instead")
    return x


def prepare_contract(probe: Probe, rng: Generator) -> None:
    for batch, dim in ((4, 64), (1, 128), (7, 32)):
        given = {k: torch.randn(batch, dim, generator=rng) for k in ("time_emb", "class_emb")}
        out = kept(PREPARE, given, probe("prepare", given), PREPARE)
        finite(out, "prepare_conditioning's output")


def conditioner_contract(probe: Probe, rng: Generator) -> None:
    for batch, channels, height, width, dim in ((3, 32, 8, 8, 64), (1, 96, 4, 6, 128), (5, 128, 3, 1, 32)):
        given = {
            "h": torch.randn(batch, channels, height, width, generator=rng),
            "class_emb": torch.randn(batch, dim, generator=rng),
        }
        what = f"{CONDITIONER}({channels}, {dim}) on (B={batch}, C={channels}, H={height}, W={width})"
        kept(CONDITIONER, given, probe("conditioner", given, seed=seed_of(rng)), what)


def stays_finite(probe: Probe, rng: Generator) -> None:
    forward(probe, seed_of(rng), images(rng, 5))
    h, emb = torch.randn(4, 64, 8, 8, generator=rng), torch.randn(4, 64, generator=rng)
    for scale_h, scale_emb in ((1.0, 1.0), (1e3, 10.0), (0.0, 0.0)):
        out = probe("conditioner", {"h": h * scale_h, "class_emb": emb * scale_emb}, seed=seed_of(rng))
        x = tensor(out, "out", (4, 64, 8, 8), "ClassConditioner's output")
        finite(
            x, f"ClassConditioner's output for features scaled by {scale_h:g} and an embedding scaled by {scale_emb:g}"
        )
    way = torch.linspace(-WAY, WAY, STEPS)[:, None]  # from one embedding to another, and beyond
    given = {"h": h[:1, :, :4, :4].expand(STEPS, -1, -1, -1), "class_emb": emb[:1] * (1 - way) + emb[1:2] * way}
    out = tensor(probe("conditioner", given, seed=seed_of(rng)), "out", (STEPS, 64, 4, 4), "ClassConditioner's output")
    if jumps(out):
        raise Failed(
            "ClassConditioner's output jumps when the embedding changes a little: go from one embedding to another in "
            "2,000 small steps. Look for a division by something learnt, which can pass through zero"
        )


def lets_through(probe: Probe, rng: Generator) -> None:
    h, emb = torch.randn(2, 4, 64, 8, 8, generator=rng), torch.randn(4, 64, generator=rng)
    seed = seed_of(rng)
    one, two = (probe("conditioner", {"h": x, "class_emb": emb}, seed=seed, moved=0.0).get("out") for x in h)
    if one is None or two is None or (relative_change(one, two) < SEES).any():
        raise Failed(
            "a fresh ClassConditioner does not pass its features on: different features give the same result, so the "
            "network starts cut in two. Write the result as h + something, and put a zero-initialised gate only on "
            "that something"
        )


def sees_the_label(probe: Probe, rng: Generator) -> None:
    a = images(rng, 5)
    b = {**a, "y": (a["y"] + torch.randint(1, 11, (1,), generator=rng)) % 11}
    out_a, out_b = forward(probe, seed_of(rng), a, b)
    blind = int((relative_change(out_a, out_b) < SEES).sum())
    if blind:
        raise Failed(
            "the output does not depend on the label: with the same image and timestep, two different classes give "
            f"the same result for {blind} of 5 samples. Trace class_emb through both halves of your pair, since at "
            "least one must use it"
        )


def sees_the_time(probe: Probe, rng: Generator) -> None:
    a = images(rng, 5)
    a["t"] = torch.randint(0, 300, (5,), generator=rng)
    out_a, out_b = forward(probe, seed_of(rng), a, {**a, "t": a["t"] + 600})
    if (relative_change(out_a, out_b) < SEES).any():
        raise Failed(
            "the output does not depend on the timestep: an early and a late t give the same result. The residual "
            "blocks see only what prepare_conditioning returns, so it must use time_emb"
        )


def own_sample_only(probe: Probe, rng: Generator) -> None:
    a, other = images(rng, 6), images(rng, 6)
    other["y"] = (a["y"] + torch.randint(1, 11, (1,), generator=rng)) % 11  # every neighbour gets a different class
    keep = torch.arange(6) < 3
    moved = changes(*forward(probe, seed_of(rng), a, mixed(a, other, keep), mixed(a, other, ~keep)))
    if (moved > SAME).any():
        raise Failed(
            "sample i depends on other samples of the batch: in a batch of 6, replacing the image, time and label of "
            f"its neighbours changed {int((moved > SAME).sum())} of 6 outputs. Look for an index such as [0], a mean "
            "over the batch, or a reshape that mixes the batch with another axis"
        )


def autocast(probe: Probe, rng: Generator) -> None:
    forward(probe, seed_of(rng), images(rng, 4), autocast=True)


def deterministic(probe: Probe, rng: Generator) -> None:
    a = images(rng, 4)
    one, two = forward(probe, seed_of(rng), a, a)
    if (relative_change(one, two) > 1e-6).any():
        raise Failed(
            "two calls in eval mode with the same inputs give different outputs: look for randomness outside "
            "nn.Dropout, or state kept between calls"
        )


def keeps_device(probe: Probe, rng: Generator) -> None:
    h = {"h": torch.randn(3, 64, 8, 8, generator=rng)}
    time, label = ({k: torch.randn(3, 64, generator=rng)} for k in ("time_emb", "class_emb"))
    asked = {"seed": seed_of(rng), "elsewhere": True}
    stays_there(PREPARE, partial(probe.both, "prepare", time | label, **asked))
    stays_there(CONDITIONER, partial(probe.both, "conditioner", h | label, **asked))


def budget(probe: Probe, rng: Generator) -> None:
    net = with_pair(probe, UNET, seed=0)
    own = count(net.conditioners)
    rest = count(net) - own
    if own > BUDGET * rest:
        raise Failed(
            f"the conditioners have {own:,} parameters, more than {BUDGET:g} times the network's {rest:,}: make "
            "ClassConditioner smaller"
        )


EXERCISE = Exercise(
    assignment="5_3_conditioning",
    position=3,
    name="conditioner",
    answers=(PREPARE, CONDITIONER),
    library=("__init__", "attention", "layers"),  # imported by the set-up cell; the network stays with the parent
    hidden=("conditioning",),
    checks=(  # the first failure is the reason a student reads first
        Check("prepare_conditioning keeps its contract", 0.5, prepare_contract, fatal=True),
        Check("ClassConditioner keeps its contract", 0.5, conditioner_contract, fatal=True),
        Check("the output is finite", 1.0, stays_finite, fatal=True),
        Check("sample i depends only on sample i", 2.0, own_sample_only, fatal=True),
        Check("the output depends on the label", 3.0, sees_the_label, fatal=True),
        Check("the output depends on the time", 1.0, sees_the_time, fatal=True),
        Check("gradient reaches the class embedding", 0.25, learning.gradient_reaches),
        Check("what starts at zero opens in training", 0.25, learning.opens, fatal=True),
        Check("runs under bfloat16 autocast", 0.25, autocast),
        Check("keeps the device", 0.25, keeps_device),
        Check("deterministic in eval mode", 0.5, deterministic),
        Check("a fresh conditioner lets the features through", 0.25, lets_through),
        Check("stays within the parameter budget", 0.25, budget),
    ),
    checks_cell="conditioner_checks",
    gate_cell="conditioner_gate",
    gate_points=10.0,
    judged_as_pair=True,
    written=("conditioner_written",),
)
