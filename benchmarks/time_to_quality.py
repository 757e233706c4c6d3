"""Which sampler reaches the quality of 50 DDIM steps with the fewest evaluations of the network, on the shipped model?

    python benchmarks/time_to_quality.py            (about ten minutes on one free core; --quick: two)

An evaluation is one pass of one image through the network, so a guided step costs two, and a step outside the guidance
interval one. A setting matches if its Fréchet distance to all real digits is below the upper end of DDIM's 95 %
interval, and its label adherence above the lower end of DDIM's. All start from the same noise. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.samplers import SampleConfig, sample
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import Scores, score
from ddpm_tools.outputs import json_text

INTERVAL = (200, 800)  # of 1000: above it guidance reduces variety, below it the classes are settled


@dataclass(frozen=True)
class Setting:
    """A number of steps and how to take them."""

    steps: int
    config: SampleConfig

    def __str__(self) -> str:
        guided = f" guided at t {self.config.interval[0]}-{self.config.interval[1]}" if self.config.interval else ""
        return f"{self.config.sampler} {self.steps:2} {self.config.spacing}{guided}"


DDIM50 = Setting(50, SampleConfig())
CANDIDATES = [
    *[Setting(n, SampleConfig(sampler="dpm++", spacing=s)) for s in ("uniform", "log-snr") for n in (4, 5, 6, 8, 12)],
    *[Setting(n, SampleConfig(sampler="dpm++", interval=INTERVAL)) for n in (5, 6, 8, 12)],
    *[Setting(n, SampleConfig(sampler="dpm++", spacing="log-snr", interval=INTERVAL)) for n in (6, 8)],
    Setting(8, SampleConfig(sampler="dpm++", spacing="quadratic")),
    Setting(12, SampleConfig()),
]
QUICK = [s for s in CANDIDATES if s.steps in (6, 8)]


@dataclass(frozen=True)
class Result:
    """The cost and quality of a setting."""

    evaluations: float  # per image
    seconds: float
    scores: Scores

    def as_dict(self) -> dict:
        s = self.scores
        return {"nfe": self.evaluations, "seconds": round(self.seconds, 2)} | {
            k: [round(v, 4) for v in (e.value, e.low, e.high)]
            for k, e in (("distance", s.distance), ("adherence", s.adherence), ("diversity", s.diversity))
        }

    def matches(self, other: Result) -> bool:
        ours, theirs = self.scores, other.scores
        return ours.distance.value <= theirs.distance.high and ours.adherence.value >= theirs.adherence.low


class Bench:
    """The shipped model and its judge, loaded once."""

    def __init__(self, n: int, seed: int, batch_size: int):
        loaded = checkpoint.load(DATA_DIR / "checkpoints/digits")
        self.diffusion = loaded.diffusion()
        self.judge, self.real = load_classifier(DATA_DIR / "classifiers/digits"), load_data("digits", "all")
        self.y, self.seed, self.batch_size = torch.arange(n) % 10, seed, batch_size
        self.evaluations = 0
        loaded.ema.register_forward_pre_hook(self.count)

    def count(self, module: nn.Module, inputs: tuple) -> None:
        self.evaluations += len(inputs[0])

    def run(self, setting: Setting, w: float, n: int | None = None) -> Result:
        y, self.evaluations, began = self.y[:n], 0, time.perf_counter()
        config = replace(setting.config, batch_size=self.batch_size)
        images = sample(self.diffusion, y, w, setting.steps, self.seed, config)
        seconds = time.perf_counter() - began
        about = Provenance("digits classifier", len(y), "digits/all", self.seed, setting.steps, w, "ema")
        return Result(self.evaluations / len(y), seconds, score(images, y, self.real, self.judge, about))


def measure(bench: Bench, w: float, candidates: list[Setting]) -> dict:
    """Print the table for one guidance scale, and return the matching setting with the fewest evaluations."""
    bench.run(DDIM50, w, 20)  # burn-in
    base = bench.run(DDIM50, w)
    print(f"\nw = {w:g}{'':33} nfe  seconds  distance               adherence  diversity  matches")
    found = []
    for setting in (DDIM50, *candidates):
        result = base if setting is DDIM50 else bench.run(setting, w)
        s, ok = result.scores, result.matches(base)
        print(
            f"{setting!s:38} {result.evaluations:4.4g} {result.seconds:8.1f}  {s.distance!s:22} "
            f"{s.adherence.value:9.3f}  {s.diversity.value:9.3f}  {'yes' if ok else 'no'}",
            flush=True,
        )
        if ok and setting is not DDIM50:
            found.append((result.evaluations, result.scores.distance.value, setting, result))
    out = {"ddim50": base.as_dict()}
    for name, among in (("best", found), ("best_without_interval", [f for f in found if not f[2].config.interval])):
        if among:
            _, _, setting, result = min(among, key=lambda f: f[:2])
            how = {"steps": setting.steps, "config": asdict(setting.config)}
            out[name] = {**how, **result.as_dict(), "times_faster": round(base.seconds / result.seconds, 2)}
    return out


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--w", type=float, nargs="+", default=[2.0, 4.0])
    p.add_argument("--n", type=int, default=1000, help="images per setting")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--batch-size", type=int, default=250)
    p.add_argument("--quick", action="store_true", help="300 images and fewer settings")
    p.add_argument("--out", type=Path, help="write the JSON here too")
    a = p.parse_args()
    torch.set_num_threads(1)
    bench = Bench(300 if a.quick else a.n, a.seed, a.batch_size)
    tables = {f"{w:g}": measure(bench, w, QUICK if a.quick else CANDIDATES) for w in a.w}
    needed = [t.get("best", {}).get("nfe") for t in tables.values()]
    line = json_text(
        {"n": len(bench.y), "seed": a.seed, "nfe_to_match_ddim50": None if None in needed else max(needed), "w": tables}
    )
    if a.out:
        a.out.write_text(line + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
