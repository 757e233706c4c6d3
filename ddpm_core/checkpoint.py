"""Checkpoints: `NAME.safetensors` holds the tensors, `NAME.json` the config that rebuilds the model. Never unpickled.

The two are tied by a digest of the config, so that weights are never read into another network by accident. Each is
replaced atomically, the weights last: what a run needs to go on lies in that one file, and the JSON of one run differs
between saves in its figures alone, so that a run killed at any moment while saving still has a whole checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset, from_dict, to_dict
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.schedule import SCHEDULES
from ddpm_core.training import TrainState
from ddpm_core.unet import build_unet


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


def _draft(path: Path) -> Path:
    return with_suffix(path, f".{os.getpid()}.tmp")


def _replace(draft: Path, path: Path) -> None:
    with draft.open("rb+") as f:
        os.fsync(f.fileno())  # on the disk before the name points to it, for when the power fails
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step: it holds either the old text or the new."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    draft.write_bytes(content)
    _replace(draft, path)


def write(path: Path | str, tensors: dict[str, Tensor], config: dict[str, Any], **about: Any) -> Path:
    """Write tensors and their config; `about` (provenance, figures) goes into the JSON beside it."""
    path = stem(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path)
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    draft.write_bytes(save(plain, {"config": digest(config)}))  # save_file has drafts of its own, which a kill leaves
    write_text(with_suffix(path, ".json"), json.dumps({"config": config, **about}, indent=2) + "\n")
    _replace(draft, with_suffix(path, ".safetensors"))
    return path


def clear_drafts(path: Path | str) -> None:
    """Remove what writers of this checkpoint left behind when they were killed."""
    path = stem(path)
    for file in path.parent.glob("*.tmp"):
        if re.fullmatch(re.escape(path.name) + r"(\.json)?\.\d+\.tmp", file.name):
            file.unlink(missing_ok=True)


def exists(path: Path | str) -> bool:
    """Whether there are weights; a run killed before its first save has none."""
    return with_suffix(stem(path), ".safetensors").exists()


def read(path: Path | str, skip: str = "no such prefix") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, less those whose name starts with `skip`, and the JSON record. CheckpointError says what is wrong."""
    path = stem(path)
    weights, text = with_suffix(path, ".safetensors"), with_suffix(path, ".json")
    for file in (weights, text):
        if not file.is_file():
            if path.is_dir():
                inside = sorted(p.stem for p in path.glob("*.safetensors"))
                some = f"name a checkpoint in it, such as {path / inside[0]}" if inside else "it holds no checkpoint"
                raise CheckpointError(f"{path} is a folder; {some}")
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
            tensors = {k: f.get_tensor(k) for k in names if not k.startswith(skip)}
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
    ema: nn.Module
    raw_or_none: nn.Module | None
    step: int
    record: dict[str, Any]

    @property
    def raw(self) -> nn.Module:
        """The network without averaging; CheckpointError where the checkpoint was shrunk."""
        if self.raw_or_none is None:
            raise CheckpointError("this checkpoint holds the averaged weights alone; ask for those, not for raw ones")
        return self.raw_or_none


def save_training(path: Path | str, state: TrainState, config: Preset, resumable: bool = True, **about: Any) -> Path:
    """EMA and raw weights, and, where the run should be able to go on, the optimiser's state.

    FloatingPointError where the run has met a gradient that is not finite: the checkpoint there is stays.
    """
    state.verify(config.train)
    tensors = {f"ema.{k}": v for k, v in state.ema.module.state_dict().items()}
    tensors |= {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors["step"] = torch.tensor([state.step, state.ema.updates])
    if resumable:
        for i, entry in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
    return write(path, tensors, to_dict(config), **about)


def save_snapshot(path: Path | str, state: TrainState, config: Preset, **about: Any) -> Path:
    """The averaged weights alone, in float16: for shipping, and for autoguidance by an earlier self."""
    state.verify(config.train)
    tensors = {f"ema.{k}": v for k, v in state.ema.module.state_dict().items()}
    tensors["step"] = torch.tensor([state.step, state.ema.updates])
    return write(path, halved(tensors), to_dict(config), **about)


def shrink(path: Path | str, out: Path | str, data: str | None = None) -> Path:
    """The averaged weights of a checkpoint in float16, for shipping: about a quarter of a finished one's size.

    `data` is a name to put in place of the path that the data were read from. ValueError where `out` is the checkpoint
    itself, whose raw weights and optimiser state would be lost.
    """
    if stem(path).resolve() == stem(out).resolve():
        raise ValueError(f"{out} is the checkpoint itself, and would lose its raw weights; choose another --out")
    tensors, record = read(path, skip="optimizer.")
    _config(record, path)
    if data:
        read_from = Path(record["config"]["data"]).name  # what ships names no one's folders
        record["config"]["data"], record["provenance"]["data"] = data, read_from
    kept = {k: v for k, v in tensors.items() if not k.startswith("model.")}
    return write(out, halved(kept), **{**record, "weights": "ema, float16"})


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating tensors in float16, the others as they are; ValueError where a weight is too large for that."""
    half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    if bad := [k for k, v in half.items() if v.is_floating_point() and not v.isfinite().all()]:
        raise ValueError(f"{bad[0]} holds values beyond 65504, which float16 has not; keep the checkpoint as it is")
    return half


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


def _step(tensors: dict[str, Tensor], path: Path | str) -> int:
    if "step" not in tensors or tensors["step"].shape != (2,):
        raise CheckpointError(f"{path} does not say how many steps it was trained for: made by another program")
    return int(tensors["step"][0])


def load(path: Path | str, device: torch.device | str = "cpu") -> Loaded:
    """EMA and raw networks in eval mode."""
    tensors, record = read(path, skip="optimizer.")
    config = _config(record, path)
    for what, name, known in (
        ("parameterization", config.parameterization, PARAMETERIZATIONS),
        ("schedule", config.schedule, SCHEDULES),
    ):
        if name not in known:
            raise CheckpointError(f"{path} has an unknown {what} '{name}'; known: {', '.join(known)}")
    nets: list[nn.Module | None] = []
    for prefix in ("ema.", "model."):
        if prefix == "model." and not any(k.startswith(prefix) for k in tensors):
            nets.append(None)
            continue
        net = build_unet(config.unet, strategy(config.conditioning))
        _fill(net, tensors, prefix, path)  # float16 becomes float32
        nets.append(net.eval().requires_grad_(False).to(device))
    return Loaded(config, *nets, _step(tensors, path), record)


def finished(path: Path | str, config: Preset) -> bool:
    """Whether the checkpoint is the end of a run of this config."""
    tensors, record = read(path, skip="model.")
    resumable = any(k.startswith("optimizer.") for k in tensors)
    return not resumable and _config(record, path) == config and _step(tensors, path) == config.train.steps


def resume(path: Path | str, config: Preset, state: TrainState) -> TrainState:
    """Put a saved run back into a fresh state; CheckpointError where it was another run's."""
    tensors, record = read(path)
    if (saved := _config(record, path)) != config:
        ours, theirs = flat(to_dict(config)), flat(to_dict(saved))
        keys = [k for k in ours if ours[k] != theirs[k]]
        raise CheckpointError(
            f"{path} was trained with another config ({', '.join(keys)} differ); choose another --out"
        )
    if not any(k.startswith("optimizer.") for k in tensors):
        raise CheckpointError(f"{path} holds a finished model without optimiser state, it cannot be resumed")
    _fill(state.model, tensors, "model.", path)
    _fill(state.ema.module, tensors, "ema.", path)
    state.step, state.ema.updates = _step(tensors, path), int(tensors["step"][1])
    moments: dict[int, dict[str, Tensor]] = {}
    for k, v in tensors.items():
        if k.startswith("optimizer."):
            _, i, name = k.split(".", 2)
            moments.setdefault(int(i), {})[name] = v
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    for p, entry in state.optimizer.state.items():  # files know no channels-last, and the fused optimiser insists on it
        entry |= {k: torch.empty_like(p).copy_(v) for k, v in entry.items() if v.shape == p.shape}
    return state


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train": {"lr": 1}} -> {"train.lr": 1}."""
    parts = [flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {prefix + k: v} for k, v in config.items()]
    return {k: v for part in parts for k, v in part.items()}


def file_digest(path: Path | str) -> str:
    """Digest of a checkpoint's weights file."""
    return hashlib.sha256(with_suffix(stem(path), ".safetensors").read_bytes()).hexdigest()[:16]
