"""One picture: from a file's bytes, whatever its format, to uint8 pixels of the wanted size and number of channels."""

import contextlib
import io
import posixpath
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow's modes without colour

LARGEST = 4096  # pixels: far more than the networks here can use; one such picture fills 50 MB
# Formats that Pillow only identifies, or passes to another program, which must not happen with an untrusted file
NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
ORIENTATION = 0x0112  # an EXIF tag, which cameras store beside the pixels
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class ImageSpec:
    """What the network needs. None keeps a property as it is in the pictures, which must then agree."""

    size: int | None = None  # edge of the central square after cropping and resizing
    channels: int | None = None  # 1 (grey) or 3 (RGB); None: grey only if all pictures are

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"the image size must be at least 1, got {self.size}")
        if self.size is not None and self.size > LARGEST:
            raise ValueError(f"the image size must be at most {LARGEST} pixels, got {self.size}")
        if self.channels not in (None, 1, 3):
            raise ValueError(f"images have 1 channel (grey) or 3 (RGB), got {self.channels}")


@cache
def formats() -> tuple[str, ...]:
    """The formats that this version of Pillow can decode by itself."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NO_PIXELS))


@cache
def picture_extensions() -> frozenset[str]:
    """Their file extensions: '.png', '.jfif', '.avif', ... (.mpo is read as JPEG, which it is)"""
    return frozenset(e for e, kind in Image.registered_extensions().items() if kind in (*formats(), "MPO"))


def extension(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def upright(picture: Image.Image) -> Image.Image:
    """The picture rotated upright, according to its EXIF data. ImageOps.exif_transpose is not used because it rewrites
    the metadata and so fails on malformed ones; here unreadable metadata are ignored."""
    turn = 1
    with contextlib.suppress(Exception):
        turn = picture.getexif().pop(ORIENTATION, 1)  # removed, or Pillow's TIFF reader would rotate it too, and fail
    picture.load()
    if turn in (5, 6, 7, 8) and picture.format == "TIFF":
        picture._size = picture.im.size  # Pillow had announced the rotated size
    return picture.transpose(UPRIGHT[turn]) if turn in tuple(UPRIGHT) else picture


def flat(picture: Image.Image) -> Image.Image:
    """The picture upright, opaque (on white) and with 8 bits per channel: mode L if it has no colour, else RGB."""
    picture = upright(picture)
    mode = "L" if picture.mode in GREY else "RGB"
    if picture.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would clip at 255
        deep = np.asarray(picture, np.float64)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("its pixels are whole numbers of unknown range")
        return Image.fromarray((deep / 257).round().astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if picture.mode in ("La", "RGBa"):  # premultiplied alpha
        picture = picture.convert(picture.mode.upper())
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert(mode)


def pixels(picture: Image.Image, spec: ImageSpec) -> np.ndarray:
    """A flat picture -> (C, H, W) uint8 according to the spec; without `channels`, RGB."""
    if spec.size is not None and picture.size != (spec.size, spec.size):
        edge = min(picture.size)
        left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
        # Cropped first: a resize with `box` also reads pixels outside it. Pillow widens its filter when it shrinks
        # (antialiasing); libraries that do not do so spoil the data and the FID (Parmar et al. 2022)
        square = picture.crop((left, top, left + edge, top + edge))
        picture = square.resize((spec.size, spec.size), Image.Resampling.LANCZOS)
    array = np.asarray(picture.convert("L" if spec.channels == 1 else "RGB"))  # (H, W) or (H, W, 3)
    return np.atleast_3d(array).transpose(2, 0, 1)  # (C, H, W)


def decode(data: bytes, spec: ImageSpec) -> tuple[np.ndarray, bool]:
    """A picture file's bytes -> (C, H, W) uint8, and whether it had no colour. Raises what Pillow raises. An animation
    gives its first frame."""
    with Image.open(io.BytesIO(data), formats=formats()) as picture:
        if spec.size is not None:
            picture.draft(None, (2 * spec.size, 2 * spec.size))  # large JPEGs: never below twice the target size
        opaque = flat(picture)
        return pixels(opaque, spec), opaque.mode == "L"
