"""Pictures: titles are never cut off, and a saved picture has no empty margin."""

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core import plots


def images(n: int) -> torch.Tensor:
    return torch.zeros(n, 1, 8, 8)


def ink(path):
    """Where a picture is not white, (H, W)."""
    return np.asarray(Image.open(path).convert("L")) < 250


@pytest.mark.parametrize("columns", [1, 2, 5, 11])
def test_a_title_is_never_cut_off(columns, tmp_path):
    title = "3 → 8: linear class embedding, and from one noise to another, w = 2, 50 steps"
    fig = plots.grid(images(columns), columns, title=title, cell=0.7)
    drawn = ink(plots.save(fig, tmp_path / "a.png"))
    assert not (drawn[0].any() or drawn[-1].any() or drawn[:, 0].any() or drawn[:, -1].any())
    assert fig.axes[0].get_title().replace("\n", " ") == title
    assert drawn.shape[1] < 20 + 140 * max(2.6, fig.get_figwidth())  # the title makes no picture wider than it must be


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_a_saved_grid_has_no_blank_band(rows, tmp_path):
    path = plots.save(plots.class_grid(images(10 * rows), [str(k) for k in range(rows)], "w = 4"), tmp_path / "a.png")
    drawn = ink(path)
    for side in (drawn.any(1), drawn.any(1)[::-1], drawn.any(0), drawn.any(0)[::-1]):
        assert side.argmax() <= 25, "more than 25 empty lines of pixels at an edge"
