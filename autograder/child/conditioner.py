"""The questions that the conditioner exercise asks of an answer: outputs on given inputs, a brief training, denoising.

Each operation takes (answers, header, tensors) and returns (header, tensors). `answers` is the namespace of the
answer cells; it also keeps the network between the steps of a training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ddpm_core.data import ImageData
from ddpm_core.layers import AdaLNBlock, CrossAttentionLayer
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.training import TrainConfig, TrainState, train
from ddpm_core.unet import ConditionalUNetV2, Conditioning, UNetConfig, build_unet

Reply = tuple[dict[str, Any], dict[str, Tensor]]


def setup() -> dict[str, Any]:
    """What the notebook's set-up cell imports besides torch, nn, F and math."""
    return {"CrossAttentionLayer": CrossAttentionLayer, "AdaLNBlock": AdaLNBlock}


def perturb(module: nn.Module, seed: int, scale: float = 0.1) -> None:
    """Move every parameter: a fresh module need not react yet, since zero-initialised gates are right."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(scale * torch.randn(p.shape, generator=rng))


def network(answers: dict[str, Any], header: dict[str, Any]) -> ConditionalUNetV2:
    config = header["unet"] | {k: tuple(header["unet"][k]) for k in ("channels", "attention_levels")}
    pair = Conditioning(answers["prepare_conditioning"], answers["ClassConditioner"])
    return build_unet(UNetConfig(**config), pair, header["seed"])


def prepare(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    time_emb, class_emb = x["time_emb"], x["class_emb"]
    out = answers["prepare_conditioning"](time_emb, class_emb)
    return {}, {"out": out, "time_emb": time_emb, "class_emb": class_emb}


def conditioner(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    h, class_emb = x["h"], x["class_emb"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(header["seed"])
        module = answers["ClassConditioner"](h.shape[1], class_emb.shape[1])
    perturb(module, header["seed"])
    with torch.no_grad():
        out = module.eval()(h, class_emb)
    return {}, {"out": out, "h": h, "class_emb": class_emb}


def parameters(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    net = network(answers, header)
    own = sum(p.numel() for p in net.conditioners.parameters())
    return {"conditioners": own, "trunk": sum(p.numel() for p in net.parameters()) - own}, {}


def forward(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """A perturbed network in eval mode on one or more batches (x0, t0, y0), (x1, t1, y1), ... -> out0, out1, ..."""
    net = network(answers, header).eval()
    perturb(net, header["seed"])
    outs = {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=header.get("autocast", False)):
        for i in range(header["batches"]):
            outs[f"out{i}"] = net(x[f"x{i}"], x[f"t{i}"], x[f"y{i}"])
    return {}, outs


def gradient(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The gradient of a fixed projection of the output with respect to the class embeddings."""
    net = network(answers, header)
    perturb(net, header["seed"])
    class_emb = net.embed_class(x["y"]).detach().requires_grad_()
    (net.forward_with_cond(x["x"], x["t"], class_emb) * x["weights"]).sum().backward()
    grad = class_emb.grad if class_emb.grad is not None else torch.zeros_like(class_emb)
    return {}, {"grad": grad}


def start_training(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    config = TrainConfig(**header["train"])
    state = TrainState.start(network(answers, header), config)
    data = ImageData("train", "train", x["images"], x["labels"], ())
    schedule = DiffusionSchedule(x["alphas_cumprod"])
    answers["__run__"] = state, train(state, data, schedule, config)
    return {}, {}


def training_steps(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """The next steps of the training: (losses,)."""
    _, run = answers["__run__"]
    losses = [next(run).loss for _ in range(header["steps"])]
    return {}, {"losses": torch.stack(losses)}


def denoise(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """(xt, t, y) -> eps of the averaged network: all that sampling ever asks of the student's side."""
    state, _ = answers["__run__"]
    with torch.no_grad():
        return {}, {"eps": state.ema.module(x["xt"], x["t"], x["y"])}
