"""The questions that the prediction exercise asks of an answer: plain calls, and a brief training with the pair.

Each operation takes (answers, header, tensors) and returns (header, tensors). `answers` is the namespace of the
answer cells; it also keeps the network between the steps of a training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from autograder.child.functions import call
from autograder.child.unconditional import Learner
from ddpm_core.unet import ConditionalUNetV2, Conditioning, UNetConfig, build_unet

__all__ = ["call", "denoise", "start_training", "training_steps"]  # what the parent may ask

Reply = tuple[dict[str, Any], dict[str, Tensor]]


class NoConditioner(nn.Module):
    """Leaves the features as they are; the pair below leaves the class out as well."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()

    def forward(self, h: Tensor, class_emb: Tensor) -> Tensor:
        return h


def as_dict(abar: Tensor) -> dict[str, Tensor]:
    """The schedule as the answers receive it; every entry (T,)."""
    return {"alphas_cumprod": abar, "sqrt_alpha": abar.sqrt(), "sqrt_one_minus_alpha": (1 - abar).sqrt()}


def network(unet: dict[str, Any], seed: int) -> ConditionalUNetV2:
    config = unet | {k: tuple(unet[k]) for k in ("channels", "attention_levels")}
    return build_unet(UNetConfig(**config), Conditioning(lambda time_emb, class_emb: time_emb, NoConditioner), seed)


def start_training(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    learner = Learner(network(header["network"], header["seed"]), header["train"])
    answers["__run__"] = learner, as_dict(x["alphas_cumprod"])
    return {}, {}


def training_steps(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    learner, schedule = answers["__run__"]

    def target(x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        return answers["compute_training_target"](x0, eps, t, schedule)

    return {}, {"losses": learner.learn(x, schedule["alphas_cumprod"], target, lambda model, xt, t: model(xt, t))}


def denoise(answers: dict[str, Any], header: dict[str, Any], x: dict[str, Tensor]) -> Reply:
    """(xt, t) -> x0 of the averaged network: all that sampling ever asks of the student's side."""
    learner, schedule = answers["__run__"]
    with torch.no_grad():
        output = learner.ema.module(x["xt"], x["t"])
        return {}, {"out": answers["predict_x0"](output, x["xt"], x["t"], schedule)}
