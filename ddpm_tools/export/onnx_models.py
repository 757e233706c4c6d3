"""Checkpoints as ONNX models, for a page that samples in the visitor's browser (see docs/playground.md).

A folder can hold any number of checkpoints. `manifest.json` lists them, with everything else that a sampler needs:

    {"models": [{"name", "classes", "shape", "timesteps", "alphas_cumprod", "parameterization", "class_table", "macs",
                 "pairs", "files": {"ema": {"file", "bytes", "sha256"}, "raw": ..., "classifier": ...}}]}

The networks are called `name-ema.onnx` and `name-raw.onnx`: xt (B, C, H, W), t (B,), class_emb (B, D) -> output
(B, C, H, W), all float32, any B. Class embeddings are rows of class_table (K + 1, D), the last of which is the null
class, or any points between. The classifier `name-classifier.onnx` maps images (B, C, H, W) in [-1, 1] to logits
(B, K).
"""

import hashlib
import importlib.util
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm_core import checkpoint
from ddpm_core.checkpoint import Loaded
from ddpm_core.network import ConditionalNetwork
from ddpm_tools.drawing import known_pairs
from ddpm_tools.evaluation.classifiers import load_classifier
from ddpm_tools.evaluation.judges import classes_of, known_classifier

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class OnnxError(ValueError):
    """A checkpoint that cannot be exported to ONNX, or a folder that cannot be written; the message says why."""


class WithEmbeddings(nn.Module):
    """forward_with_cond as a module's forward, which is what the exporter traces."""

    def __init__(self, net: ConditionalNetwork):
        super().__init__()
        self.net = net

    def forward(self, xt: Tensor, t: Tensor, class_emb: Tensor) -> Tensor:
        return self.net.forward_with_cond(xt, t, class_emb)


def example(net: ConditionalNetwork, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of the right shapes: xt (B, C, H, W), t (B,), class_emb (B, D)."""
    c, size = net.config.image_channels, net.config.image_size
    return torch.zeros(batch, c, size, size), torch.zeros(batch), torch.zeros(batch, net.config.dim)


def write_model(module: nn.Module, inputs: dict[str, Tensor], output: str, path: Path) -> dict[str, Any]:
    """Trace a module and write it, with a variable batch size; returns {"file", "bytes", "sha256"}."""
    # The tracing exporter: ten times as fast as the one on torch.export, and it writes no paths of this machine.
    buffer, open_batch = io.BytesIO(), {name: {0: "batch"} for name in (*inputs, output)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), buffer, input_names=[*inputs], output_names=[output],
            dynamic_axes=open_batch, dynamo=False,
        )  # fmt: skip
    blob = buffer.getvalue()
    path.write_bytes(blob)
    return {"file": path.name, "bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}


def macs(net: ConditionalNetwork) -> int:
    """Multiply-adds of one evaluation of one image, to which its time is nearly proportional."""
    with FlopCounterMode(display=False) as counter:
        net.forward_with_cond(*example(net, 1))
    return counter.get_total_flops() // 2


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of the folder so far; OnnxError if it is not a manifest."""
    path = out / MANIFEST
    if not path.exists():
        return {"models": []}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        {m["name"] for m in found["models"]}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as e:
        raise OnnxError(f"{path} is not a list of models; choose another --out, or remove it") from e
    return found


def check(loaded: Loaded, name: str, raw: bool) -> None:
    """OnnxError says what is missing: the packages, classes, raw weights, or a name that is valid in a URL."""
    if importlib.util.find_spec("onnx") is None:
        raise OnnxError("ONNX models need the package onnx, which is not installed: pip install onnx")
    if not NAME.fullmatch(name):
        raise OnnxError(f"'{name}' cannot be part of a URL; give the checkpoint a name of letters, digits, - and _")
    if not loaded.preset.unet.num_classes:
        raise OnnxError("this checkpoint has no classes to choose from or to guide; use one trained with classes")
    if loaded.ema.null_class is None:
        raise OnnxError("this checkpoint has no null class, which guidance in the playground needs")
    if raw:
        loaded.raw  # noqa: B018 - CheckpointError if there is none


def export_onnx(loaded: Loaded, out: Path | str, name: str, raw: bool = False) -> dict[str, Any]:
    """Write the averaged network (with `raw`, also the raw one) and their classifier; returns the manifest's entry. The
    folder keeps its other checkpoints; one of the same name is replaced. OnnxError or CheckpointError if the checkpoint
    cannot be exported, before anything is written."""
    out = Path(out)
    check(loaded, name, raw)
    manifest = read_manifest(out)
    out.mkdir(parents=True, exist_ok=True)
    schedule, u = loaded.preset.make_schedule(), loaded.preset.unet
    files: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for kind, net in [("ema", loaded.ema), *([("raw", loaded.raw)] if raw else [])]:
        inputs = dict(zip(("xt", "t", "class_emb"), example(net)))
        files[kind] = write_model(WithEmbeddings(net), inputs, "output", out / f"{name}-{kind}.onnx")
        tables[kind] = net.class_table.weight.tolist()  # (K + 1, D); float32 survives the conversion to decimals
    shape = (u.image_channels, u.image_size, u.image_size)
    if judge := known_classifier(shape, classes_of(loaded)):
        images = {"images": example(loaded.ema)[0]}
        files["classifier"] = write_model(load_classifier(judge), images, "logits", out / f"{name}-classifier.onnx")
    entry = {
        "name": name, "data": loaded.preset.data, "classes": [*classes_of(loaded)],
        "shape": [*shape], "timesteps": schedule.timesteps,
        "schedule": loaded.preset.schedule, "alphas_cumprod": schedule.alphas_cumprod.tolist(),
        "parameterization": loaded.preset.parameterization, "macs": macs(loaded.ema),
        "pairs": list(map(list, known_pairs(classes_of(loaded)))), "files": files, "class_table": tables,
    }  # fmt: skip
    models = sorted([*(m for m in manifest["models"] if m["name"] != name), entry], key=lambda m: m["macs"])
    checkpoint.write_text(out / MANIFEST, json.dumps({"models": models}) + "\n")
    return entry
