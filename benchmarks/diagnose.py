"""Does `diagnose` name the right fault? Plants faults in real, short runs on the digits, and counts the answers.

    python benchmarks/diagnose.py [--quick] [--only CASE ...]

The runs (320 steps of 64 images, about 45 s each on one core) are kept in build/diagnose; --quick uses one seed. The
last line is one JSON object: faults planted and named correctly, healthy models and false alarms, distinct faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import PRESETS, Preset
from ddpm_core.data import ImageData, digits
from ddpm_core.diffusion import Network
from ddpm_core.parameterization import EPSILON, PARAMETERIZATIONS, Parameterization
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainState, train
from ddpm_core.unet import ConditionalUNetV2, build_unet
from ddpm_tools.cli.base import CLASSIFIER
from ddpm_tools.diagnosis.denoising import Convention
from ddpm_tools.diagnosis.evidence import Evidence, Known, of_network, with_sampler
from ddpm_tools.diagnosis.reference import reference_curve
from ddpm_tools.diagnosis.report import Report
from ddpm_tools.diagnosis.rules import judge
from ddpm_tools.diagnosis.sampling import Sampler
from ddpm_tools.evaluation.plain_classifier import load_classifier
from ddpm_tools.outputs import json_text
from ddpm_tools.train.resume import save_training

FOLDER = Path(__file__).resolve().parents[1] / "build/diagnose"
SHORT = replace(PRESETS["digits"].train, steps=320, batch_size=64, ema_decay=0.99)


CONFIG = replace(PRESETS["digits"], train=SHORT)


def divided_by(number: float) -> Callable[[ImageData], ImageData]:
    """Rescale to something other than [-1, 1]: floating-point images are used as they are."""
    return lambda d: replace(d, images=d.images.float() / number)


def relabelled(change: Callable[[Tensor], Tensor]) -> Callable[[ImageData], ImageData]:
    return lambda d: replace(d, labels=change(d.labels), classes=())  # no class names, since the null class has none


def swap_3_and_8(y: Tensor) -> Tensor:
    return torch.where(y == 3, 8, torch.where(y == 8, 3, y))


def shuffle(y: Tensor) -> Tensor:
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]


class Retimed(ConditionalUNetV2):
    """Passes t / 1000 or t · 1000 to the time embedding instead of t."""

    factor = 1e-3

    def forward_with_cond(self, x: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        return super().forward_with_cond(x, t * self.factor, class_emb)


class Upscaled(Retimed):
    factor = 1e3


@dataclass(frozen=True)
class Run:
    """A training run: its config, and the fault planted in it."""

    config: Preset = CONFIG
    data: Callable[[ImageData], ImageData] = lambda d: d
    network: type[ConditionalUNetV2] = ConditionalUNetV2


def of(**changes: object) -> Run:
    return Run(replace(CONFIG, **changes))


def rate(lr: float) -> Run:
    return of(train=replace(SHORT, lr=lr))


RUNS = {
    "add": Run(),
    "zero_to_one": Run(data=divided_by(255)),
    "swapped": Run(data=relabelled(swap_3_and_8)),
    "rate_0.05": rate(0.05),
    "t_over_1000": Run(network=Retimed),
    "always_null": Run(data=relabelled(lambda y: torch.full_like(y, 10))),
    "bytes": Run(data=divided_by(1)),
    "rotated": Run(data=relabelled(lambda y: (y + 1) % 10)),
    "none": of(conditioning="none"),
    "shuffled": Run(data=relabelled(shuffle)),
    "rate_0.2": rate(0.2),
    "t_times_1000": Run(network=Upscaled),
    "v": of(parameterization="v"),
    "x0": of(parameterization="x0"),
    "linear": of(schedule="linear"),
    "adagn": of(conditioning="adagn"),
    "cross_attention": of(conditioning="cross_attention"),
    "gated": of(conditioning="gated"),
    "adaln_zero": of(conditioning="adaln_zero"),
    "blend": of(parameterization="blend"),
    "rate_0.0005": rate(5e-4),
}


def trained(name: str, seed: int) -> Path:
    """Return the run's checkpoint, after training it if it does not exist yet. Its JSON holds the losses."""
    run, path = RUNS[name], FOLDER / f"{name}-{seed}"
    config = replace(run.config, train=replace(run.config.train, seed=seed))
    if checkpoint.with_suffix(path, ".json").is_file() and checkpoint.load(path).preset == config:
        return path
    net = build_unet(config.unet, strategy(config.conditioning), seed)
    net.__class__ = run.network  # the same weights, another forward
    state = TrainState.start(config.diffusion(net), config.train)
    losses = [round(float(s.loss), 5) for s in train(state, run.data(digits()), config.train)]
    return save_training(path, state, config, resumable=False, losses=losses)


def student_sampler(
    schedule: DiffusionSchedule,
    kind: Parameterization = EPSILON,
    w: float = 2.0,
    steps: int = 20,
    clamp: bool = True,
    eta: float = 0.0,
    feed: Callable[[Tensor], Tensor] = lambda t: t,
    shift: int = 0,
    finish: Callable[[Tensor], Tensor] = lambda x: x,
) -> Sampler:
    """Return DDIM as a student might write it, with guidance in two passes. Each argument allows for a mistake."""

    def sampler(network: Network, y: Tensor) -> Tensor:
        abar, x = schedule.alphas_cumprod, torch.randn(len(y), 1, 8, 8)
        times = torch.linspace(schedule.timesteps - 1, 0, steps).round().long().tolist()
        y = (y + shift) % 10
        for t, s in zip(times, [*times[1:], None]):
            ts = torch.full((len(y),), t)
            u, c = network(x, feed(ts), torch.full_like(y, 10)), network(x, feed(ts), y)
            x0 = kind.predict_x0(u + w * (c - u), x, ts, schedule)
            x0 = x0.clamp(-1, 1) if clamp else x0
            a, b = abar[t], abar[s] if s is not None else torch.ones(())
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
            x = b.sqrt() * x0 + (1 - b - sigma**2).clamp(min=0).sqrt() * eps + sigma * torch.randn_like(x)
        return finish(x)

    return sampler


@dataclass(frozen=True)
class Case:
    """A run, what is planted in addition, and the fault that must be named."""

    run: str
    fault: str  # "none" for a healthy model
    seeds: int = 3
    sampler: dict[str, object] = field(default_factory=dict)  # arguments of student_sampler
    stale: bool = False  # the averaged weights are the initial ones
    stated: str = ""  # a schedule that is stated in place of the run's own


CASES = {
    "sampling with the wrong schedule": Case("add", "sampling schedule", sampler={"schedule": "linear"}),
    "clamp missing": Case("add", "clamp", sampler={"clamp": False}),
    "time embedding scale, sampling": Case("add", "sampling time", sampler={"feed": lambda t: t / 1000}),
    "time embedding scale, training": Case("t_over_1000", "time"),
    "images in [0, 1], training": Case("zero_to_one", "range"),
    "images in [0, 1], output": Case("add", "output range", sampler={"finish": lambda x: (x + 1) / 2}),
    "EMA never updated": Case("add", "ema", stale=True),
    "labels swapped": Case("swapped", "labels swapped"),
    "labels never used": Case("always_null", "labels unused"),
    "learning rate too high": Case("rate_0.05", "learning rate"),
    "images in 0 ... 255, training": Case("bytes", "range", 2),
    "labels off by one, training": Case("rotated", "labels swapped", 1),
    "labels off by one, sampling": Case("add", "sampling labels", 1, {"shift": 1}),
    "labels shuffled": Case("shuffled", "labels unused", 1),
    "network without labels": Case("none", "labels unused", 1),
    "another schedule in training": Case("linear", "schedule", 1, stated="cosine"),
    "healthy": Case("add", "none"),
    "healthy, w = 4": Case("add", "none", 1, {"w": 4.0}),
    "healthy, fresh noise": Case("add", "none", 1, {"eta": 1.0}),
    "healthy, v": Case("v", "none", 1),
    "healthy, x0": Case("x0", "none", 1),
    "healthy, linear": Case("linear", "none", 1),
    "healthy, cross-attention": Case("cross_attention", "none", 1),
    "healthy, adagn": Case("adagn", "none", 1),
}


def looked_at(case: Case, seed: int, known: dict) -> tuple[Evidence, Network, Preset]:
    """Return the evidence on the network alone, measured once for all cases with the same network."""
    key = (case.run, seed, case.stale, case.stated)
    if key not in known:
        loaded = checkpoint.load(trained(case.run, seed))
        p = loaded.preset
        initial = build_unet(p.unet, strategy(p.conditioning), seed)
        network = initial.eval() if case.stale else loaded.ema
        schedule = DiffusionSchedule.named(case.stated or p.schedule)
        how = Convention(schedule, PARAMETERIZATIONS[p.parameterization])
        run = Known(loaded.raw, initial, loaded.record["losses"], reference=reference_curve("digits", schedule))
        known[key] = of_network(network, how, digits("heldout"), run), network, p
    return known[key]


def verdict_of(case: Case, seed: int, known: dict) -> Report:
    e, network, _ = looked_at(case, seed, known)
    if judge(e).fault not in ("none", "behind"):  # the training is at fault, so the sampler would not be examined
        return Report(e, judge(e), network)
    options = dict(case.sampler)
    schedule = DiffusionSchedule.named(options.pop("schedule")) if "schedule" in options else e.how.schedule
    e = with_sampler(
        e, network, student_sampler(schedule, e.how.parameterization, **options), load_classifier(CLASSIFIER)
    )
    return Report(e, judge(e), network)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one seed")
    p.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", help="some of the cases")
    p.add_argument("--verbose", action="store_true", help="with the evidence")
    a = p.parse_args()
    torch.set_num_threads(1)
    known, tally = {}, {"planted": 0, "named": 0, "healthy": 0, "false_alarms": 0, "faults": set()}
    for name, case in CASES.items():
        for seed in range(1 if a.quick else case.seeds) if not a.only or name in a.only else ():
            report = verdict_of(case, seed, known)
            right = report.verdict.fault == case.fault
            print(f"{'right' if right else 'WRONG'}  {name}, seed {seed}: {report.verdict.sentence}", flush=True)
            if a.verbose or not right:
                print(report, flush=True)
            planted = case.fault != "none"
            tally["planted" if planted else "healthy"] += 1
            tally["named"] += planted and right
            tally["false_alarms"] += not planted and not right
            tally["faults"] |= {case.fault} if planted else set()
    print(json_text({**tally, "faults": len(tally["faults"])}))


if __name__ == "__main__":
    main()
