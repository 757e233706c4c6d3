"""Measure what lesson 5.3 quotes but does not compute: how smooth interpolations are, and how much reruns differ.

    python scripts/lesson_5_3_records.py walks   # three paths between two classes of CIFAR-10: two minutes on one core
    python scripts/lesson_5_3_records.py reruns  # paired differences from the reruns behind the conditioner's gate

Each part writes its record to data/checkpoints/lesson_5_3, where the lesson and its test read it.
"""

from __future__ import annotations

import argparse
import json
from statistics import mean, stdev

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.config import DATA_DIR
from ddpm_core.diffusion import Diffusion
from ddpm_core.interpolation import PATHS, InterpolationConfig, interpolate, interpolate_embeddings
from ddpm_core.samplers import SampleConfig, initial_noise
from ddpm_core.streams import stream
from ddpm_tools.datasets.vision import CIFAR10_CLASSES
from ddpm_tools.drawing import COLOUR_PAIRS, between

OUT = DATA_DIR / "checkpoints/lesson_5_3"
NOISES, STEPS, SEED = 8, 15, 0
HOW = SampleConfig("dpm++")
SCALES, ALPHAS = (2.0, 3.0), (0.0, 0.5, 1.0)
PAIRED = ("add", "adaln_zero")
METRICS = ("adherence", "distance", "heldout_loss")


def grain(images: Tensor) -> list[float]:
    """Return each image's mean absolute distance of pixels from their 2×2 block mean, for (B, C, H, W) in [-1, 1]."""
    blocks = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)  # (B, C, H/2, W/2) -> (B, C, H, W)
    return (images - blocks).abs().mean((1, 2, 3)).tolist()


def along(diffusion: Diffusion, emb: Tensor, noises: Tensor, w: float) -> list[float]:
    """Return the grain of images drawn from each noise (N, C, H, W) with one embedding (D,), or one for each (N, D)."""
    conds = emb.expand(len(noises), -1)  # (N, D)
    return grain(interpolate(diffusion.on_embeddings(), conds, noises, w, STEPS, HOW))


def beside(a: Tensor, b: Tensor, table: Tensor) -> dict[str, Tensor]:
    """Return points (D,), or (N, D), near the middle of the straight line: which part of the arc's detour matters?

    If both ends have the same length, the arc's middle is the line's middle times 2·u, where u is its weight for either
    end. The detour is (2·u - 1)·middle. One part of it is the mean of all classes' rows, the other is what sets these
    two apart.
    """
    middle, arc = (interpolate_embeddings(a, b, torch.tensor([0.5]), mode)[0] for mode in ("linear", "spherical"))
    detour, shared = arc - middle, table[:-1].mean(0)
    excess = detour.norm() / middle.norm()
    away = F.normalize(torch.randn(NOISES, len(middle), generator=stream(SEED, "beside")), dim=1)  # (N, D)
    return {
        "line": middle,
        "arc": arc,
        "line and what all rows share": middle + excess * shared,
        "line and what sets these two apart": middle + excess * (middle - shared),
        "line and random vectors as long as the detour": middle + detour.norm() * away,
    }


def walks() -> dict:
    """Return the grain at the ends and half-way, for the CIFAR-10 network."""
    loaded = checkpoint.load(DATA_DIR / "checkpoints/cifar10", "cpu")
    diffusion = loaded.diffusion()
    table = diffusion.network.class_table.weight.detach()  # (K + 1, D)
    noises = initial_noise(range(NOISES), diffusion.shape, SEED)  # (N, C, H, W)
    rows, controls, weights = [], [], []
    for first, second in tqdm(COLOUR_PAIRS, desc="pairs", unit="pair"):
        ends = (CIFAR10_CLASSES.index(first), CIFAR10_CLASSES.index(second))
        a, b = table[ends[0]], table[ends[1]]
        angle = torch.acos(F.cosine_similarity(a, b, dim=0))
        weights.append({"pair": [first, second], "angle": torch.rad2deg(angle).item(),
                        "sum": (2 * torch.sin(angle / 2) / torch.sin(angle)).item()})  # fmt: skip
        for w in SCALES:
            for path in PATHS:
                images = between(
                    diffusion,
                    ends,
                    torch.tensor(ALPHAS),
                    noises,
                    w,
                    InterpolationConfig(mode=path, steps=STEPS, sampling=HOW),
                )
                each = torch.tensor(grain(images)).view(NOISES, len(ALPHAS))
                for alpha, drawn in zip(ALPHAS, each.T.tolist()):
                    about = {"pair": [first, second], "w": w, "path": path, "alpha": alpha}
                    rows.append(about | {"grain": [round(v, 4) for v in drawn]})
        for name, emb in beside(a, b, table).items():
            drawn = along(diffusion, emb, noises, SCALES[-1])
            controls.append({"pair": [first, second], "point": name, "grain": [round(v, 4) for v in drawn]})
    return {
        "checkpoint": checkpoint.file_digest(DATA_DIR / "checkpoints/cifar10"),
        "sampler": HOW.sampler, "steps": STEPS, "seed": SEED, "weights": "ema",
        "grain": "mean absolute distance of a pixel in [-1, 1] from the mean of its 2×2 block, an image each",
        "arc_weights_half_way": weights, "rows": rows, "controls_w": SCALES[-1], "controls": controls,
    }  # fmt: skip


def reruns() -> dict:
    """Compare addition and AdaLN-Zero, trained with shared seeds, using the reruns behind the conditioner's gate."""
    record = json.loads((DATA_DIR / "gates/conditioner.json").read_text(encoding="utf-8"))
    runs = {(r["design"], r["rerun"]): r for r in record["runs"]}
    numbers = sorted(n for design, n in runs if design == PAIRED[0])
    differences = {}
    for metric in METRICS:
        pairs = [[runs[name, n]["metrics"]["course"][metric] for name in PAIRED] for n in numbers]
        d = [a - b for a, b in pairs]
        t = mean(d) / (stdev(d) / len(d) ** 0.5)
        differences[metric] = {"pairs": pairs, "mean": mean(d), "t": t}
    about = {k: record["harness"][k] for k in ("train", "samples", "sample_steps", "w")}
    return {"from": "data/gates/conditioner.json", "first": PAIRED[0], "second": PAIRED[1], "harness": about,
            "seeds": [runs[PAIRED[0], n]["seed"] for n in numbers], "differences": differences}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("walks", "reruns"), help="what to measure")
    part = parser.parse_args().part
    torch.set_num_threads(1)
    with torch.no_grad():
        told = {"walks": walks, "reruns": reruns}[part]()
    told = {"command": f"python scripts/lesson_5_3_records.py {part}", "torch": torch.__version__.split("+")[0]} | told
    checkpoint.write_text(OUT / f"{part}.json", json.dumps(told, indent=1) + "\n")
    print(OUT / f"{part}.json")
