"""Compares training steps and guided sampling with diffusers, with the same weights in one run; also time to quality.

Peer: diffusers' UNet2DModel with its DDIMScheduler, EMAModel and the usual loop (guidance in one doubled batch).
Ratios are theirs / ours in seconds, so above 1 ours is faster. Peers take turns within a round, each round gives one
ratio, and the interval is a bootstrap of the median over rounds. `own_*` compares our default design, with about as
many parameters, with the same peer. The last line is one JSON object.

    python benchmarks/speed.py --quick
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from time_to_quality import CANDIDATES, QUICK, Bench, Setting, measure
from torch import Tensor

from ddpm_core.conditioning import strategy
from ddpm_core.data import ImageData
from ddpm_core.diffusion import Diffusion
from ddpm_core.network import NetworkConfig
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import SampleConfig, initial_noise, sample
from ddpm_core.schedule import DiffusionSchedule, cosine_beta_schedule
from ddpm_core.training import TrainConfig, TrainState, train
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.export.diffusers_unet import to_diffusers_config, to_diffusers_weights
from ddpm_tools.outputs import json_text
from ddpm_tools.unet2d import UNet2DConfig

CONFIGS = {  # (same weights as the peer, our own design at about as many parameters, batch, images to sample)
    "32": (
        UNet2DConfig(3, 32, 10, (64, 128, 128, 128), attention_levels=(1,), head_dim=8),
        UNetConfig(3, 32, 10, (72, 144, 144)),
        8, 8,
    ),
    "8": (
        UNet2DConfig(1, 8, 10, (32, 64), attention_levels=(1,), head_dim=8),
        UNetConfig(1, 8, 10, (32, 64), cond_dim=128),
        128, 64,
    ),
}  # fmt: skip
Work = Callable[[], object]


def network(config: NetworkConfig) -> torch.nn.Module:
    return build_unet(config, strategy("add"), seed=0)


def images(config: NetworkConfig, count: int) -> ImageData:
    rng = torch.Generator().manual_seed(0)
    shape = (count, config.image_channels, config.image_size, config.image_size)
    labels = torch.arange(count) % config.num_classes
    return ImageData("noise", "train", torch.randint(256, shape, dtype=torch.uint8, generator=rng), labels, ())


def our_training(config: NetworkConfig, batch: int) -> Work:
    plan = TrainConfig(steps=1_000_000, batch_size=batch)
    state = TrainState.start(Diffusion(network(config), SCHEDULE, EPSILON), plan)
    steps = train(state, images(config, 4 * batch), plan)
    return lambda: next(steps)


def their_training(config: NetworkConfig, batch: int) -> Work:
    """Return a step of diffusers' unconditional training example, with labels: noise, loss, clip, AdamW, EMA."""
    model, scheduler = peer(config), their_scheduler()
    ema = EMAModel(model.parameters(), decay=0.9999, use_ema_warmup=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, weight_decay=1e-4)
    data = images(config, 4 * batch)
    x0, y, null = data.floats(), data.labels, torch.tensor(config.num_classes)
    model.train()

    def step() -> None:
        index = torch.randint(len(x0), (batch,))
        clean, labels = x0[index], torch.where(torch.rand(batch) < 0.15, null, y[index])
        noise, t = torch.randn_like(clean), torch.randint(1000, (batch,))
        loss = F.mse_loss(model(scheduler.add_noise(clean, noise, t), t, class_labels=labels).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(model.parameters())

    return step


def peer(config: NetworkConfig) -> UNet2DModel:
    """Return diffusers' network with our weights."""
    model = UNet2DModel(**to_diffusers_config(config))
    model.load_state_dict(to_diffusers_weights(network(config).state_dict(), config))
    return model


def their_scheduler(predicts: str = "epsilon") -> DDIMScheduler:
    betas = cosine_beta_schedule(1000).float().numpy()
    return DDIMScheduler(trained_betas=betas, timestep_spacing="trailing", prediction_type=predicts)


@torch.no_grad()
def their_sampling(model: UNet2DModel, xt: Tensor, y: Tensor, w: float, steps: int) -> Tensor:
    scheduler, null = their_scheduler(), torch.full_like(y, model.config.num_class_embeds - 1)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        eps_u, eps_c = model(torch.cat([xt, xt]), t, class_labels=torch.cat([null, y])).sample.chunk(2)
        xt = scheduler.step(eps_u + w * (eps_c - eps_u), t, xt, use_clipped_model_output=True).prev_sample
    return xt


def sampling_pair(config: NetworkConfig, own: NetworkConfig, n: int, steps: int) -> tuple[Work, Work, Work]:
    y = torch.arange(n) % config.num_classes
    ours, other, theirs = network(config).eval(), network(own).eval(), peer(config).eval()
    xt = initial_noise(range(n), (config.image_channels, config.image_size, config.image_size))
    run = lambda net: lambda: sample(Diffusion(net, SCHEDULE, EPSILON), y, w=4.0, steps=steps)  # noqa: E731
    torch.testing.assert_close(run(ours)(), their_sampling(theirs, xt, y, 4.0, steps), atol=1e-3, rtol=0)
    return run(ours), run(other), lambda: their_sampling(theirs, xt, y, 4.0, steps)


def seconds(work: Work, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def compare(ours: Work, own: Work, theirs: Work, budget_s: float, label: str) -> dict[str, list[float]]:
    """Return the ratios theirs / ours and theirs / own design, each as [median, low, high] (95 %)."""
    works = (ours, own, theirs)
    once = max(seconds(work, 2) for work in works)  # burn-in
    calls = max(1, int(0.3 / once))
    rounds = max(5, int(budget_s / (3 * calls * once)))
    times = []
    for r in range(rounds):
        order = [(k + r) % 3 for k in range(3)]  # so that none is always first after a pause
        took = {k: seconds(works[k], calls) for k in order}
        times.append(took)
    print(f"{label}: {rounds} rounds, ours {1e3 * statistics.median(t[0] for t in times):.1f} ms", end=", ")
    print(", ".join(f"{n} {1e3 * statistics.median(t[k] for t in times):.1f} ms" for k, n in ((1, "own"), (2, "peer"))))
    return {name: interval([t[2] / t[k] for t in times]) for k, name in ((0, "ratio"), (1, "own"))}


def interval(ratios: list[float]) -> list[float]:
    rng, x = torch.Generator().manual_seed(0), torch.tensor(ratios, dtype=torch.float64)
    medians = x[torch.randint(len(x), (2000, len(x)), generator=rng)].quantile(0.5, dim=1)
    return [round(float(v), 3) for v in (x.quantile(0.5), medians.quantile(0.025), medians.quantile(0.975))]


def time_to_quality(quick: bool, w: float = 2.0) -> dict:
    """Compare our cheapest sampler that matches 50 DDIM steps with diffusers' two-pass loop, on the shipped model."""
    bench = Bench(300 if quick else 1000, seed=0, batch_size=250)
    found = measure(bench, w, QUICK if quick else CANDIDATES)
    best = found["best"]
    setting = Setting(best["steps"], SampleConfig(**best["config"]))
    net, kind, ratios = bench.diffusion.network, bench.diffusion.parameterization, []
    for _ in range(3):
        began = time.perf_counter()
        for part in bench.y.split(bench.batch_size):
            xt = initial_noise(range(len(part)), (1, 8, 8))
            their_two_pass_loop(net, xt, part, w, 50, PREDICTION_TYPES[kind.name])
        ratios.append((time.perf_counter() - began) / bench.run(setting, w).seconds)
    print(f"diffusers' loop of 50 steps and two passes takes {ratios} times as long as {setting}")
    return {
        "time_to_quality_ratio": round(statistics.median(ratios), 2),
        "time_to_quality_ratio_interval": [round(min(ratios), 2), round(max(ratios), 2)],
        "nfe_to_match_ddim50": best["nfe"],
        "nfe_to_match_ddim50_without_interval": found["best_without_interval"]["nfe"],
    }


@torch.no_grad()
def their_two_pass_loop(net: torch.nn.Module, xt: Tensor, y: Tensor, w: float, steps: int, predicts: str) -> Tensor:
    """Do guidance as most people first write it: an unconditional pass, a conditional one, and diffusers' DDIM step."""
    scheduler, null = their_scheduler(predicts), torch.full_like(y, net.null_class)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        out_u, out_c = net(xt, t.expand(len(y)), null), net(xt, t.expand(len(y)), y)
        xt = scheduler.step(out_u + w * (out_c - out_u), t, xt, use_clipped_model_output=True).prev_sample
    return xt


SCHEDULE = DiffusionSchedule.named("cosine")
PREDICTION_TYPES = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}  # our names and diffusers'


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="within five minutes")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    budget, result = (20.0 if a.quick else 120.0), {}
    for size, (config, own, batch, n) in CONFIGS.items():
        count = [sum(p.numel() for p in network(c).parameters()) for c in (config, own)]
        print(f"{size}×{size}: {count[0]:,} parameters, our own design {count[1]:,}")
        trained = compare(
            our_training(config, batch),
            our_training(own, batch),
            their_training(config, batch),
            budget,
            "training step",
        )
        drawn = compare(*sampling_pair(config, own, n, steps=2 if size == "32" else 10), budget, "guided sampling")
        for name, got in (("train", trained), ("sample", drawn)):
            result |= {f"{name}_ratio_{size}": got["ratio"][0], f"{name}_ratio_{size}_interval": got["ratio"][1:]}
            result |= {f"own_{name}_ratio_{size}": got["own"][0], f"own_{name}_ratio_{size}_interval": got["own"][1:]}
    result |= time_to_quality(quick=a.quick)
    print(json_text(result))


if __name__ == "__main__":
    main()
