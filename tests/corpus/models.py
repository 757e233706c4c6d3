"""Checkpoints that users bring, written by diffusers itself or by hand around a tiny network; beside each what it is.
The betas are written out from the papers' formulas, apart from diffusers and from our own."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import diffusers
import torch
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file

NAME = "diffusion_pytorch_model"
Make = Callable[[Path], Path | None]  # writes into an empty folder; what is named to the command, if not that folder


@dataclass(frozen=True)
class Accepted:
    """A folder that is read, and what it is."""

    make: Make
    betas: Callable[[int], list[float]] = field(default=lambda i: linear()[i])
    parameterization: str = "epsilon"
    classes: int = 10
    null: bool = False
    options: tuple[str, ...] = ()
    says: str = "betas: "


@dataclass(frozen=True)
class Refused:
    """A folder that is not, and the sentence."""

    make: Make
    says: str
    options: tuple[str, ...] = ()


def linear(start=1e-4, end=0.02, steps=1000):
    return [start + (end - start) * i / (steps - 1) for i in range(steps)]


def squaredcos(steps=1000):
    def left(t):
        return math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    return [min(1 - left(i + 1) / left(i), 0.999) for i in range(steps)]


def scaled(start=1e-4, end=0.02):
    return [b**2 for b in linear(start**0.5, end**0.5)]


def sigmoid():
    return [1e-4 + (0.02 - 1e-4) / (1 + math.exp(-x)) for x in linear(-6, 6)]


def zero_snr():
    """Lin et al. 2024, algorithm 1, of the linear betas."""
    roots, product = [], 1.0
    for b in linear():
        roots.append((product := product * (1 - b)) ** 0.5)
    abar = [((r - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2 for r in roots]
    return [1 - abar[0]] + [1 - b / a for a, b in pairwise(abar)]


def network(rows=10, seed=0, **more):
    torch.manual_seed(seed)
    return diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, num_class_embeds=rows, **more,
    )  # fmt: skip


def scheduled(kind="DDPM", **how):
    return getattr(diffusers, f"{kind}Scheduler")(**how)


def pipeline(scheduler=None, net=None, **how):
    """A pipeline's folder, as `save_pretrained` writes it."""

    def make(folder):
        diffusers.DDPMPipeline(net or network(), scheduler or scheduled()).save_pretrained(folder, **how)

    return make


def then(make, change):
    """A folder in which something has been changed."""

    def changed(folder):
        make(folder)
        change(folder)

    return changed


def edited(file, **values):
    def change(folder):
        old = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(old | values))

    return change


def alone(net=None, **how):
    """The folder of a network, with its scheduler beside it."""

    def make(folder):
        (net or network()).save_pretrained(folder, **how)
        scheduled().save_pretrained(folder)

    return make


def weights(change, file=f"unet/{NAME}.safetensors"):
    """A pipeline's folder whose weights have been changed."""
    return then(pipeline(), lambda folder: change(folder / file))


def training(folder):
    """What diffusers' training script leaves: a checkpoint with raw and averaged weights, the scheduler above it."""
    net, inside = network(), folder / "run/checkpoint-500"
    ema = EMAModel(net.parameters(), model_cls=diffusers.UNet2DModel, model_config=net.config, use_ema_warmup=True)
    for p in ema.shadow_params:
        p.data.add_(0.5)
    ema.save_pretrained(inside / "unet_ema")
    net.save_pretrained(inside / "unet")
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        (inside / name).write_bytes(b"a pickle")
    scheduled(beta_schedule="squaredcos_cap_v2").save_pretrained(folder / "run/scheduler")
    return inside


def hub_cache(folder):
    """The Hub's cache: links in a snapshot to blobs named by their digest."""
    top, plain = folder / "models--me--digits", folder / "plain"
    pipeline()(plain)
    for part in ("refs", "blobs", "snapshots/0a1b", "snapshots/older"):
        (top / part).mkdir(parents=True)
    (top / "refs/main").write_text("0a1b")
    for i, file in enumerate(sorted(f for f in plain.rglob("*") if f.is_file())):
        shutil.move(file, top / f"blobs/{i}")
        link = top / "snapshots/0a1b" / file.relative_to(plain)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("../" * len(file.relative_to(plain).parts)) / f"../blobs/{i}")
    return top


def without(pattern):
    def change(folder):
        next(iter(sorted(folder.glob(pattern)))).unlink()

    return change


def not_finite(file):
    state = load_file(file)
    state["conv_in.bias"][0] = float("nan")
    save_file(state, file)


def broken_link(file):
    file.unlink()
    file.symlink_to("gone")


SHARDS = {"max_shard_size": "10KB"}
COSINE = {"beta_schedule": "squaredcos_cap_v2"}
INDEX = f"{NAME}.safetensors.index.json"
OWN = "the folder's own, squaredcos_cap_v2, 1000 timesteps"
CASES = {
    # which betas
    "cosine": Accepted(pipeline(scheduled(**COSINE)), lambda i: squaredcos()[i], says=OWN),
    "cosine, and said": Accepted(pipeline(scheduled(**COSINE)), lambda i: squaredcos()[i],
                                 options=("--schedule", "cosine"), says=OWN),
    "cosine of 500": Accepted(pipeline(scheduled(num_train_timesteps=500, **COSINE)), lambda i: squaredcos(500)[i]),
    "linear of 500": Accepted(pipeline(scheduled(num_train_timesteps=500)), lambda i: linear(steps=500)[i],
                              says="betas: linear, 500 timesteps"),
    "other ends": Accepted(pipeline(scheduled(beta_start=2e-4, beta_end=0.03)), lambda i: linear(2e-4, 0.03)[i]),
    "scaled": Accepted(pipeline(scheduled(beta_schedule="scaled_linear")), lambda i: scaled()[i]),
    "sigmoid": Accepted(pipeline(scheduled(beta_schedule="sigmoid")), lambda i: sigmoid()[i]),
    "a list": Accepted(pipeline(scheduled(trained_betas=[0.01] * 100, num_train_timesteps=100)), lambda i: 0.01),
    "zero SNR, v": Accepted(pipeline(scheduled(rescale_betas_zero_snr=True, prediction_type="v_prediction")),
                            lambda i: zero_snr()[i], "v"),
    "zero SNR, eps": Refused(pipeline(scheduled(rescale_betas_zero_snr=True)), "nothing of the image at the last"),
    "x0, no clamp": Accepted(pipeline(scheduled(prediction_type="sample", clip_sample=False)), parameterization="x0",
                             says="does not clamp x0; draw with --no-clip"),
    "clamped at 2": Accepted(pipeline(scheduled(clip_sample_range=2.0, variance_type="fixed_large_log")),
                             says="clamps x0 at 2.0; here at 1"),
    "thresholds": Accepted(pipeline(scheduled("DDIM", thresholding=True)), says="thresholds x0 dynamically"),
    "its spacing": Accepted(pipeline(scheduled("DDIM", timestep_spacing="linspace", steps_offset=1))),
    "PNDM": Accepted(pipeline(scheduled("PNDM"))),
    "Euler": Accepted(pipeline(scheduled("EulerDiscrete", **COSINE)), lambda i: squaredcos()[i]),
    "DPM++": Accepted(pipeline(scheduled("DPMSolverMultistep", beta_schedule="scaled_linear")), lambda i: scaled()[i]),
    "its own defaults": Accepted(pipeline(scheduled("HeunDiscrete")), lambda i: linear(0.00085, 0.012)[i]),
    "unknown fields": Accepted(then(pipeline(), edited("scheduler/scheduler_config.json", added_in_2030=1))),
    "flow matching": Refused(pipeline(scheduled("FlowMatchEulerDiscrete")), "no DDPM"),
    "EDM": Refused(pipeline(scheduled("EDMEuler")), "no DDPM"),
    "flow prediction": Refused(pipeline(scheduled("DPMSolverMultistep", prediction_type="flow_prediction")),
                               "prediction_type = 'flow_prediction' is unknown here"),
    "another schedule": Accepted(pipeline(scheduled(**COSINE)), options=("--schedule", "linear"),
                                 says="linear, as --schedule says, not the folder's squaredcos_cap_v2"),
    "no scheduler": Refused(lambda f: network().save_pretrained(f), "has no scheduler_config.json; give --schedule"),
    "no scheduler, said": Accepted(lambda f: network().save_pretrained(f), lambda i: squaredcos()[i],
                                   options=("--schedule", "squaredcos_cap_v2", "--parameterization", "epsilon")),
    # which classes
    "no classes": Accepted(pipeline(net=network(None)), classes=0, null=True),
    "11 rows": Accepted(pipeline(net=network(11)), classes=11),
    "11 rows of digits": Accepted(pipeline(net=network(11)), null=True, options=("--data", "digits")),
    "10 rows of digits": Accepted(pipeline(), options=("--data", "digits"), says="10 classes and no null class"),
    "11 rows, said": Accepted(pipeline(net=network(11)), null=True, options=("--null-class",)),
    "one class": Accepted(pipeline(net=network(1)), classes=1),
    "only a null class": Refused(pipeline(net=network(1)), "leaves no class beside the null", ("--null-class",)),
    "embeds times": Refused(pipeline(net=network(None, class_embed_type="timestep")), "class_embed_type = 'timestep'"),
    "embeds itself": Refused(pipeline(net=network(None, class_embed_type="identity")), "class_embed_type = 'identity'"),
    "projects": Refused(then(pipeline(), edited("unet/config.json", class_embed_type="projection")), "'projection'"),
    # where the weights lie
    "averaged": Accepted(training, lambda i: squaredcos()[i], says="averaged weights from unet_ema/"),
    "raw, by name": Accepted(lambda f: training(f) / "unet", lambda i: squaredcos()[i]),
    "not yet done": Refused(lambda f: training(f).parent, "name one of the models in it, such as .*checkpoint-500"),
    "fp16": Accepted(pipeline(net=network().half(), variant="fp16")),
    "bfloat16": Accepted(pipeline(net=network().bfloat16())),
    "two variants": Accepted(then(pipeline(variant="fp16"), pipeline(net=network(seed=1), variant="non_ema"))),
    "dropout": Accepted(pipeline(net=network(dropout=0.1))),
    "shards": Accepted(alone(**SHARDS)),
    "shards of fp16": Accepted(alone(network().half(), variant="fp16", **SHARDS)),
    "shards, no index": Accepted(then(alone(**SHARDS), without(INDEX))),
    "a shard is missing": Refused(then(alone(**SHARDS), without(f"{NAME}-00002*")), "-00002-of-.* is missing; fetch"),
    "no index, no shard": Refused(then(alone(**SHARDS), lambda f: [without(f"{NAME}-0000[24]*")(f), without(INDEX)(f)]),
                                  "-00002-of-.* is missing"),
    "index leads away": Refused(then(alone(**SHARDS), edited(INDEX, weight_map={"a": "../w"})), "names no shards"),
    "pickled": Refused(pipeline(safe_serialization=False), "a pickle, which can run code"),
    "LFS pointer": Refused(weights(lambda f: f.write_text("version https://git-lfs.github.com/spec/v1\noid x\n")),
                           "a Git LFS pointer, not the weights; fetch them with `git lfs pull`"),
    "a page of errors": Refused(weights(lambda f: f.write_text("<!DOCTYPE html>")), "truncated or damaged"),
    "cut short": Refused(weights(lambda f: f.write_bytes(f.read_bytes()[:-9])), "truncated or damaged"),
    "empty": Refused(weights(lambda f: f.write_bytes(b"")), "truncated or damaged"),
    "not finite": Refused(weights(not_finite), "conv_in.bias .* not finite"),
    "broken link": Refused(weights(broken_link), "is a link to a missing file"),
    "Hub's cache": Accepted(hub_cache),
    "its snapshot": Accepted(lambda f: hub_cache(f) / "snapshots/0a1b"),
    "the whole cache": Refused(lambda f: hub_cache(f).parent, "such as .*models--me--digits"),
    "not fetched": Refused(lambda f: f / "google/ddpm-cifar10-32", "there is no folder .*download"),
    "a file": Refused(lambda f: [pipeline()(f), f / "model_index.json"][1], "is a file; give the diffusers folder"),
    "latents": Refused(then(pipeline(), edited("model_index.json", vqvae=["diffusers", "VQModel"])), "of its vqvae"),
}  # fmt: skip
