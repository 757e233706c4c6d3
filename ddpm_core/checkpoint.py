"""Checkpoints: `NAME.safetensors` holds the tensors, `NAME.json` the config that rebuilds the model. Never unpickled.

The two are tied by a digest of the config, so that weights are never read into another network by accident, and each
is replaced atomically, so that a run killed while saving still has its previous checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset, from_dict, to_dict
from ddpm_core.training import TrainState
from ddpm_core.unet import UNet, build_unet


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of another config; the message says which, and what to do."""


def stem(path: Path | str) -> Path:
    """`runs/a`, `runs/a.json` and `runs/a.safetensors` all name the checkpoint `runs/a`."""
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".json", ".safetensors") else path


def digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: it holds either the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = with_suffix(path, f".{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def write(path: Path | str, tensors: dict[str, Tensor], config: dict[str, Any], **about: Any) -> Path:
    """Write tensors and their config; `about` (provenance, figures) goes into the JSON beside it."""
    path = stem(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = with_suffix(path, f".{os.getpid()}.tmp")
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    save_file(plain, draft, metadata={"config": digest(config)})
    draft.chmod(0o644)  # save_file makes it private
    os.replace(draft, with_suffix(path, ".safetensors"))
    write_text(with_suffix(path, ".json"), json.dumps({"config": config, **about}, indent=2) + "\n")
    return path


def read(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and the JSON record. CheckpointError says what is wrong."""
    path = stem(path)
    weights, text = with_suffix(path, ".safetensors"), with_suffix(path, ".json")
    for file in (weights, text):
        if not file.is_file():
            raise CheckpointError(f"no checkpoint at {path}: {file.name} is missing; train one with `ddpm train`")
    try:
        record = json.loads(text.read_text(encoding="utf-8"))
        config = record["config"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as e:
        raise CheckpointError(f"{text} is damaged: it is not JSON with a `config`; restore it or train again") from e
    try:
        with safe_open(weights, "pt") as f:
            meta = f.metadata() or {}
            names = f.keys()  # a safe_open is no dict
            tensors = {k: f.get_tensor(k) for k in names}
    except (SafetensorError, OSError) as e:
        raise CheckpointError(f"{weights} is truncated or damaged; restore it or train again") from e
    if meta.get("config") != digest(config):
        raise CheckpointError(
            f"{weights.name} belongs to another config than {text.name}; they must be copied together"
        )
    return tensors, record


@dataclass(frozen=True)
class Loaded:
    """A checkpoint as used for sampling."""

    preset: Preset
    ema: UNet
    raw: UNet
    step: int
    record: dict[str, Any]


def save_training(path: Path | str, state: TrainState, config: Preset, resumable: bool = True, **about: Any) -> Path:
    """EMA and raw weights, and, where the run should be able to go on, the optimiser's state."""
    tensors = {f"ema.{k}": v for k, v in state.ema.module.state_dict().items()}
    tensors |= {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors["step"] = torch.tensor([state.step, state.ema.updates])
    if resumable:
        for i, entry in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
    return write(path, tensors, to_dict(config), **about)


def _fill(module: torch.nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path | str) -> None:
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as e:
        raise CheckpointError(
            f"the weights of {path} do not fit its config: made by another version; train again"
        ) from e


def _config(record: dict[str, Any], path: Path | str) -> Preset:
    try:
        return from_dict(Preset, record["config"])
    except (ValueError, TypeError) as e:
        raise CheckpointError(f"{path} is not a checkpoint of a diffusion model: {e}") from e


def load(path: Path | str, device: torch.device | str = "cpu") -> Loaded:
    """EMA and raw networks in eval mode."""
    tensors, record = read(path)
    config = _config(record, path)
    nets = [build_unet(config.unet, strategy(config.conditioning)) for _ in range(2)]
    for net, prefix in zip(nets, ("ema.", "model.")):
        _fill(net, tensors, prefix, path)
        net.eval().requires_grad_(False).to(device)
    return Loaded(config, *nets, int(tensors["step"][0]), record)


def resume(path: Path | str, config: Preset, state: TrainState) -> TrainState:
    """Put a saved run back into a fresh state; CheckpointError where it was another run's."""
    tensors, record = read(path)
    if record["config"] != to_dict(config):
        ours, theirs = to_dict(config), record["config"]
        keys = [k for k in ours if ours[k] != theirs.get(k)]
        raise CheckpointError(
            f"{path} was trained with another config ({', '.join(keys)} differ); choose another --out"
        )
    if "step" not in tensors or not any(k.startswith("optimizer.") for k in tensors):
        raise CheckpointError(f"{path} holds a finished model without optimiser state, it cannot be resumed")
    _fill(state.model, tensors, "model.", path)
    _fill(state.ema.module, tensors, "ema.", path)
    state.step, state.ema.updates = tensors["step"].tolist()
    saved: dict[int, dict[str, Tensor]] = {}
    for k, v in tensors.items():
        if k.startswith("optimizer."):
            _, i, name = k.split(".", 2)
            saved.setdefault(int(i), {})[name] = v
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": saved})
    return state


def file_digest(path: Path | str) -> str:
    """Digest of a checkpoint's weights file."""
    return hashlib.sha256(with_suffix(stem(path), ".safetensors").read_bytes()).hexdigest()[:16]
