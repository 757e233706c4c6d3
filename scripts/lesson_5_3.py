"""Train what lesson 5.3 loads: seven ways of conditioning at equal budget, and a small model that reads captions.

    python scripts/lesson_5_3.py compare   # digits, seven strategies, two seeds: about 15 minutes on one core
    python scripts/lesson_5_3.py text --until 2100  # emoji at 16×16 with captions: about 10 minutes on one core

Both can be stopped at any time and continue when called again; unfinished runs are kept in build/lesson_5_3. The
results go to data/checkpoints/lesson_5_3: averaged weights in float16, each with the config that made it, and
comparison.json with every run's figures. The same seed gives the same numbers on the same machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR, Preset
from ddpm_core.data import ImageData
from ddpm_core.samplers import sample
from ddpm_core.streams import stream
from ddpm_core.training import TrainConfig, TrainState, train
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.captions import Tokenizer, build_text_unet, tokenized
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import score
from ddpm_tools.train import resume
from ddpm_tools.unet2d import UNet2DConfig

ROOT = Path(__file__).resolve().parents[1]
OUT, WORK = DATA_DIR / "checkpoints/lesson_5_3", ROOT / "build/lesson_5_3"
NAMES = ("add", "adagn", "concat", "adaln_zero", "cross_attention_1", "cross_attention", "none")  # the control last
SEEDS = (0, 1)
IMAGES, SAMPLING_STEPS = 1000, 20  # behind every adherence and distance
TIMES = tuple(range(25, 1000, 50))  # the held-out loss is the mean over these noise levels
SAVE_EVERY = 100  # steps: the most that a stopped run can lose

# One small network for all seven, with a high learning rate and a fast EMA: a run takes a minute
DIGITS = Preset(
    unet=UNetConfig(1, 8, 10, channels=(32, 32), blocks_per_level=1, cond_dim=64),
    train=TrainConfig(steps=300, lr=3e-3, warmup=30, ema_decay=0.99),
)
# As in Stable Diffusion, the words enter only through cross-attention. It predicts v, because colours are decided at
# high noise, where a prediction of eps says nothing about the image
TEXT = Preset(
    data="emoji",
    conditioning="none",
    parameterization="v",
    unet=UNet2DConfig(3, 16, 0, (32, 64), 1, (1,), groups=8, context_dim=96),
    train=TrainConfig(steps=3600, batch_size=32, lr=1e-3, warmup=100, ema_decay=0.998, p_uncond=0.1),
)


def fit(
    build: Callable[[], nn.Module], data: ImageData, config: Preset, path: Path, until: int | None = None
) -> tuple[TrainState, list[float]]:
    """Train with regular saves, continuing a run that was stopped. Returns the state, and the loss of every step.

    `until` ends it early, as if the plug had been pulled, while the learning rate is still decaying.
    """
    state, losses = TrainState.start(config.diffusion(build()), config.train), []
    if resume.exists(path):
        state, losses = resume.resume(path, config, state), checkpoint.read(path)[1]["losses"]
        losses = losses[: state.step]  # a run killed while saving has a newer JSON than weights
    with tqdm(total=config.train.steps, initial=state.step, desc=path.name, unit="step", mininterval=5) as bar:
        steps = train(state, data, config.train)
        for step in islice(steps, max(0, (until or config.train.steps) - state.step)):
            losses.append(step.loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
            bar.update()
            if step.step % SAVE_EVERY == 0:
                resume.save_training(path, state, config, build=lambda preset: build(), losses=losses)
    return state, losses


@torch.no_grad()
def heldout_loss(net: nn.Module, data: ImageData, cond: Tensor, config: Preset) -> list[float]:
    """Return the mean squared error at each of TIMES, over all the data's images with these conditions; fixed noise."""
    how = config.diffusion(net)
    x0, curve = data.floats(), []  # (N, C, H, W)
    for t in TIMES:
        ts = torch.full((len(x0),), t)
        eps = torch.randn(x0.shape, generator=stream(0, "heldout", t))
        target = how.parameterization.compute_training_target(x0, eps, ts, how.schedule)
        output = net(how.schedule.q_sample(x0, ts, eps), ts, cond)
        curve.append((output - target).square().mean().item())
    return curve


def about(command: str, data: ImageData, config: Preset, losses: list[float]) -> dict:
    """Return where a checkpoint comes from, for its JSON."""
    return {
        "command": f"python scripts/lesson_5_3.py {command}",
        "data": data.name,
        "n_train": len(data),
        "seed": config.train.seed,
        "last_loss": round(sum(losses[-50:]) / 50, 4),
        "torch": torch.__version__.split("+")[0],
    }


def scored(net: nn.Module, config: Preset, data: ImageData) -> dict:
    """Return adherence, Fréchet distance and diversity of IMAGES images at w = 1, with their provenance."""
    judge, seed = load_classifier(DATA_DIR / "classifiers/digits"), config.train.seed
    y = torch.arange(IMAGES) % config.unet.num_classes  # (N,)
    images = sample(config.diffusion(net), y, 1.0, SAMPLING_STEPS, seed)
    reference = f"{data.name}/{data.split}, {len(data)} images"
    told = Provenance("digits classifier, 64 features", IMAGES, reference, seed, SAMPLING_STEPS, 1.0, "ema")
    return asdict(score(images, y, data, judge, told))


def one_run(name: str, seed: int) -> dict:
    """Train and measure one strategy with one seed; the weights of seed 0 are kept for the lesson."""
    config = replace(DIGITS, conditioning=name, train=replace(DIGITS.train, seed=seed))
    data, heldout, path = load_data("digits"), load_data("digits", "heldout"), WORK / f"{name}-{seed}"
    kept = path.with_name(f"{path.name}.figures.json")
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    state, losses = fit(lambda: build_unet(config.unet, strategy(name), seed), data, config, path)
    curve = heldout_loss(state.ema.module, heldout, heldout.labels, config)
    run = {"strategy": name, "seed": seed, "parameters": sum(p.numel() for p in state.model.parameters())}
    run |= {"conditioners": sum(p.numel() for p in state.model.conditioners.parameters())}
    run |= {"heldout_loss": sum(curve) / len(curve), "heldout_curve": [round(x, 5) for x in curve]}
    run |= {"train_loss": [round(sum(losses[i : i + 10]) / 10, 5) for i in range(0, len(losses), 10)]}
    run |= {"scores": scored(state.ema.module, config, data)}
    if seed == 0:
        told = about("compare", data, config, losses)
        resume.save_snapshot(OUT / name, state, config, provenance=told, weights="ema, float16")
    checkpoint.write_text(kept, json.dumps(run) + "\n")
    return run


def compare() -> None:
    """Run every strategy with the first seed, then with the next. The record is written after each seed."""
    record = {
        "command": "python scripts/lesson_5_3.py compare",
        "data": "digits",
        "steps": DIGITS.train.steps,
        "heldout_times": TIMES,
        "torch": torch.__version__.split("+")[0],
        "runs": [],
    }
    for seed in SEEDS:
        record["runs"] += [one_run(name, seed) for name in NAMES]
        checkpoint.write_text(OUT / "comparison.json", json.dumps(record, indent=1) + "\n")
        print(f"{OUT / 'comparison.json'}: {len(record['runs'])} runs")


def text(until: int | None = None) -> None:
    """Train the model that reads captions. Its JSON also holds the words it knows."""
    size = TEXT.unet.image_size
    data, heldout = load_data("emoji", "train", size=size), load_data("emoji", "heldout", size=size)
    tokenizer = Tokenizer.build(data.captions)
    state, losses = fit(
        lambda: build_text_unet(TEXT.unet, tokenizer, TEXT.conditioning, seed=TEXT.train.seed),
        tokenized(data, tokenizer), TEXT, WORK / "text", until,
    )  # fmt: skip
    tokens = tokenizer.encode(heldout.captions)  # (N, S)
    others = tokens[torch.randperm(len(tokens), generator=stream(0, "shuffle"))]  # (N, S)
    gap = {k: heldout_loss(state.ema.module, heldout, c, TEXT) for k, c in (("own", tokens), ("shuffled", others))}
    told = about("text" + (f" --until {until}" if until else ""), data, TEXT, losses) | {"step": state.step}
    told |= {f"heldout_loss_{k}_caption": round(sum(v) / len(v), 5) for k, v in gap.items()}
    told |= {"train_loss": [round(sum(losses[i : i + 50]) / 50, 4) for i in range(0, len(losses), 50)]}
    resume.save_snapshot(
        OUT / "text", state, TEXT, tokenizer=tokenizer.to_dict(), provenance=told, weights="ema, float16"
    )
    print(f"{OUT / 'text'}: held-out loss {told['heldout_loss_own_caption']} with the caption, "
          f"{told['heldout_loss_shuffled_caption']} with another's")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("compare", "text"), help="what to train")
    parser.add_argument("--until", type=int, help="end the text model's training after this many steps")
    args = parser.parse_args()
    torch.set_num_threads(1)  # pictures this small are too little work to share
    compare() if args.part == "compare" else text(args.until)
