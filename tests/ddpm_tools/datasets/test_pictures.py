"""Every kind of picture file, judged against its pixels worked out by hand."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ddpm_tools.datasets.pictures import ImageSpec, decode


def encoded(picture, kind="png", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def rgb(rng, h=6, w=6):
    return rng.integers(0, 256, (h, w, 3), dtype=np.uint8)


@pytest.fixture
def pixels():
    return rgb(np.random.default_rng(0))


def test_plain_pictures_keep_their_pixels(pixels):
    out, grey = decode(encoded(Image.fromarray(pixels)), ImageSpec())
    assert np.array_equal(out, pixels.transpose(2, 0, 1)) and not grey
    out, grey = decode(encoded(Image.fromarray(pixels[..., 0])), ImageSpec(6, 1))
    assert np.array_equal(out, pixels[None, ..., 0]) and grey
    out, grey = decode(encoded(Image.fromarray(pixels[..., 0])), ImageSpec())
    assert np.array_equal(out, np.repeat(pixels[None, ..., 0], 3, 0)) and grey


def test_colour_to_grey_is_luma(pixels):
    out, _ = decode(encoded(Image.fromarray(pixels)), ImageSpec(channels=1))
    luma = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert out.shape == (1, 6, 6) and np.abs(out[0] - luma).max() <= 1


def test_transparency_lies_on_white(pixels):
    alpha = np.random.default_rng(1).integers(0, 256, (6, 6, 1), dtype=np.uint8)
    for colour, mode in ((pixels, "RGBA"), (pixels[..., :1], "LA")):
        out, grey = decode(encoded(Image.fromarray(np.concatenate([colour, alpha], 2).squeeze(), mode)), ImageSpec())
        wanted = 255 - alpha / 255 * (255.0 - colour)
        assert np.abs(out.transpose(1, 2, 0) - wanted).max() <= 1 and grey == (mode == "LA")


def test_palette_with_a_transparent_colour():
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 10, 0, 0, 0])
    picture.putdata([0, 1])
    out, _ = decode(encoded(picture, transparency=1), ImageSpec())
    assert out[:, 0].T.tolist() == [[200, 10, 10], [255, 255, 255]]


def test_a_transparent_colour_of_plain_rgb():
    out, _ = decode(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3)), ImageSpec())
    assert out.ravel().tolist() == [255, 255, 255]


def test_sixteen_bits():
    deep = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    for kind in ("png", "tiff"):
        out, grey = decode(encoded(Image.fromarray(deep), kind), ImageSpec())
        assert out[0].tolist() == [[0, 1, 128, 255]] and grey


def test_one_bit_and_cmyk():
    out, grey = decode(encoded(Image.fromarray(np.array([[True, False]]))), ImageSpec())
    assert out[0].tolist() == [[255, 0]] and grey
    cmyk = np.array([[[0, 255, 255, 0], [255, 255, 255, 255], [0, 0, 0, 0]]], np.uint8)  # red, black, white
    out, grey = decode(encoded(Image.fromarray(cmyk, "CMYK"), "tiff"), ImageSpec())
    assert out[:, 0].T.tolist() == [[255, 0, 0], [0, 0, 0], [255, 255, 255]] and not grey
    out, _ = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg"), ImageSpec())
    assert np.abs(out[:, 0, 0] - np.array([255.0, 0, 0])).max() < 6


TURNS = {1: 0, 3: 2, 6: -1, 8: 1}  # EXIF orientation -> quarter turns to the left


@pytest.mark.parametrize("orientation", TURNS)
def test_cameras_turn(orientation, pixels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = pixels[:3]
    out, _ = decode(encoded(Image.fromarray(wide), "png", exif=exif), ImageSpec())
    assert np.array_equal(out.transpose(1, 2, 0), np.rot90(wide, TURNS[orientation]))


def test_an_animation_is_its_first_frame():
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    out, _ = decode(encoded(frames[0], "gif", save_all=True, append_images=frames[1:]), ImageSpec())
    assert out[:, 0, 0].tolist() == [255, 0, 0]


def test_the_middle_square_is_kept():
    flag = np.repeat(np.eye(3, dtype=np.uint8) * 255, 8, 0)[None].repeat(8, 0)  # red, green, blue: 8 high, 24 wide
    for turned in (flag, flag.transpose(1, 0, 2)):
        out, _ = decode(encoded(Image.fromarray(turned)), ImageSpec(size=4))
        assert out.shape == (3, 4, 4) and (out == np.array([0, 255, 0])[:, None, None]).all()


def test_shrinking_is_antialiased():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    out, _ = decode(encoded(Image.fromarray(board)), ImageSpec(size=8))
    assert np.abs(out.astype(float) - 127.5).max() < 3  # picking pixels would give black and white


def test_a_large_jpeg_shrinks_like_its_pixels():
    """Decoding a JPEG at a reduced scale must not be seen."""
    ramp = np.linspace(0, 255, 640)[None] * np.ones((480, 1))
    waves = 127 + 90 * np.sin(np.arange(480) / 30)[:, None] * np.cos(np.arange(640) / 40)
    picture = Image.fromarray(np.stack([ramp, waves, 255 - ramp], 2).astype(np.uint8))
    fast, _ = decode(encoded(picture, "jpeg", quality=98), ImageSpec(size=32))
    exact, _ = decode(encoded(picture), ImageSpec(size=32))
    assert np.abs(fast.astype(float) - exact).mean() < 1


def test_floats_are_refused():
    with pytest.raises(ValueError, match="unknown range"):
        decode(encoded(Image.fromarray(np.ones((2, 2), np.float32)), "tiff"), ImageSpec())


def test_impossible_specs():
    with pytest.raises(ValueError, match=r"1 channel .* got 4"):
        ImageSpec(channels=4)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ImageSpec(size=0)


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    width=st.integers(1, 40), height=st.integers(1, 40),
    size=st.none() | st.integers(1, 40), channels=st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_any_picture_becomes_what_is_asked_for(mode, width, height, size, channels):
    out, grey = decode(encoded(Image.new(mode, (width, height))), ImageSpec(size, channels))
    assert out.shape == (channels or 3, size or height, size or width) and out.dtype == np.uint8
    assert grey == (mode in ("1", "L", "LA", "I;16"))
    assert len(np.unique(out)) == 1  # one colour stays one colour, whatever the filter
