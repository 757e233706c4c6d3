"""Tensors and their JSON on disk: `NAME.safetensors` and `NAME.json`, linked by a digest of the config. No pickle.

Each file is replaced atomically, the weights last, so a process killed while saving still leaves a complete pair.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or from another config; the message says which, and what to do."""


def stem(path: Path | str) -> Path:
    """`runs/a`, `runs/a.json` and `runs/a.safetensors` all name the checkpoint `runs/a`."""
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".json", ".safetensors") else path


def digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: it holds either the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = with_suffix(path, f".{os.getpid()}.tmp")
    draft.write_bytes(content)
    with draft.open("rb+") as f:
        os.fsync(f.fileno())  # on disk before the name points to it, in case the power fails
    os.replace(draft, path)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write(path: Path | str, tensors: dict[str, Tensor], config: dict[str, Any], **about: Any) -> Path:
    """Write tensors and their config; `about` (provenance, figures) goes into the JSON beside them."""
    path = stem(path)
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    blob = save(plain, {"config": digest(config)})  # in memory first: save_file leaves temporary files when killed
    write_text(with_suffix(path, ".json"), json.dumps({"config": config, **about}, indent=2, allow_nan=False) + "\n")
    write_bytes(with_suffix(path, ".safetensors"), blob)
    return path


def read(path: Path | str, skip: str = "no such prefix") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, except those whose names start with `skip`, and the JSON record. CheckpointError says what is wrong."""
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
        content = weights.read_bytes()  # in one piece: a running training can replace the file at any time
        tensors = {k: v for k, v in load(content).items() if not k.startswith(skip)}
        meta = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    except (SafetensorError, OSError) as e:
        raise CheckpointError(f"{weights} is truncated or damaged; restore it or train again") from e
    if meta.get("config") != digest(config):
        raise CheckpointError(f"{weights.name} belongs to another config than {text.name}; copy both together")
    return tensors, record


def file_digest(path: Path | str) -> str:
    """Digest of a checkpoint's weights file."""
    return hashlib.sha256(with_suffix(stem(path), ".safetensors").read_bytes()).hexdigest()[:16]
