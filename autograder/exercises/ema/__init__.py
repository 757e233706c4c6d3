"""The ema exercise: a copy of a network that slowly follows its weights and the rest of its state (state.py)."""

from functools import partial

import torch
from torch import Generator

from autograder.exercises.base import AnswerError, Exercise, Failed, Probe, check_of, finite, tensor
from autograder.exercises.ema import state
from autograder.exercises.ema.averages import PARAMETERS, SHAPES, average, decays, follow, modes, near, path, values_of

LESSON = "lesson 5.1, “EMA”"
NAME = "EMA"
TRY = "net = nn.Linear(1, 1); ema = EMA(net, decay=0.1); nn.init.zeros_(net.weight); ema.update(net)"


def a_copy(probe: Probe, rng: Generator) -> None:
    values = path(rng, 1)
    out = follow(probe, values)
    for name in SHAPES:
        if not near(values_of(out, name, 2)[0], values[name][0]):
            raise Failed(
                "before the first update, ema.module does not have the weights the model had when EMA was created: "
                "with net = nn.Linear(1, 1) and ema = EMA(net), nn.init.zeros_(net.weight) must not change ema.module"
            )


def frozen(probe: Probe, rng: Generator) -> None:
    out = follow(probe, path(rng, 3))
    for when, key in (("when it is made", "start"), ("after updates", "end")):
        training, trainable = modes(out, key)
        if training:
            raise Failed(
                f"ema.module is not in eval mode {when}, so its dropout is active: pass a model in training mode, and "
                "look at ema.module.training"
            )
        if trainable:
            raise Failed(
                f"ema.module is not frozen {when}: look at p.requires_grad for p in ema.module.parameters(). It is "
                "never trained, so update it under torch.no_grad()"
            )


def leaves_alone(probe: Probe, rng: Generator) -> None:
    values = path(rng, 3)
    out = follow(probe, values)
    for name, value in values.items():
        if not near(tensor(out, f"source.0.{name}", SHAPES[name], f"`{name}` of the model", None), value[-1]):
            raise Failed(
                f"update changes the model's own weights: compare net.weight before and after the update in {TRY}"
            )
    if modes(out, "source") != [True, True]:
        raise Failed(
            "EMA freezes the model itself or puts it in eval mode, so it can no longer learn: look at net.training "
            "and net.weight.requires_grad after ema = EMA(net). Change only the copy"
        )


def follows(limit: tuple[float, float], updates: int, text: str, example: str, probe: Probe, rng: Generator) -> None:
    """The parameters follow the average with a decay drawn from `limit`."""
    for _ in range(2):
        decay = limit[0] + (limit[1] - limit[0]) * float(torch.rand((), generator=rng))
        values = path(rng, updates)
        out = follow(probe, values, runs=[{"decay": decay}])
        for name in PARAMETERS:
            right = average(values[name], decays(updates, decay))
            if not near(values_of(out, name, updates + 1)[1:], right[1:]):
                raise Failed(f"{text} (seen in the grader's network, in `{name}`): {example}")


def default(probe: Probe, rng: Generator) -> None:
    """A weight is 1 for 9,000 updates, then 0 for 2,000: a decay of 0.999, reached at 8,990, keeps less of it."""
    values = torch.ones(11_001)
    values[9001:] = 0
    out = follow(probe, {"gain": values}, net="weight", last=True)
    right = average(values, decays(11_000, 0.9999))[-1]
    got = finite(tensor(out, "0.gain", (1,), "the average"), "the average")
    if abs(float(got) - float(right)) > 4e-3:
        raise Failed("without an argument, the decay is not limited to 0.9999: look at the default in __init__")


def independent(probe: Probe, rng: Generator) -> None:
    """The first average alone, beside another, and of a model made anew: its values must not change."""
    one, other = path(rng, 6), path(rng, 6)
    alone = follow(probe, one, runs=[{"decay": 0.7}])
    both = follow(probe, one, other, runs=[{"decay": 0.7}, {"decay": 0.1}])
    for name in PARAMETERS:
        if not near(values_of(alone, name, 7), values_of(both, name, 7)):
            raise Failed(
                "an average changes when there is a second EMA beside it: keep the number of updates and the decay in "
                "self, not in the class or in a global variable"
            )

    reloaded = follow(probe, one, runs=[{"decay": 0.7}], reloaded=True)
    if not all(near(values_of(alone, name, 7), values_of(reloaded, name, 7)) for name in PARAMETERS):
        raise Failed(
            "update does not follow the model it is given, but the one that EMA was created with: these differ after a "
            "training is resumed. Read the weights from update's argument"
        )


def device(probe: Probe, rng: Generator) -> None:
    hint = "copy with copy.deepcopy, which keeps the model's device, and do not call .cuda() or .cpu()"
    try:
        about, _ = probe.both("elsewhere")
    except AnswerError as e:
        if e.hidden:
            raise
        raise Failed(
            "EMA fails when the model is not on the CPU, here on torch's `meta` device: try net = nn.Linear(1, "
            f"1).to('meta'). To fix it, {hint} ({e})"
        ) from e
    if about.get("devices") != ["meta"]:
        raise Failed(
            "ema.module is on a different device from the model: try net = nn.Linear(1, 1).to('meta'). To fix it, "
            f"{hint}"
        )


check = partial(check_of, NAME, LESSON)
EXERCISE = Exercise(
    assignment="5_2_guidance",
    position=3,
    name="ema",
    answers=(NAME,),
    library=("__init__",),
    hidden=("ema",),
    checks=(
        check("a copy of its own", 0.5, a_copy),
        check("frozen, in eval mode", 1.0, frozen),
        check("leaves the model alone", 1.0, leaves_alone),
        check("old and new in the right shares", 1.75, partial(
            follows, (0.03, 0.09), 4, "the average is not decay times the old average plus (1 - decay) times the model",
            f"run {TRY}. A tenth of ema.module.weight should remain, since the warm-up does not matter for so small a "
            "decay",
        )),
        check("the warm-up of the decay", 2.0, partial(
            follows, (0.9, 0.99), 9,
            "in the first updates the decay is not (1 + k) / (10 + k), with k = 1 in the first",
            f"run {TRY.replace('=0.1', '=0.99')}. Of ema.module.weight, 2/11 should remain, and 2/11 · 3/12 after a "
            "second update",
        )),
        check("decay is the limit", 1.0, partial(
            follows, (0.3, 0.5), 14, "the effective decay is not the smaller of decay and (1 + k) / (10 + k)",
            "with decay=0.5, print the decay you use for k = 1, 7, 8 and 100. It should be 2/11, 8/17, 0.5 and 0.5",
        )),
        check("0.9999 without an argument", 0.25, default),
        check("shared and untrained weights follow", 0.25, state.shared_and_frozen),
        check("floating buffers follow", 0.75, state.buffers),
        check("integer buffers are copied", 0.5, state.counters),
        check("two averages do not meet", 0.5, independent),
        check("keeps the dtype", 0.25, state.precision),
        check("keeps the device", 0.25, device),
    ),
    written=("ema_written",),
)  # fmt: skip
