"""Training runs in checkpoints: saved for resuming, restored, and shrunk for shipping. Everything needed to resume is
in the weights file, and a run's JSON file changes between saves only in its figures. So a run killed at any moment
during a save still has a complete checkpoint."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.checkpoint import Build, CheckpointError
from ddpm_core.config import Preset, to_dict
from ddpm_core.data import ImageData
from ddpm_core.training import TrainState


def clear_drafts(path: Path | str) -> None:
    """Remove temporary files left by killed writers of this checkpoint."""
    path = checkpoint.stem(path)
    for file in path.parent.glob("*.tmp"):
        if re.fullmatch(re.escape(path.name) + r"\.(json|safetensors)\.\d+\.tmp", file.name):
            file.unlink(missing_ok=True)


def exists(path: Path | str) -> bool:
    """Whether the weights exist; a run killed before its first save has none."""
    return checkpoint.with_suffix(checkpoint.stem(path), ".safetensors").exists()


def save_training(
    path: Path | str,
    state: TrainState,
    config: Preset,
    resumable: bool = True,
    build: Build | None = None,
    **about: Any,
) -> Path:
    """Save EMA and raw weights and, if the run is to be resumable, the optimiser's state. ValueError if neither the
    config nor `build` can rebuild the network."""
    checkpoint.check_rebuilds(state.model, config, build)
    tensors = checkpoint.averaged_tensors(state.ema.module, state.step, state.ema.updates)
    tensors |= {f"model.{k}": v for k, v in state.model.state_dict().items()}
    if resumable:
        for i, entry in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in entry.items()}
    return checkpoint.write(path, tensors, to_dict(config), **about)


def save_snapshot(path: Path | str, state: TrainState, config: Preset, **about: Any) -> Path:
    """Save only the averaged weights, in float16: for shipping, and for autoguidance by an earlier snapshot."""
    tensors = checkpoint.averaged_tensors(state.ema.module, state.step, state.ema.updates)
    return checkpoint.write(path, halved(tensors), to_dict(config), **about)


def shrink(path: Path | str, out: Path | str, data: str | None = None, **about: Any) -> Path:
    """The averaged weights of a checkpoint in float16, for shipping: about a quarter of a finished one's size. `data`
    is a name to replace the path from which the data were read; `about` is added to the provenance. ValueError if
    `out` is the checkpoint itself, whose raw weights and optimiser state would be lost."""
    if checkpoint.stem(path).resolve() == checkpoint.stem(out).resolve():
        raise ValueError(f"{out} is the checkpoint itself, and would lose its raw weights; choose another --out")
    tensors, record = checkpoint.read(path, skip="optimizer.")
    checkpoint.config_of(record, path)
    if data:
        read_from = Path(record["config"]["data"]).name  # shipped files name nobody's folders
        record["config"]["data"], record["provenance"]["data"] = data, read_from
    if about:
        record["provenance"] = record.get("provenance", {}) | about
    kept = {k: v for k, v in tensors.items() if not k.startswith("model.")}
    return checkpoint.write(out, halved(kept), **{**record, "weights": "ema, float16"})


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors in float16, the others unchanged; ValueError if a weight is too large for that."""
    half = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    if bad := [k for k, v in half.items() if v.is_floating_point() and not v.isfinite().all()]:
        raise ValueError(f"{bad[0]} holds values beyond 65504, the limit of float16; keep the checkpoint as it is")
    return half


def finished(path: Path | str, config: Preset) -> bool:
    """Whether the checkpoint is that of a finished run with this config."""
    tensors, record = checkpoint.read(path, skip="model.")
    if any(k.startswith("optimizer.") for k in tensors):
        return False  # it can be resumed
    return checkpoint.config_of(record, path) == config and checkpoint.step_of(tensors, path) == config.train.steps


def resume(path: Path | str, config: Preset, state: TrainState) -> TrainState:
    """Load a saved run into a fresh state; CheckpointError if it belongs to another run."""
    tensors, record = checkpoint.read(path)
    if (saved := checkpoint.config_of(record, path)) != config:
        ours, theirs = flat(to_dict(config)), flat(to_dict(saved))
        keys = [k for k in ours if ours[k] != theirs.get(k)]
        differ = f"({', '.join(keys)} differ)"
        raise CheckpointError(f"{path} was trained with another config {differ}; choose another --out")
    if not any(k.startswith("optimizer.") for k in tensors):
        raise CheckpointError(f"{path} holds a finished model without optimiser state, so it cannot be resumed")
    checkpoint.fill(state.model, tensors, "model.", path)
    checkpoint.fill(state.ema.module, tensors, "ema.", path)
    state.step, state.ema.updates = checkpoint.step_of(tensors, path), int(tensors["step"][1])
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for k in (k for k in tensors if k.startswith("optimizer.")):
        _, i, name = k.split(".", 2)
        moments[int(i)][name] = tensors[k]
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    for p, entry in state.optimizer.state.items():  # files lose channels-last, which the fused optimiser needs
        entry |= {k: torch.empty_like(p).copy_(v) for k, v in entry.items() if v.shape == p.shape}
    return state


def check_pictures(path: Path | str, data: ImageData) -> None:
    """CheckpointError if the run began with other pictures than can be read now: it would resume as a different run."""
    told = checkpoint.read(path, skip="")[1].get("provenance", {})
    new = [name for name in data.left_out if name not in told.get("left_out", ())]
    if told.get("n_train", len(data)) != len(data) or ("n_train" in told and new):
        gone = f", and {new[0]} can no longer be read" if new else ""
        began = f"{path} began with {told['n_train']} training pictures, but there are now {len(data)}{gone}"
        raise CheckpointError(f"{began}; restore the original pictures, or choose another --out")


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train": {"lr": 1}} -> {"train.lr": 1}."""
    parts = [flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {prefix + k: v} for k, v in config.items()]
    return {k: v for part in parts for k, v in part.items()}
