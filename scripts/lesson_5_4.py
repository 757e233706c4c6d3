"""Train and measure what lesson 5.4 quotes for digits: few steps, a transformer, min-SNR weighting.

    python scripts/lesson_5_4.py           # six networks a seed, three seeds: about 10 minutes on one core
    python scripts/lesson_5_4.py --long    # the U-Net and the transformer with four times the steps

It can be stopped at any time and continues when called again; finished runs are kept in build/lesson_5_4. The figures
go to data/checkpoints/lesson_5_4/record.json, with the first seed's averaged weights, in float16, beside it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from lesson_5_3 import heldout_loss
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR, Preset
from ddpm_core.data import digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.dit import DiTConfig
from ddpm_core.flow import euler_step, heun_step
from ddpm_core.metrics.adherence import classify
from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_core.samplers import SampleConfig, initial_noise, sample
from ddpm_core.training import TrainConfig, TrainState, train
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.train import resume
from ddpm_tools.train.flows import pairs, reflow, travel
from ddpm_tools.train.objectives import objective

ROOT = Path(__file__).resolve().parents[1]
OUT, WORK = DATA_DIR / "checkpoints/lesson_5_4", ROOT / "build/lesson_5_4"
SEEDS, LONG_SEEDS = (0, 1, 2), (0, 1)
IMAGES, EVALUATIONS = 500, (1, 2, 4, 8, 50)
PAIRS = 2000  # on which a reflow is trained

UNET = UNetConfig(1, 8, 10, channels=(16, 32), blocks_per_level=1, cond_dim=64)
DIT = DiTConfig(1, 8, 10, channels=(64,), blocks_per_level=2)  # nearly as many parameters
SHORT = TrainConfig(steps=300, lr=3e-3, warmup=30, ema_decay=0.99)
BASE = Preset(unet=UNET, train=SHORT, parameterization="v")
NETWORKS = {
    "v": BASE,
    "flow": replace(BASE, schedule="straight", parameterization="flow", times="logit-normal"),
    "dit": replace(BASE, unet=DIT),
    "epsilon": replace(BASE, parameterization="epsilon"),
    "min-snr": replace(BASE, parameterization="epsilon", loss="min-snr-5"),
}
METHODS = {  # network, and how it is sampled
    "DDIM": ("v", "ddim"),
    "DPM-Solver++": ("v", "dpm++"),
    "flow, Euler": ("flow", euler_step),
    "flow, Heun": ("flow", heun_step),
    "reflowed, Euler": ("reflow", euler_step),
}


def fit(config: Preset) -> tuple[TrainState, float]:
    """Train one network in the course's harness; returns the state, and the mean loss of the last 50 steps."""
    state, losses = TrainState.start(config.diffusion(build_unet(config.unet, strategy("add"), config.train.seed)),
                                     config.train), []  # fmt: skip
    loss, times = objective(config, state.diffusion.parameterization)
    bar = tqdm(train(state, digits(), config.train, loss, times), total=config.train.steps, mininterval=10)
    for step in bar:
        losses.append(step.loss.item())
    return state, sum(losses[-50:]) / 50


def straightened(state: TrainState, seed: int) -> TrainState:
    """Train the same flow further on its own pairs."""
    config = replace(SHORT, seed=seed, lr=SHORT.lr / 3)
    made = pairs(state.averaged, PAIRS, seed)
    for again in tqdm(reflow(state.averaged, made, config), total=config.steps, mininterval=10):  # noqa: B007
        pass
    return again


def figures(images: Tensor, y: Tensor) -> dict[str, float]:
    """Return the Fréchet distance to the training digits, and adherence."""
    judge = load_classifier(DATA_DIR / "classifiers/digits")
    _, real = classify(judge, digits().floats())
    predicted, features = classify(judge, images)
    distance = frechet_distance(Moments.of(features), Moments.of(real))
    return {"distance": round(distance, 4), "adherence": (predicted == y).double().mean().item()}


def draw(method: str, network: Diffusion, evaluations: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw IMAGES images by a method; return them and their labels. All methods start from the same noise."""
    y, how = torch.arange(IMAGES) % 10, METHODS[method][1]
    if isinstance(how, str):
        return sample(network, y, 1.0, evaluations, seed, SampleConfig(sampler=how, batch_size=IMAGES)), y
    return travel(network, initial_noise(range(IMAGES), network.shape, seed), y, evaluations, how), y


def possible(method: str, evaluations: int) -> bool:
    """Whether a method can use this number of evaluations: a Heun step takes two."""
    return METHODS[method][1] is not heun_step or evaluations % 2 == 0


def measured(name: str, config: Preset, diffusion: Diffusion) -> dict:
    """Return the held-out loss, and distance and adherence at each number of evaluations by each suitable method."""
    heldout, seed, run = digits("heldout"), config.train.seed, {}
    if name != "reflow":
        curve = heldout_loss(diffusion.network, heldout, heldout.labels, config)
        run |= {"heldout_loss": round(sum(curve) / len(curve), 5)}
    methods = {m: EVALUATIONS for m, (network, _) in METHODS.items() if network == name} or {"DDIM": (20,)}
    for method, counts in methods.items():
        for n in filter(lambda n: possible(method, n), counts):
            run.setdefault(method, {})[n] = figures(*draw(method, diffusion, n, seed))
    if "DDIM" in methods and 20 not in methods["DDIM"]:
        run["DDIM"][20] = figures(*draw("DDIM", diffusion, 20, seed))
    return run


def one_run(name: str, seed: int, steps: int = SHORT.steps) -> dict:
    """Train and measure one network, or read the result of an earlier call. The first seed's weights are kept."""
    kept = WORK / f"{name}-{seed}-{steps}.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    config = NETWORKS["flow" if name == "reflow" else name]
    config = replace(config, train=replace(config.train, seed=seed, steps=steps))
    state, loss = fit(config)
    for kind in ("flow", "reflow") if name == "flow" else (name,):  # a reflow continues from its flow
        state = straightened(state, seed) if kind == "reflow" else state
        run = {"network": kind, "seed": seed, "steps": steps, "train_loss": round(loss, 5)}
        run |= {"parameters": sum(p.numel() for p in state.model.parameters())}
        run |= measured(kind, config, state.averaged)
        if seed == 0 and steps == SHORT.steps and kind in ("v", "flow", "reflow", "dit"):
            told = {"command": "python scripts/lesson_5_4.py", "data": "digits", "seed": seed}
            resume.save_snapshot(OUT / kind, state, config, provenance=told, weights="ema, float16")
        checkpoint.write_text(WORK / f"{kind}-{seed}-{steps}.json", json.dumps(run) + "\n")
    return json.loads(kept.read_text(encoding="utf-8"))


def write_record() -> None:
    """Write all finished runs to one file."""
    runs = [json.loads(f.read_text(encoding="utf-8")) for f in sorted(WORK.glob("*-*-*.json"))]
    record = {"command": "python scripts/lesson_5_4.py [--long]", "images": IMAGES, "runs": runs}
    record |= {"reference": "digits/train, 1437 images; features of the digits classifier", "guidance_scale": 1.0}
    checkpoint.write_text(
        OUT / "record.json", json.dumps(record | {"torch": torch.__version__.split("+")[0]}, indent=1)
    )
    print(f"{OUT / 'record.json'}: {len(runs)} runs")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="the U-Net and the transformer with four times the steps")
    long = parser.parse_args().long
    torch.set_num_threads(1)  # pictures this small are too little work to share
    WORK.mkdir(parents=True, exist_ok=True)
    for number in LONG_SEEDS if long else SEEDS:
        for network in ("v", "dit") if long else NETWORKS:
            one_run(network, number, SHORT.steps * (4 if long else 1))
            write_record()
