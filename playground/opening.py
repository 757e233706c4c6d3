"""The playground's opening: one picture in colour, drawn at build time, that moves before any model is fetched.

The page's own noise (random.js) is drawn here too, so the page draws the same picture when it runs the model itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.guidance import batched, extrapolate
from ddpm_core.samplers import dpm_solver_pp, spaced_timesteps
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.judges import classes_of, known_classifier

MODEL = "cifar10"
SETTINGS = {
    "model": MODEL, "class": "horse", "mix": 0, "w": 3, "steps": 20, "sampler": "dpm++", "seed": 6, "weights": "ema",
}  # fmt: skip
WORD = np.uint64(0xFFFFFFFF)


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox-4x32-10 (Salmon et al. 2011): counters (4, n) and a key -> random 32-bit words (4, n)."""
    k0, k1 = (np.uint64(k) for k in key)
    for _ in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        (high0, low0), (high1, low1) = ((x >> np.uint64(32), x & WORD) for x in (a, b))
        counter = np.stack([high1 ^ counter[1] ^ k0, low1, high0 ^ counter[3] ^ k1, low0])
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & WORD, (k1 + np.uint64(0xBB67AE85)) & WORD
    return counter


def normals(seed: int, stream: int, n: int) -> NDArray[np.float32]:
    """n standard normal numbers of a stream, as random.js draws them: Box and Muller's formula on Philox's words."""
    counter = np.zeros((4, -(-n // 4)), dtype=np.uint64)
    counter[0] = np.arange(counter.shape[1])
    words = philox(counter, (seed, stream)).astype(np.float64)
    columns = []
    for i in (0, 2):
        radius, angle = np.sqrt(-2 * np.log((words[i] + 0.5) / 2**32)), 2 * np.pi * words[i + 1] / 2**32
        columns += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.stack(columns, axis=1).reshape(-1)[:n].astype(np.float32)


@torch.no_grad()
def draw(path: Path) -> tuple[dict[str, object], list[list[Tensor]]]:
    """The opening of a checkpoint -> what the page is told, and for each step the images (C, H, W) xt, x0, weak,
    strong and push, as step.js takes a step apart; the finished picture is a step with the first two alone."""
    loaded = checkpoint.load(path)
    diffusion, classes, shape = loaded.diffusion(), classes_of(loaded), loaded.ema.config.image_shape
    branches = batched(diffusion, torch.tensor([classes.index(str(SETTINGS["class"]))]))
    w, steps = float(SETTINGS["w"]), []

    def denoise(xt: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        weak, strong = branches(xt, t)
        x0, eps = diffusion.split(extrapolate(weak, strong, w), xt, t)
        of = diffusion.parameterization.predict_x0
        weak, strong = (of(out, xt, t, diffusion.schedule) for out in (weak, strong))
        steps.append([image[0] for image in (xt, x0, weak, strong, w * (strong - weak))])
        return x0, eps

    times = spaced_timesteps(diffusion.schedule, int(SETTINGS["steps"]))
    noise = torch.from_numpy(normals(int(SETTINGS["seed"]), 0, int(np.prod(shape)))).view(1, *shape)
    *_, (final, _) = dpm_solver_pp(denoise, noise, diffusion.schedule, times)
    steps.append([final[0], final[0]])
    judge = known_classifier(shape, classes)
    readings = load_classifier(judge)(torch.stack([step[1] for step in steps])).softmax(1) if judge else None
    told = {
        "settings": SETTINGS, "shape": [*shape], "times": [*map(int, times), None],
        "readings": [[round(p, 4) for p in row] for row in readings.tolist()] if judge else [None] * len(steps),
    }  # fmt: skip
    return told, steps


def write(folder: Path, checkpoints: list[Path]) -> None:
    """opening.json and opening.png; the former says null where the checkpoint is not among those of the page."""
    found = next((path for path in checkpoints if path.stem == MODEL), None)
    told, steps = draw(found) if found else (None, [])
    (folder / "opening.json").write_text(json.dumps(told), encoding="utf-8")
    if not steps:
        return
    channels, side, _ = steps[0][0].shape
    sheet = torch.zeros(channels, len(steps[0]) * side, len(steps) * side)
    for i, images in enumerate(steps):
        for row, image in enumerate(images):
            sheet[:, row * side : (row + 1) * side, i * side : (i + 1) * side] = image.clamp(-1, 1)
    pixels = ((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()  # (5·H, S·W, C)
    Image.fromarray(pixels).save(folder / "opening.png", optimize=True)
