"""The full-scale runs on CIFAR-10, one after another: train, draw, measure, record. It continues where it stopped.

    python scripts/full_scale.py --data cifar10-train-jpeg.zip                     (all that is outstanding; GPU)
    python scripts/full_scale.py --data ... --list                                 (what is done and what is missing)
    python scripts/full_scale.py --data ... --run cifar10-small-concat-film-0      (one)
    python scripts/full_scale.py --data cifar10-train-jpeg.zip --reduced           (tests the command on a CPU: minutes)
    python scripts/full_scale.py --data ... --run cifar10-cpu-concat-film-0 --n 2000 --ship  (what a CPU can: hours)

It is safe to kill at any time: training resumes from its last save, and finished runs are skipped. On several GPUs only
training is worth sharing: `torchrun --nproc-per-node N -m ddpm_tools.cli train --preset ... --out build/full/NAME`.
This script then measures what is there. Records go to data/results (reduced ones to build/full/results);
`ddpm results` prints them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR, Preset
from ddpm_core.data import ImageData
from ddpm_core.samplers import SampleConfig
from ddpm_tools.cli.base import device_of
from ddpm_tools.datasets import load_data
from ddpm_tools.drawing import Drawing
from ddpm_tools.evaluation.candidates import drawn
from ddpm_tools.evaluation.evaluation import evaluate
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.judges import find_judge
from ddpm_tools.evaluation.metrics import EvaluationConfig
from ddpm_tools.evaluation.reference import reference_for
from ddpm_tools.presets import preset
from ddpm_tools.reports import results
from ddpm_tools.train.beginning import Source
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.quick_gate import FULL_SCALE, require
from ddpm_tools.train.resume import shrink
from ddpm_tools.train.runs import train_run

EXTRACTORS = ("efficientnet-lite0-320", "cifar10-classifier")  # those that need no download
ALL_LEVELS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Run:
    """A preset, and the changes to it."""

    preset: str
    design: str
    seed: int = 0
    changes: dict[str, Any] = field(default_factory=dict)  # of the Preset
    unet: dict[str, Any] = field(default_factory=dict)  # of its UNetConfig
    scales: tuple[float, ...] = (1.0,)
    steps: int = 50  # of sampling
    sampling: SampleConfig = field(default_factory=SampleConfig)
    further: dict[str, Any] = field(default_factory=dict)  # changes to the TrainConfig of a second run

    @property
    def name(self) -> str:
        return f"{self.preset}-{self.design}-{self.seed}"

    @property
    def parts(self) -> list[tuple[str, dict[str, Any]]]:
        """The names of its checkpoints, the last of which counts, with the changes to the TrainConfig."""
        return [(self.name, {}), *([(f"{self.name}-further", self.further)] if self.further else [])]

    def config(self, data: Path) -> Preset:
        base = preset(self.preset)
        train = replace(base.train, seed=self.seed)
        base = replace(base, data=str(data), split=split_of(data))
        return replace(base, train=train, unet=replace(base.unet, **self.unet), **self.changes)


def split_of(data: Path) -> str:
    """Return the split with the 50,000 training images: "all" of a zip or folder, "train" of a named data set."""
    return "all" if data.exists() else "train"


def conditional(design: str, **more: Any) -> Run:
    return Run("cifar10-small", design, changes={"conditioning": design}, **more)


def unconditional(design: str, **changes: Any) -> Run:
    """Return a run of the other two tracks, which have no classes."""
    unet = {"num_classes": 0, **changes.pop("unet", {})}
    return Run("cifar10-small", design, changes={"conditioning": "none", **changes}, unet=unet)


FIRST = (  # in order of priority
    Run("cifar10-small-guided", "film-4-tokens", changes={"conditioning": "film-4-tokens"},
        scales=(1.0, 1.5, 2.0, 4.0)),  # the checkpoint to ship
    *map(conditional, ("concat-film", "film-4-tokens", "cross-attn", "adanorm", "gated-fusion", "film-sigmoid-gate")),
    unconditional("epsilon"),
    unconditional("vpred", parameterization="v"),
    unconditional("x0pred", parameterization="x0"),
    unconditional("blend", parameterization="blend"),
    unconditional("full-attn", unet={"attention_levels": ALL_LEVELS}),
    unconditional("no-attn", unet={"attention_levels": ()}),
    # The open track: guidance only at medium noise levels, and a second-order solver
    Run("cifar10-small-open", "ours", scales=(1.0, 1.5, 2.0), steps=25,
        sampling=SampleConfig("dpm++", interval=(100, 700))),
)  # fmt: skip  # `standard` of the architecture track is `epsilon`: one and the same run


PLAN = (*FIRST, *(replace(run, seed=1) for run in FIRST))

# Reduced in width for a CPU. It ships until a GPU has made the first run of PLAN, and does not count as outstanding.
LAPTOP = Run(
    "cifar10-cpu", "concat-film", changes={"conditioning": "concat-film", "split": "train"}, scales=(1.0, 2.0, 4.0),
    steps=10, sampling=SampleConfig("dpm++"), further={"steps": 8_000, "lr": 1e-3, "seed": 1},
)  # fmt: skip


def reduced(config: Preset) -> Preset:
    """Return a config that takes minutes on a CPU and runs through every branch of the real run."""
    unet = replace(config.unet, channels=(32,) * len(config.unet.channels), blocks_per_level=1)
    return replace(config, unet=unet, train=replace(config.train, steps=4, batch_size=8, preview_every=2))


def peak_bytes(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def commit() -> str:
    words, folder = ["git", "describe", "--always", "--dirty"], Path(__file__).parent
    try:
        said = subprocess.run(words, capture_output=True, text=True, cwd=folder).stdout
    except OSError:  # no git on this machine
        said = ""
    return said.strip() or "unknown"


def command(run: Run, a: argparse.Namespace) -> str:
    """Return the command behind a record, without the names of anybody's folders."""
    size = "--reduced" if a.reduced else f"--n {a.n}"
    return f"python scripts/full_scale.py --data {Path(a.data).name} --run {run.name} {size}"


def put_on_record(run: Run, a: argparse.Namespace, data: ImageData, device: str) -> results.Result:
    """Train (or continue, or find it done), draw and measure; return the record."""
    asked = run.preset in FULL_SCALE and not (a.reduced or a.ungated)
    gate = require(run.config(a.data)) if asked else "not asked for"
    source, steps, minutes = None, 0, 0.0
    for name, changes in run.parts:
        config = run.config(a.data)
        config = replace(config, train=replace(config.train, **changes))
        config, path = (reduced(config), a.work / f"{name}-reduced") if a.reduced else (config, a.work / name)
        callbacks = CallbackConfig(previews=path.with_name(f"{path.name}-previews"), quick_gate=gate)
        source = Source(train_run(config, path, device, callbacks, source=source))
        steps, minutes = steps + config.train.steps, minutes + checkpoint.read(path)[1]["provenance"]["minutes"]
    figures, rate = measure(run, path, data, device, *((64, 10) if a.reduced else (a.n, run.steps)))
    trained = steps * config.train.batch_size
    return results.Result(
        preset=run.preset, design=run.design, seed=run.seed, steps=steps,
        batch_size=config.train.batch_size, commit=commit(),
        device=torch.cuda.get_device_name() if device.startswith("cuda") else device,
        command=command(run, a),
        minutes=minutes, train_images_per_s=trained / max(60 * minutes, 1e-9), sample_images_per_s=rate,
        peak_bytes=peak_bytes(device), figures=tuple(figures), sampling=asdict(run.sampling) | {"steps": run.steps},
        reduced=a.reduced,
    )  # fmt: skip


def measure(
    run: Run, path: Path, data: ImageData, device: str, n: int, steps: int, extractors: Sequence[str] = EXTRACTORS
) -> tuple[list[dict[str, Any]], float]:
    """Return every figure at every guidance scale by every extractor, and images drawn per second (first scale)."""
    loaded, judge = checkpoint.load(path, device), find_judge(data, None, device)
    figures, rate = [], 0.0
    for w in run.scales:
        start = time.monotonic()
        candidate = drawn(path, loaded, data, Drawing(n, w, steps, config=run.sampling, progress=True))
        rate = rate or n / (time.monotonic() - start)
        for i, name in enumerate(extractors):
            net = network(name, device)
            reference = reference_for(data, net, None, progress=True)
            wanted = ["frechet", "kid", "precision", "recall", *(["adherence", "diversity"] if i == 0 else [])]
            config = EvaluationConfig(wanted, progress=True)
            found = evaluate(candidate.source, data, reference, net, candidate.about, judge, config)
            figures += [asdict(f) for f in found.results]
    return figures, rate


def refused(config: Preset) -> str:
    """Return the reason why the quick gate refuses this run; "" if it does not."""
    try:
        return require(config) and ""
    except ValueError as e:
        return str(e)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--data", type=Path, required=True, help="CIFAR-10's training images, as `ddpm train --data` takes them"
    )
    p.add_argument(
        "--run",
        action="append",
        choices=[r.name for r in (*PLAN, LAPTOP)],
        help="default: all runs of the protocol, in this order",
    )
    p.add_argument("--n", type=int, default=50_000, help="images drawn and measured; default: 50,000")
    p.add_argument("--work", type=Path, default=Path("build/full"), help="where checkpoints go; default: build/full")
    p.add_argument("--device", default="auto")
    p.add_argument(
        "--reduced", action="store_true", help="a tiny network for a few steps: tests the command, gives no result"
    )
    p.add_argument("--ungated", action="store_true", help="also run designs that have not passed the quick gate")
    p.add_argument("--ship", action="store_true", help="put the averaged weights of --run into data/checkpoints")
    p.add_argument("--list", action="store_true", help="show what is done and what is missing")
    a = p.parse_args()
    folder = a.work / "results" if a.reduced else results.RESULTS
    done = (
        {r.name.removesuffix("-reduced") for r in results.read_all(folder) if r.reduced == a.reduced}
        if folder.is_dir()
        else set()
    )
    chosen = [r for r in (*PLAN, LAPTOP) if r.name in (a.run or [r.name for r in PLAN])]
    if a.ship and (a.reduced or len(a.run or []) != 1):
        p.error("--ship needs exactly one --run, without --reduced")
    if a.list:
        print("\n".join(f"{'done       ' if r.name in done else 'outstanding'}  {r.name}" for r in chosen))
        return
    try:
        data, device = load_data(str(a.data), split_of(a.data), size=32, channels=3), device_of(a.device)
        for run in (r for r in chosen if r.name not in done):
            if run.preset in FULL_SCALE and not (a.reduced or a.ungated) and (why := refused(run.config(a.data))):
                print(f"left out {run.name}: {why}", flush=True)
                continue
            path = results.write(put_on_record(run, a, data, device), folder)
            print(f"wrote {path}", flush=True)
        if a.ship:
            made = f"{command(chosen[0], a)} --ship"
            shipped = shrink(a.work / chosen[0].parts[-1][0], DATA_DIR / "checkpoints/cifar10", "cifar10", command=made)
            print(f"wrote {shipped}.safetensors")
    except (ValueError, FloatingPointError, OSError) as e:
        print(f"full_scale: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\nfull_scale: interrupted; the same command goes on", file=sys.stderr)
        raise SystemExit(130) from None
    print(results.runs_table(results.read_all(folder)))


if __name__ == "__main__":
    main()
