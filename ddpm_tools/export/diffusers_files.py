"""Where things are in a diffusers folder: a pipeline, a single network, a training checkpoint, or the Hub's cache.
Weights are read only from safetensors: nothing is ever unpickled."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ddpm_tools.export.diffusers_unet import DiffusersError

WEIGHTS = "diffusion_pytorch_model.safetensors"
EXACT = "scheduler_as_trained"  # beside scheduler/, if that one is not what the network was trained with
SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})\.safetensors")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
PART = re.compile(r"unet(_ema)?|checkpoint-\d+")  # a subfolder; the scheduler may be in its parent
POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Parts:
    """Where the parts of a model are."""

    averaged: Path  # the folder with the network's config.json and weights
    raw: Path  # the folder with the weights of the last step; the same if there is only one
    scheduler: Path | None  # the path of a scheduler_config.json


def read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise DiffusersError(f"{file} is damaged: it is not JSON; fetch the folder again") from e
    if not isinstance(value, dict):
        raise DiffusersError(f"{file} is damaged: it is not a JSON object; fetch the folder again")
    return value


def find(folder: Path) -> Parts:
    """The parts of the model in a folder; DiffusersError says what is missing."""
    if folder.is_file():
        raise DiffusersError(f"{folder} is a file; give the diffusers folder that contains it")
    if not folder.is_dir():
        raise DiffusersError(f"there is no folder {folder}; download a model from the Hub first (`hf download NAME`)")
    folder = in_cache(folder)
    if (index := folder / "model_index.json").is_file():
        latent = sorted({"vae", "vqvae", "movq"} & set(read_json(index)))
        if latent:
            raise DiffusersError(f"the network in {folder} draws latents for its {latent[0]}, not images")
    found = [f for f in (folder / "unet_ema", folder / "unet") if f.is_dir()] or [folder]
    if not (found[0] / "config.json").is_file():
        within = [p.name for kind in ("checkpoint-*", "models--*") for p in folder.glob(kind) if p.is_dir()]
        last = max(within, key=lambda name: (len(name), name), default=None)
        remedy = f"; name one of the models in it, such as {folder / last}" if last else ""
        raise DiffusersError(f"{folder} is not a diffusers folder: neither it nor its unet/ has a config.json{remedy}")
    return Parts(found[0], found[-1], scheduler_of(folder))


def in_cache(folder: Path) -> Path:
    """The snapshot in a folder of the Hub's cache (models--OWNER--NAME); any other folder as it is."""
    if not (folder / "snapshots").is_dir():
        return folder
    main, there = folder / "refs/main", sorted((folder / "snapshots").iterdir())
    named = folder / "snapshots" / main.read_text(encoding="utf-8").strip() if main.is_file() else None
    if named in there:
        return named
    if len(there) != 1:
        raise DiffusersError(f"{folder} holds {len(there)} snapshots; name one of those in snapshots/")
    return there[0]


def scheduler_of(folder: Path) -> Path | None:
    """The scheduler's configuration: in the folder itself, or in the parent of a part such as unet/, checkpoint-500/"""
    while True:
        for name in (EXACT, "scheduler", "."):
            if (file := folder / name / "scheduler_config.json").is_file():
                return file
        if not PART.fullmatch(folder.resolve().name):
            return None
        folder = folder.resolve().parent


def read_weights(root: Path) -> dict[str, Tensor]:
    """All tensors in a folder, from one file, from shards, or from a variant of either, such as fp16."""
    state: dict[str, Tensor] = {}
    for file in weight_files(root):
        state |= load(file)
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise DiffusersError(f"{name} in {root} holds values that are not finite: the training went wrong there")
    return state


def weight_files(root: Path) -> list[Path]:
    """The files with a network's weights; DiffusersError says which is missing."""
    every = sorted(root.glob("*.safetensors"))
    shards = [f for f in every if SHARD.fullmatch(f.name)]
    whole = [f for f in every if f not in shards] + sorted(root.glob("*.safetensors*.json"))
    plain = (WEIGHTS, f"{WEIGHTS}.index.json")
    if whole:  # full precision before a variant, averaged before "non_ema"
        first = min(whole, key=lambda f: (f.name not in plain, "non_ema" in f.name, f.suffix == ".json", f.name))
        return listed(first) if first.suffix == ".json" else [first]
    if shards:
        head, of = SHARD.fullmatch(shards[0].name).groups()
        return present(root, [f"{head}-{i:05d}-of-{of}.safetensors" for i in range(1, int(of) + 1)])
    if pickles := sorted(f for pattern in PICKLES for f in root.glob(pattern)):
        raise DiffusersError(
            f"{root} has its weights only as {pickles[0].name}, a pickle, which can run code when it is read; "
            f"get the safetensors file, or convert it with diffusers if you trust its source"
        )
    raise DiffusersError(f"{root} has no weights: {WEIGHTS} is missing")


def listed(index: Path) -> list[Path]:
    """The shards listed in an index."""
    names = read_json(index).get("weight_map")
    names = sorted(set(names.values())) if isinstance(names, dict) and all(map(is_name, names.values())) else []
    if not names:
        raise DiffusersError(f"{index} is damaged: it names no shards of the weights; fetch the folder again")
    return present(index.parent, names)


def is_name(value: Any) -> bool:
    """Whether it is a plain file name, not a path."""
    return isinstance(value, str) and Path(value).name == value


def present(root: Path, names: list[str]) -> list[Path]:
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise DiffusersError(
            f"{root} has {len(names) - len(missing)} of the {len(names)} shards of the weights: {missing[0]} is "
            f"missing; fetch it"
        )
    return [root / name for name in names]


def load(file: Path) -> dict[str, Tensor]:
    if not file.exists():
        raise DiffusersError(f"{file} is a link to a missing file; fetch it again")
    with file.open("rb") as f:
        if f.read(len(POINTER)) == POINTER:
            raise DiffusersError(f"{file} is a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as e:
        raise DiffusersError(f"{file} is truncated or damaged; fetch it again") from e
