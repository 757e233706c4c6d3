"""clean-fid's Inception (Parmar et al. 2022): the network of published FIDs, if its weights can be downloaded."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddpm_tools.evaluation.extractor import Extractor, coloured

WEIGHTS = "inception-2015-12-05.pt"
FOLDER = Path("build/weights")


def weights_file(folder: Path = FOLDER) -> Path:
    """The weights on disk, downloaded by clean-fid if they are missing; else ValueError."""
    from cleanfid.downloads_helper import check_download_inception

    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    draft = folder / f"draft-{os.getpid()}"
    draft.mkdir(parents=True, exist_ok=True)
    try:
        file = Path(check_download_inception(str(draft)))
        os.replace(file, folder / WEIGHTS)  # atomically, so that a partial download is never used
    except OSError as e:
        raise ValueError(
            f"Inception's weights ({WEIGHTS}) are not in {folder} and could not be downloaded; put the file there, "
            f"or choose efficientnet-lite0-320 (its distances are not FIDs and cannot be compared with published ones)"
        ) from e
    finally:
        (draft / WEIGHTS).unlink(missing_ok=True)
        draft.rmdir()
    return folder / WEIGHTS


def inception(device: torch.device | str = "cpu", folder: Path = FOLDER) -> Extractor:
    """2048 features of pictures resized to 299×299 in clean-fid's way. ValueError without the weights."""
    from cleanfid.features import InceptionV3W
    from cleanfid.resize import build_resizer

    file = weights_file(folder)
    try:
        model = InceptionV3W(str(file.parent), download=False).eval().to(device)
    except RuntimeError as e:
        raise ValueError(f"{file} is damaged; remove it, and it will be downloaded again") from e
    resize = build_resizer("clean")

    def embed(images: Tensor) -> Tensor:
        arrays = coloured(images).permute(0, 2, 3, 1).numpy()  # (B, H, W, 3)
        x = torch.from_numpy(np.stack([resize(a) for a in arrays])).permute(0, 3, 1, 2)  # (B, 3, 299, 299)
        return model(x.to(device))

    version = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return Extractor("inception", version, 2048, (-1.0, 127 / 128), embed, batch=32)
