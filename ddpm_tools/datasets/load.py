"""ImageData by name or by path, in the wanted size and number of channels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ddpm_core.data import ImageData, digits
from ddpm_tools.datasets.digits28 import digits28
from ddpm_tools.datasets.files import open_files
from ddpm_tools.datasets.layouts import index
from ddpm_tools.datasets.pictures import ImageSpec, pixels
from ddpm_tools.datasets.reading import cached_pictures
from ddpm_tools.datasets.splits import SPLITS, positions
from ddpm_tools.datasets.vision import TORCHVISION, torchvision_data

OURS = {"digits": digits, "digits28": digits28}  # split -> ImageData, with no download
EMOJI = Path(__file__).resolve().parents[2] / "data/captions/emoji.zip"  # ships; made by scripts/emoji_captions.py


def data_files(path: Path, split: str, spec: ImageSpec, cache: Path) -> ImageData:
    """A folder or zip in one of the layouts of `layouts`. ValueError says what is wrong, naming the files."""
    with open_files(path) as files:
        found = index(files)
        try:
            keep = positions(found, split)
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from e
        pictures = cached_pictures(files, found.names, spec, cache)  # all of them, so that the splits share one copy
    images = torch.from_numpy(pictures if len(keep) == len(found.names) else pictures[keep])  # (N, C, H, W)
    captions = tuple(found.captions[i] for i in keep) if found.captions else ()
    labels = torch.tensor([found.labels[i] for i in keep])
    return ImageData(path.stem, split, images, labels, found.classes, captions)


def resized(data: ImageData, spec: ImageSpec) -> ImageData:
    """The same data as the spec has it: as for pictures from files."""
    c, h, w = data.images.shape[1:]
    if (spec.size or h, spec.size or w, spec.channels or c) == (h, w, c):
        return data

    wanted = replace(spec, channels=spec.channels or c)
    arrays = (x[0] if c == 1 else x.transpose(1, 2, 0) for x in data.images.numpy())  # (H, W) or (H, W, 3)
    images = np.stack([pixels(Image.fromarray(x), wanted) for x in arrays])  # (N, C, size, size)
    return replace(data, images=torch.from_numpy(images))


def load_data(
    name: str, split: str = "train", root: Path | str = Path("build/datasets"),
    size: int | None = None, channels: int | None = None,
) -> ImageData:  # fmt: skip
    """A data set by name (digits, digits28, fashion-mnist, cifar10, emoji) or by the path of a folder or zip. `size`
    crops each picture to its middle square and resizes it, `channels` makes it grey (1) or RGB (3); left out, pictures
    stay as they are and must be alike. Splits are `train`, `heldout` and `all`, which is both: digits and digits28 hold
    out a fifth, torchvision's sets their test part, folders and zips a tenth of each class (chosen by a hash of the
    file's name) or their own `test` folder. `root` keeps downloads and decoded copies of large sets. ValueError, in
    one sentence, for whatever is wrong with the name or with the pictures."""
    if split not in SPLITS:
        raise ValueError(f"unknown split '{split}'; known: {', '.join(SPLITS)}")
    spec = ImageSpec(size, channels)
    if name in OURS:
        return resized(OURS[name](split), spec)
    if name in TORCHVISION:
        return resized(torchvision_data(name, split, Path(root)), spec)
    if name == "emoji":  # 1,911 of Noto, 32×32 RGB on white, ten categories, with captions ('tiger, animal mammal')
        return data_files(EMOJI, split, spec, Path())  # too few for a kept copy
    if Path(name).exists():
        return data_files(Path(name), split, spec, Path(root) / "cache")
    raise ValueError(
        f"unknown data set '{name}'; known: {', '.join([*OURS, *TORCHVISION])}, emoji, "
        f"or the path of a folder of class folders or of a data set zip"
    )
