"""The most important GPU work, in one window of a few minutes: speed against diffusers, the guided run, its figures.

    python scripts/gpu_window.py --minutes 12 --data cifar10-train-jpeg.zip    (one H100 or H200; run again to continue)
    python scripts/gpu_window.py --reduced --minutes 0.4; python scripts/gpu_window.py --reduced --minutes 1.6
                                               (tests stopping and continuing on a CPU; gives no result)

In this order: `benchmarks/full_scale.py` on cifar10-small; as many of the 35,000 steps of cifar10-small-guided as time
allows, saved regularly; its figures, from as many images as fit, with the step reached. Each stage is a process that is
asked to stop in time and killed at its end. A stage that would not fit is left out with a sentence. So everything ends
before --minutes. Finished work is recorded at once, and a later window continues from there.

--out keeps the full training state (168 MB) and the logs. Records (window.json, results/, grid.png) go there too, or to
--travel, for a machine that keeps nothing. The state is then stored there as well, in parts of at most --part-mib (60
MiB in all, see ddpm_tools/train/travel.py; eight files with the records), and a window with an empty --out continues
from them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gpu_stages
import psutil
import torch
from deadline import last_line, within
from full_scale import commit

from ddpm_core import checkpoint
from ddpm_core.files import write_text
from ddpm_tools.cli.base import number
from ddpm_tools.train import resume, travel
from ddpm_tools.train.interrupt import requests

HERE = Path(__file__).resolve().parent
SHARES = {"speed": 0.25, "training": 0.8, "figures": 1.0}  # share of the window by which each stage has ended
LEAST = {"speed": 60, "training": 60, "figures": 40}  # seconds to import, compile and load; with fewer, it is left out
GRACE = 15.0  # seconds in which a stage that was asked to stop can save
RESERVE = 10.0  # seconds kept back at the window's end
REDUCED = 0.2  # share of these seconds with --reduced: nothing to compile, and little to save
now = time.monotonic


def speed(a: argparse.Namespace, told: dict[str, Any], end: float, run: Callable[..., int | None]) -> str:
    """Measure training and sampling beside diffusers; recorded if the benchmark finishes. Returns what happened."""
    if "speed" in told:
        return "done before"
    most = 1.0 if a.reduced else 60.0  # a reduced run proves the command and measures nothing
    each = max(0.1, min(most, (end - now()) / 18))  # per peer and task; compiling and loading take as long again
    command = [str(HERE.parent / "benchmarks/full_scale.py"), "--preset", "cifar10-small", "--seconds", f"{each:.1f}"]
    rc = run([*command, "--quick", "--device", "cpu"] if a.reduced else command)
    if rc == 0:
        told["speed"] = json.loads(last_line(a.out / "speed.log"))
        return "done"
    return "stopped before its end" if rc is None else f"failed: {last_line(a.out / 'speed.log')}"


def reached(a: argparse.Namespace) -> dict[str, Any]:
    """Return how far the training is, from its last save; empty before the first."""
    if not resume.exists(a.out / "run"):
        return {}
    tensors, record = checkpoint.read(a.out / "run")
    step = checkpoint.step_of(tensors, a.out / "run")  # the JSON is written first, and may be one save ahead
    about, train = record["provenance"], record["config"]["train"]
    names = ("minutes", "images_per_second", "last_loss", "device", "torch", "speed", "n_train")
    return {"step": step, "of": train["steps"], "seed": train["seed"]} | {k: about.get(k) for k in names}


def place(a: argparse.Namespace, told: dict[str, Any]) -> str:
    """Record the training's last save, and pack its parts if they are to travel; return the step in words."""
    if not (at := reached(a)):
        return "nothing saved yet"
    if at != told.get("training") or (a.travel and not (a.travel / travel.MANIFEST).exists()):
        told["training"] = at
        if a.travel:
            travel.pack(a.out / "run", a.travel, int(a.part_mib * 2**20))
        keep(a, told)
        print(f"training: step {at['step']} of {at['of']}, {at['minutes']} minutes so far", flush=True)
    return f"step {at['step']} of {at['of']}"


def training(a: argparse.Namespace, told: dict[str, Any], end: float, run: Callable[..., int | None]) -> str:
    """Continue the guided run from where it stopped. Returns what happened."""
    if (at := reached(a)) and at["step"] == at["of"]:
        return f"done before: {place(a, told)}"
    weights, seen = a.out / "run.safetensors", 0.0

    def watch() -> None:
        nonlocal seen
        if weights.exists() and (saved := weights.stat().st_mtime) != seen:  # else there is no new save to read
            seen = saved
            place(a, told)

    rc = run(stage_command("training", a), watch)
    failed = f"failed: {last_line(a.out / 'training.log')}; " if rc else ""
    return failed + {None: "stopped: ", 0: "done: "}.get(rc, "kept: ") + place(a, told)


def figures(a: argparse.Namespace, told: dict[str, Any], end: float, run: Callable[..., int | None]) -> str:
    """Measure distances, recall and adherence of the last save. Returns what happened."""
    if not (at := reached(a)):
        return "left out: there is no checkpoint to measure"
    if gpu_stages.n_of(gpu_stages.measured(a.records), at["step"]) >= gpu_stages.rungs_of(a.reduced)[-1]:
        return "done before"
    rc = run([*stage_command("figures", a), "--seconds", f"{end - now() - a.scale * GRACE:.0f}"])
    record = gpu_stages.measured(a.records)
    if n := gpu_stages.n_of(record, at["step"]):
        told["figures"] = {"step": at["step"], "of": at["of"], "n": n, "record": f"results/{record.name}.json"}
    why = f"failed: {last_line(a.out / 'figures.log')}; " if rc else "stopped; " if rc is None else ""
    lines = (a.out / "figures.log").read_text(errors="replace").splitlines()
    notes = "".join(f"; {line}" for line in lines if line.startswith("left out"))
    return why + (f"measured at step {at['step']} of {at['of']}, n = {n}" if n else "nothing measured") + notes


def stage_command(stage: str, a: argparse.Namespace) -> list[str]:
    command = [str(HERE / "gpu_stages.py"), stage, "--data", str(a.data), "--work", str(a.out), "--records"]
    return [*command, str(a.records), *(["--reduced"] if a.reduced else [])]


def keep(a: argparse.Namespace, told: dict[str, Any]) -> None:
    write_text(a.records / "window.json", json.dumps(told, indent=1) + "\n")


def remembered(a: argparse.Namespace) -> dict[str, Any]:
    """Return the record of earlier windows, and unpack a training that has travelled.

    ValueError if the record belongs to another command.
    """
    a.out.mkdir(parents=True, exist_ok=True)
    path = a.records / "window.json"
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"reduced": a.reduced, "windows": []}
    if told["reduced"] != a.reduced:
        raise ValueError(f"{a.records} holds {'a reduced' if told['reduced'] else 'the real'} run; use another folder")
    if a.travel and (a.travel / travel.MANIFEST).exists() and not resume.exists(a.out / "run"):
        travel.unpack(a.travel, a.out / "run", str(a.data))
    return told


def window(a: argparse.Namespace, began: float) -> int:
    """Run all stages, one after another; return the exit status."""
    told, seconds, status = remembered(a), 60 * a.minutes, 0
    told["windows"].append({"minutes": a.minutes, "commit": commit(), "said": (said := {})})
    with requests() as asked:
        asked.patient = True  # a stage stops within its grace period, and is waited for
        for name, stage in (("speed", speed), ("training", training), ("figures", figures)):
            end = began + min(SHARES[name] * seconds, seconds - a.scale * RESERVE)
            if asked:
                said[name] = "left out: the window was asked to stop"
            elif (left := end - now()) < (least := a.scale * LEAST[name]):
                said[name] = f"left out: {max(left, 0):.0f} s are left for it, and it takes at least {least:.0f}"
            else:

                def run(command: Sequence[str], watch: Callable[[], object] = lambda: None, name=name, end=end):
                    log = a.out / f"{name}.log"
                    return within([sys.executable, *command], log, end, a.scale * GRACE, asked, watch, now)

                said[name] = stage(a, told, end, run)
            status = max(status, int("failed" in said[name]))
            print(f"{name}: {said[name]}", flush=True)
            told["windows"][-1]["seconds"] = round(now() - began, 1)
            keep(a, told)
        return 128 + asked.number if asked else status


def main(argv: Sequence[str] | None = None) -> None:
    began = now() - (time.time() - psutil.Process().create_time() if argv is None else 0)  # importing counts too
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=number, default=12.0)
    p.add_argument("--data", type=Path, help="CIFAR-10's training images: its name, a zip or a folder")
    p.add_argument("--out", type=Path, help="default: build/gpu_window, or build/gpu_window-reduced")
    p.add_argument("--travel", type=Path, help="a folder that leaves this machine, and comes back for the next window")
    p.add_argument("--part-mib", type=number, default=15.5, help="largest size of a file in --travel; default: 15.5")
    p.add_argument("--reduced", action="store_true", help="a tiny network for a few steps, on the CPU: no result")
    a = p.parse_args(argv)
    if a.part_mib <= 0:
        p.error("--part-mib must be above 0")
    a.data = a.data or Path("emoji" if a.reduced else "cifar10")
    a.out = a.out or Path("build/gpu_window-reduced" if a.reduced else "build/gpu_window")
    a.records, a.scale = a.travel or a.out, REDUCED if a.reduced else 1.0
    if a.reduced:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the CPU may be busy, and the network is too small to share
    try:
        if not (a.reduced or torch.cuda.is_available()):
            raise ValueError("there is no GPU here; --reduced tests the command on a CPU")
        gpu_stages.check(a.data, a.reduced)
        raise SystemExit(window(a, began))
    except (ValueError, OSError) as e:
        print(f"gpu_window: {e}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
