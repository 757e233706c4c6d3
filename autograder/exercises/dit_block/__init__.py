"""The dit_block exercise: images to patches and back, and the block that processes them (block.py, branches.py)."""

from functools import partial

import torch
from torch import Generator, Tensor

from autograder.exercises.base import Exercise, Failed, Probe, check_of
from autograder.exercises.calls import call, keeps_device
from autograder.exercises.dit_block import block, branches

LESSON = "lesson 5.4, “A transformer in the U-Net's place”"
CUT, PASTE = "patchify", "unpatchify"
CASES = (
    ((2, 3, 4, 6), 2),
    ((3, 1, 8, 8), 2),
    ((1, 2, 6, 3), 3),
    ((4, 4, 8, 4), 4),
    ((2, 2, 4, 4), 1),
    ((3, 5, 4, 4), 4),
)
TINY = "x = torch.arange(16.0).view(1, 1, 4, 4), p = 2"


def cut(x: Tensor, p: int) -> Tensor:
    """(B, C, H, W) -> (B, N, p·p·C), patch by patch with slices, unlike the solution."""
    rows, columns = x.shape[2] // p, x.shape[3] // p
    places = [(i * p, j * p) for i in range(rows) for j in range(columns)]
    return torch.stack([x[:, :, i : i + p, j : j + p].movedim(1, -1).flatten(1) for i, j in places], dim=1)


def patches(probe: Probe, x: Tensor, p: int) -> Tensor:
    n = (x.shape[2] // p) * (x.shape[3] // p)
    return call(probe, CUT, x, p, rename=("x",)).tensor((x.shape[0], n, p * p * x.shape[1]))


def image(probe: Probe, tokens: Tensor, p: int, shape: tuple[int, ...]) -> Tensor:
    return call(probe, PASTE, tokens, p, shape[2:], rename=("tokens",)).tensor(shape)


def cut_contract(probe: Probe, rng: Generator) -> None:
    for shape, p in CASES:
        x = torch.randn(shape, generator=rng)
        size = shape[0], shape[2] * shape[3] // p**2, p * p * shape[1]
        call(probe, CUT, x, p, rename=("x",)).unchanged().tensor(size, torch.float32)


def row_by_row(probe: Probe, rng: Generator) -> None:
    """Token n holds the values of patch n, in any order."""
    for shape, p in CASES:
        x = torch.randn(shape, generator=rng)
        if not torch.equal(patches(probe, x, p).sort(-1).values, cut(x, p).double().sort(-1).values):
            raise Failed(
                f"a token does not hold the pixels of its patch: with {TINY}, token 0 should hold the four values of "
                "x[0, 0, :2, :2], token 1 the patch to the right of it, and token 2 the patch below it"
            )


def within(probe: Probe, rng: Generator) -> None:
    for shape, p in CASES:
        x = torch.randn(shape, generator=rng)
        if not torch.equal(patches(probe, x, p), cut(x, p).double()):
            raise Failed(
                "within a token, the pixels are not in rows with the channels last: with x = "
                "torch.arange(8.0).view(1, 2, 2, 2) and p = 2, the only token should be 0, 4, 1, 5, 2, 6, 3, 7, that "
                "is, the upper left pixel's channels, then those of its right neighbour"
            )


def cut_alone(probe: Probe, rng: Generator) -> None:
    """Also with the largest and the smallest patch."""
    x = torch.randn(3, 2, 4, 4, generator=rng)
    for p in (1, 2, 4):
        alone = torch.cat([patches(probe, one, p) for one in x.split(1)])
        if not torch.equal(patches(probe, x, p), alone):
            raise Failed(
                f"an image's tokens depend on other images of the batch: compare patchify(x, {p})[1] with "
                f"patchify(x[1:2], {p})[0]"
            )


def cut_dtype(probe: Probe, rng: Generator) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        call(probe, CUT, torch.randn(2, 3, 4, 4, generator=rng).to(dtype), 2).tensor((2, 4, 12), dtype)


def cut_device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, CUT, torch.randn(2, 3, 4, 4, generator=rng), 2)


def paste_contract(probe: Probe, rng: Generator) -> None:
    for shape, p in CASES:
        tokens = cut(torch.randn(shape, generator=rng), p)
        call(probe, PASTE, tokens, p, shape[2:], rename=("tokens",)).unchanged().tensor(shape, torch.float32)


def pasted(square: bool, probe: Probe, rng: Generator) -> None:
    for shape, p in CASES:
        x = torch.randn(shape, generator=rng)
        if (shape[2] == shape[3]) == square and not torch.equal(image(probe, cut(x, p), p, shape), x.double()):
            raise Failed(
                "the patches do not give their image back: with tokens = torch.arange(16.0).view(1, 4, 4) and p = 2, "
                "the upper left of unpatchify(tokens, 2, (4, 4))[0, 0] should be 0, 1 above 2, 3, and the upper right "
                "4, 5 above 6, 7"
                if square
                else "images that are not square come back wrong: patchify(torch.arange(24.0).view(1, 1, 4, 6), 2) "
                "gives 2 rows of 3 patches. Use size = (4, 6) to find that out, since the number of tokens does "
                "not tell"
            )


def paste_dtype(probe: Probe, rng: Generator) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        tokens = torch.randn(2, 4, 12, generator=rng).to(dtype)
        call(probe, PASTE, tokens, 2, (4, 4)).tensor((2, 3, 4, 4), dtype)


def paste_device(probe: Probe, rng: Generator) -> None:
    keeps_device(probe, PASTE, torch.randn(2, 4, 12, generator=rng), 2, (4, 4))


on_cut, on_paste = partial(check_of, CUT, LESSON), partial(check_of, PASTE, LESSON)
EXERCISE = Exercise(
    assignment="5_4_flow",
    position=3,
    name="dit_block",
    answers=(CUT, PASTE, block.BLOCK),
    library=("__init__",),
    hidden=("dit", "attention", "layers", "network", "unet"),
    checks=(
        on_cut("keeps its contract", 0.5, cut_contract),
        on_cut("each token is one patch, row by row", 0.75, row_by_row),
        on_cut("pixels row by row, channels last", 0.75, within),
        on_cut("each image by itself", 0.5, cut_alone),
        on_cut("keeps the dtype", 0.25, cut_dtype),
        on_cut("keeps the device", 0.25, cut_device),
        on_paste("keeps its contract", 0.25, paste_contract),
        on_paste("puts every patch in its place", 0.75, partial(pasted, True)),
        on_paste("images that are not square", 0.5, partial(pasted, False)),
        on_paste("keeps the dtype", 0.25, paste_dtype),
        on_paste("keeps the device", 0.25, paste_device),
        *block.checks(LESSON),
        *branches.checks(LESSON),
    ),
    written=("dit_block_written",),
)
