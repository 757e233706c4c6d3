"""What is judged: images drawn from a checkpoint, or pictures that another program saved in a folder or a file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ddpm_core import checkpoint
from ddpm_core.checkpoint import Loaded
from ddpm_core.data import ImageData, to_uint8
from ddpm_tools.drawing import Drawing, draw
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.sources import Source, folder_source, tensor_source


@dataclass(frozen=True)
class Candidate:
    """Images, and all that is known about how they were made."""

    source: Source  # the images
    about: Provenance  # how they were made, as stated in their results
    made_with: dict[str, Any]  # the same in full, for metrics.json


def drawn(path: Path, loaded: Loaded, data: ImageData, how: Drawing) -> Candidate:
    """Images drawn from a checkpoint, cycling through the classes; ValueError if these are not the data's."""
    k, name = loaded.preset.unet.num_classes, checkpoint.stem(path).name
    if k and (data.labels.dim() != 1 or k != len(data.classes)):
        raise ValueError(f"{path} draws {k} classes but {data.name} has {len(data.classes)}; choose other --data")
    y = torch.arange(how.n) % max(1, k)
    images, weights = to_uint8(draw(loaded, y, how)), "raw" if how.raw else "ema"
    made_with = {
        "checkpoint": name,
        "checkpoint_digest": checkpoint.file_digest(path),
        "step": loaded.step,
        "preset": checkpoint.to_dict(loaded.preset),
        "sampler": {"steps": how.steps, "w": how.w, "seed": how.seed, "weights": weights, **asdict(how.config)},
    }
    about = Provenance("", how.n, "", how.seed, how.steps, how.w, weights)
    return Candidate(tensor_source(name, images, y if k else None), about, made_with)


def given(path: Path, data: ImageData, resize: bool = False, strict: bool = False) -> Candidate:
    """Pictures in a folder or zip, or the samples in an .npz file. How they were drawn is unknown, and the provenance
    says so."""
    source = folder_source(path, data, resize, strict)
    made_with = {"images": path.name, "classes": source.labels is not None, "resized": resize}
    made_with |= {"notes": list(source.notes)} if source.notes else {}
    return Candidate(source, Provenance("", source.n, "", None, None, None, "unknown"), made_with)
