"""Two of the stages of scripts/gpu_window.py, each a process that can be stopped at any time:

python scripts/gpu_stages.py training --data ... --work FOLDER --records FOLDER
python scripts/gpu_stages.py figures  --data ... --work FOLDER --records FOLDER --seconds 120
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import full_scale
import torch

from ddpm_core import checkpoint, plots
from ddpm_core.config import Preset
from ddpm_core.data import ImageData
from ddpm_tools.cli.base import device_of
from ddpm_tools.datasets import load_data
from ddpm_tools.drawing import Drawing, draw
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.reference import reference_for
from ddpm_tools.reports import results
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.interrupt import Interrupted
from ddpm_tools.train.quick_gate import require
from ddpm_tools.train.runs import train_run, training_data

GUIDED = full_scale.FIRST[0]  # cifar10-small-guided: the checkpoint to ship
RUNGS = (256, 2_000, 10_000, 50_000)  # images measured; each rung shows how long the next will take


def run_of(reduced: bool) -> full_scale.Run:
    return replace(GUIDED, scales=(2.0,), steps=2) if reduced else GUIDED


def rungs_of(reduced: bool) -> tuple[int, ...]:
    return (8, 16) if reduced else RUNGS


def config_of(data: Path, reduced: bool) -> Preset:
    """Return the run's config: the one in full_scale.py, or one that a CPU finishes in a minute."""
    config = GUIDED.config(data)
    if not reduced:
        return config
    small = full_scale.reduced(config)
    return replace(small, train=replace(small.train, steps=120, batch_size=2, preview_every=1000))


def check(data: Path, reduced: bool) -> None:
    """Raise ValueError if the run would be refused. Data that must be decoded are, and are kept for the stages."""
    config = config_of(data, reduced)
    if not reduced:
        require(config)
    training_data(config)


def training(config: Preset, work: Path, reduced: bool) -> None:
    gate = "not asked for" if reduced else require(config)
    every = {"save_seconds": 1.0} if reduced else {"save_every": 5_000}  # steps: half a minute, however long a save is
    saves = CallbackConfig(progress=False, quick_gate=gate, **every)
    train_run(config, work / "run", device_of("cpu" if reduced else "auto"), saves)


def installed(names: tuple[str, ...], device: str) -> list[str]:
    """Return the extractors that are installed; the others are named and left out."""
    found = []
    for name in names:
        try:
            network(name, device)
            found.append(name)
        except ValueError as e:
            print(f"left out {name}: {e}", flush=True)
    return found


def measured(records: Path) -> results.Result | None:
    """Return the stored record of figures with the highest step."""
    return max(results.read_all(records / "results"), key=lambda r: r.steps, default=None)


def n_of(record: results.Result | None, step: int) -> int:
    """Return the number of images behind the figures for this step; 0 if the record is for another step."""
    return record.figures[0]["about"]["n"] if record and record.steps == step else 0


def picture(path: Path, config: Preset, data: ImageData, records: Path, device: str, reduced: bool) -> None:
    """Save a picture with a row of samples for each class, at w = 2."""
    loaded, columns = checkpoint.load(path, device), 1 if reduced else 10
    y = torch.arange(len(data.classes)).repeat_interleave(columns)
    images = draw(loaded, y, Drawing(len(y), 2.0, run_of(reduced).steps))
    title = f"step {loaded.step} of {config.train.steps}, w = 2" + (" (reduced)" if reduced else "")
    plots.save(plots.grid(images, columns, data.classes, title=title), records / "grid.png")


def record_of(
    run: full_scale.Run, path: Path, config: Preset, figures: list, rate: float, device: str, command: str
) -> results.Result:
    """Return a record with the step in its name, so that no other program takes it for the finished run's."""
    reached, made = checkpoint.load(path).step, checkpoint.read(path, skip="")[1]["provenance"]
    return results.Result(
        preset=run.preset, design=f"{run.design}-step-{reached}-of-{config.train.steps}", seed=run.seed, steps=reached,
        batch_size=config.train.batch_size, commit=full_scale.commit(), device=made["device"], command=command,
        minutes=made["minutes"], train_images_per_s=made["images_per_second"], sample_images_per_s=rate,
        peak_bytes=full_scale.peak_bytes(device), figures=tuple(figures), reduced="--reduced" in command,
        sampling=asdict(run.sampling) | {"steps": run.steps},
    )  # fmt: skip


def figures(a: argparse.Namespace, config: Preset, end: float) -> None:
    """Measure with more and more images while the next number fits before `end`. Each record replaces the last."""
    path, run, device = a.work / "run", run_of(a.reduced), device_of("cpu" if a.reduced else "auto")
    data = load_data(str(a.data), full_scale.split_of(a.data), size=32, channels=3)
    picture(path, config, data, a.records, device, a.reduced)
    extractors = installed(full_scale.EXTRACTORS, device)
    for name in extractors:
        reference_for(data, network(name, device), None)  # cached on disk, so that it does not count to the first rung
    step, rungs = checkpoint.load(path).step, rungs_of(a.reduced)
    before = n_of(measured(a.records), step)
    command = f"python scripts/gpu_window.py --data {a.data.name}" + (" --reduced" if a.reduced else "")
    took, last, per_image = 0.0, 0, 0.0  # seconds, images, and seconds per image of the rung before
    for n in (n for n in rungs if n > before or n == rungs[0]):
        if (needs := 1.3 * (took + (n - last) * per_image)) > (left := end - time.monotonic()):
            print(f"left out {n} images: they would take {needs:.0f} s, and {left:.0f} s are left", flush=True)
            return
        begun = time.monotonic()
        found, rate = full_scale.measure(run, path, data, device, n, run.steps, extractors)
        took, last = time.monotonic() - begun, n
        per_image = sum(1 if w == run.scales[0] else 2 for w in run.scales) / rate  # guidance needs two evaluations
        if n > before:
            record = record_of(run, path, config, found, rate, device, command)
            written = results.write(record, a.records / "results")
            for old in set(written.parent.glob("*.json")) - {written}:
                old.unlink()  # from an earlier step


def main() -> None:
    began = time.monotonic()
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=("training", "figures"))
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--records", type=Path, required=True)
    p.add_argument("--seconds", type=float, default=0.0)
    p.add_argument("--reduced", action="store_true")
    a = p.parse_args()
    config = config_of(a.data, a.reduced)
    try:
        if a.stage == "training":
            training(config, a.work, a.reduced)
        else:
            figures(a, config, began + a.seconds)
    except Interrupted as e:
        raise SystemExit(e.code) from None
    except (ValueError, FloatingPointError, OSError) as e:
        print(f"{a.stage}: {e}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
