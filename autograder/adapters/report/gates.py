"""The gates' part of the report: each trained answer's position among the limits, and its samples."""

import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.adapters.report.entries import FAILED, PART, Entry
from autograder.exercises import EXERCISES
from autograder.gate.bands import Band, turned
from autograder.gate.plot import LABELS, samples_of
from autograder.grading.grader import band_file
from ddpm_tools.reports.html import data_uri, percent

MOST = 60  # sample grids per exercise on the page, about 4 KB each
ROWS = 3  # of dots on an axis, so that equal values do not hide each other


@dataclass(frozen=True)
class Axis:
    """One metric of the trained answers. Positions are in percent of its length; for dots also in rem from its top."""

    title: str
    zones: list[tuple[str, float, float]]  # credit, left end and width
    references: tuple[float, float]  # left end and width of the reference designs' range
    dots: list[tuple[float, float, str]]
    legend: tuple[str, str, str]


@dataclass(frozen=True)
class Samples:
    """One answer's sample grid."""

    student: str
    credit: str
    image: str
    caption: str


@dataclass(frozen=True)
class Gate:
    """One gated exercise."""

    exercise: str
    counts: Counter  # notebooks by the state of their gate
    axes: list[Axis]
    samples: list[Samples]
    missing: int  # trained answers without a grid on the page


def gate(group: Sequence[Entry], out: Path) -> Gate | None:
    """The gate of an exercise; None if no answer got that far. Pictures are read from the folder `out`."""
    counts = Counter(e.gate for e in group if e.gate)
    if not counts:
        return None
    trained = [e for e in group if e.metrics and e.gate]
    samples = [s for e in chosen(sorted(trained, key=_weakest_first)) if (s := _samples(e, out))]
    return Gate(group[0].exercise, counts, axes(trained), samples, len(trained) - len(samples))


def axes(trained: Sequence[Entry], judge: str = "judge") -> list[Axis]:
    """The axes, with the grader's limits; none if the course no longer has the exercise."""
    exercise = EXERCISES.get((trained[0].assignment, trained[0].exercise)) if trained else None
    if exercise is None or not exercise.gate_cell or not (file := band_file(exercise)).is_file():
        return []
    calibration = json.loads(file.read_text(encoding="utf-8"))
    runs = [turned(r["metrics"][judge]) for r in calibration["runs"] if r["role"] == "reference"]
    own = [(e.student, turned({"adherence": 0.0, **e.metrics})) for e in trained]
    found = []
    for metric, band in calibration["limits"][judge].items():
        values = [(student, m[metric]) for student, m in own if math.isfinite(m[metric])]
        found.append(axis(metric, values, Band(**band), [r[metric] for r in runs]))
    return found


def axis(metric: str, values: Sequence[tuple[str, float]], band: Band, references: Sequence[float]) -> Axis:
    """Dots among the zones of full, half and no credit; shares from 0 to 1, other metrics on a logarithmic scale."""
    everything = [v for _, v in values] + [band.full, band.half, *references]
    shares = metric in ("error", "copies")
    low, high = (0.0, 1.0) if shares else (min(everything) / 1.15, max(everything) * 1.15)

    def at(value: float) -> float:
        share = (value - low) / (high - low) if shares else math.log(value / low) / math.log(high / low)
        return 100 * min(max(share, 0.0), 1.0)

    edges = [0.0, at(band.full), at(band.half), 100.0]
    zones = [(credit, a, b - a) for credit, a, b in zip(("held", "part", "failed"), edges, edges[1:])]
    left, right = at(min(references)), at(max(references))
    ordered = sorted(values, key=lambda p: p[1])
    dots = [(at(v), 0.7 + 0.75 * (i % ROWS), f"{student}: {v:.3g}") for i, (student, v) in enumerate(ordered)]
    legend = f"{low:.2g}", f"full up to {band.full:.3g}, half up to {band.half:.3g}", f"{high:.3g}"
    return Axis(LABELS.get(metric, metric), zones, (left, max(right - left, 0.5)), dots, legend)


def _weakest_first(e: Entry) -> tuple:
    distance = e.metrics.get("distance", math.inf)
    return e.gate != FAILED, e.gate != PART, -(distance if math.isfinite(distance) else math.inf), e.student


def chosen(order: Sequence[Entry]) -> list[Entry]:
    """At most MOST: two thirds from the weak end, the rest spread evenly over the others."""
    if len(order) <= MOST:
        return list(order)
    weak, others = order[: 2 * MOST // 3], order[2 * MOST // 3 :]
    count = MOST - len(weak)
    return [*weak, *(others[round(i * (len(others) - 1) / (count - 1))] for i in range(count))]


def _samples(e: Entry, out: Path) -> Samples | None:
    try:
        grid = samples_of(out / e.picture, labelled="adherence" in e.metrics)
    except OSError:  # missing, or not a picture
        return None
    file = io.BytesIO()
    grid.save(file, "WEBP", lossless=True)
    shown = [f"distance {e.metrics['distance']:.1f}"] if "distance" in e.metrics else []
    shown += [f"adherence {percent(e.metrics['adherence'])}"] if "adherence" in e.metrics else []
    shown += [e.gate_ended] if e.gate_ended else []
    return Samples(e.student, e.gate, data_uri(file.getvalue(), "webp"), ", ".join(shown))
