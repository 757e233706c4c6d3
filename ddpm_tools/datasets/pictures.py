"""One picture: from a file's bytes, whatever its format, to uint8 pixels of the wanted size and number of channels."""

import contextlib
import io
import posixpath
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes without colour

LARGEST = 4096  # pixels: far beyond what a network here takes; one such picture fills 50 MB
# Formats that Pillow knows by their first bytes alone, or hands to another program, which a stranger's file must not do
NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
ORIENTATION = 0x0112  # of EXIF, which cameras store beside the pixels
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class ImageSpec:
    """What the network wants. None leaves a property as the pictures have it, and they must then agree."""

    size: int | None = None  # edge of the square that is cropped from the middle and resized
    channels: int | None = None  # 1 (grey) or 3 (RGB); None: grey only where all pictures are

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"the image size must be at least 1, got {self.size}")
        if self.size is not None and self.size > LARGEST:
            raise ValueError(f"the image size must be at most {LARGEST} pixels, got {self.size}")
        if self.channels not in (None, 1, 3):
            raise ValueError(f"images have 1 channel (grey) or 3 (RGB), got {self.channels}")


@cache
def formats() -> tuple[str, ...]:
    """The formats whose pixels this Pillow reads by itself."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PIXELS))


@cache
def picture_extensions() -> frozenset[str]:
    """The endings of their files: '.png', '.jfif', '.avif', ... (.mpo is read as the JPEG that it is)"""
    return frozenset(e for e, kind in Image.registered_extensions().items() if kind in (*formats(), "MPO"))


def extension(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def upright(picture: Image.Image) -> Image.Image:
    """The picture's pixels turned as its camera was held. Not by ImageOps.exif_transpose, which writes the metadata
    anew and so stops at what no camera should have written; unreadable metadata turns nothing."""
    turn = 1
    with contextlib.suppress(Exception):
        turn = picture.getexif().pop(ORIENTATION, 1)  # taken away, or Pillow's TIFF reader would turn it, and stop too
    picture.load()
    if turn in (5, 6, 7, 8) and picture.format == "TIFF":
        picture._size = picture.im.size  # it had announced the turned size
    return picture.transpose(UPRIGHT[turn]) if turn in tuple(UPRIGHT) else picture


def flat(picture: Image.Image) -> Image.Image:
    """The picture upright, opaque (on white) and with 8 bits a channel: mode L where it has no colour, else RGB."""
    picture = upright(picture)
    mode = "L" if picture.mode in GREY else "RGB"
    if picture.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip them at 255
        deep = np.asarray(picture, np.float64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("its pixels are whole numbers of unknown range")
        return Image.fromarray((deep / 257).round().astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if picture.mode in ("La", "RGBa"):  # colours multiplied by the opacity
        picture = picture.convert(picture.mode.upper())
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert(mode)


def pixels(picture: Image.Image, spec: ImageSpec) -> np.ndarray:
    """A flat picture -> (C, H, W) uint8 as the spec has it; without `channels`, RGB."""
    if spec.size is not None and picture.size != (spec.size, spec.size):
        edge = min(picture.size)
        left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
        # Cropped first: a filter that works on a box looks beyond it. Pillow widens the filter when it shrinks
        # (antialiasing); libraries that do not spoil the data and the FID (Parmar et al. 2022)
        square = picture.crop((left, top, left + edge, top + edge))
        picture = square.resize((spec.size, spec.size), Image.Resampling.LANCZOS)
    array = np.asarray(picture.convert("L" if spec.channels == 1 else "RGB"))  # (H, W) or (H, W, 3)
    return np.atleast_3d(array).transpose(2, 0, 1)  # (C, H, W)


def decode(data: bytes, spec: ImageSpec) -> tuple[np.ndarray, bool]:
    """A picture file's bytes -> (C, H, W) uint8, and whether it had no colour. Raises what Pillow raises. Of an
    animation this is the first frame."""
    with Image.open(io.BytesIO(data), formats=formats()) as picture:
        if spec.size is not None:
            picture.draft(None, (2 * spec.size, 2 * spec.size))  # large JPEGs: never below twice the wanted size
        opaque = flat(picture)
        return pixels(opaque, spec), opaque.mode == "L"
