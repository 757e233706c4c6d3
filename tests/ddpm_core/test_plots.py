"""Pictures: titles are never cut off, and a saved picture has no empty margin."""

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core import plots


def images(n: int) -> torch.Tensor:
    return torch.zeros(n, 1, 8, 8)


@pytest.mark.parametrize("columns", [1, 2, 5, 11])
def test_a_title_is_no_wider_than_its_figure(columns):
    title = "3 → 8: linear class embedding, and from one noise to another, w = 2, 50 steps"
    fig = plots.grid(images(columns), columns, title=title, cell=0.7)
    fig.canvas.draw()
    box = fig.axes[0].title.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1
    assert fig.axes[0].get_title().replace("\n", " ") == title


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_a_saved_grid_has_no_blank_band(rows, tmp_path):
    path = plots.save(plots.class_grid(images(10 * rows), [str(k) for k in range(rows)], "w = 4"), tmp_path / "a.png")
    ink = np.asarray(Image.open(path).convert("L")) < 250  # (H, W)
    for side in (ink.any(1), ink.any(1)[::-1], ink.any(0), ink.any(0)[::-1]):
        assert side.argmax() <= 25, "more than 25 empty lines of pixels at an edge"
