"""The plot of a guidance sweep can be read, however its scales are spaced."""

from itertools import pairwise

import pytest

from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.scores import Scores
from ddpm_tools.reports.plots import sweep_plot


@pytest.mark.parametrize(
    "scales", [(1, 1.25, 1.5, 2, 4, 6, 8, 10), (0, 1, 2), (3,), (4, 1, 1.001, -2), tuple(0.1 * i for i in range(60))]
)
def test_no_two_names_on_an_axis_touch(scales):
    e = Estimate(0.5, 0.4, 0.6, 0.05)
    about = Provenance("digits classifier", 500, "digits/all", 0, 20, 1.0, "ema")
    figure = sweep_plot(scales, [Scores(e, e, e, about) for _ in scales])
    figure.canvas.draw()
    for ax in figure.axes:
        shown = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        assert shown and all(a.x1 < b.x0 for a, b in pairwise(sorted(shown, key=lambda box: box.x0)))
        assert len(ax.get_xticks()) + len(ax.get_xticks(minor=True)) >= len(set(scales))  # but each has its tick
