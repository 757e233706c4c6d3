"""Recorded full-scale runs: one JSON file per run, shown as tables beside the published results. Distances from
different extractors, or of different numbers of images, never share a column. For the same reason the published ones
(FID by Inception against the 50,000 training images) have their own table."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ddpm_core.checkpoint import write_text
from ddpm_core.config import DATA_DIR
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.results import labelled
from ddpm_tools.outputs import json_text
from ddpm_tools.tables import aligned, value_and_interval

RESULTS = DATA_DIR / "results"
PUBLISHED = DATA_DIR / "published"


@dataclass(frozen=True)
class Result:
    """One run: what was trained, where, how fast, and all metrics of its samples."""

    preset: str  # the name of the preset trained
    design: str  # how it departs from the preset, in one word
    seed: int
    steps: int  # training steps
    batch_size: int  # images per step, over all processes
    commit: str  # the commit of this repository
    device: str  # the name of the GPU, or cpu
    command: str  # the command that repeats the run
    minutes: float  # minutes of training, summed over all parts of an interrupted run
    train_images_per_s: float  # training throughput
    sample_images_per_s: float  # sampling throughput
    peak_bytes: int  # peak memory of the GPU, or of the process if there is none
    figures: tuple[dict[str, Any], ...]  # MetricResult as plain values: value, interval, n, extractor, w, ...
    sampling: dict[str, Any] = field(default_factory=dict)  # SampleConfig and the number of steps
    reduced: bool = False  # a smaller network or fewer steps than the preset's: only tests the command

    @property
    def name(self) -> str:
        return f"{self.preset}-{self.design}-{self.seed}" + ("-reduced" if self.reduced else "")


def write(result: Result, folder: Path = RESULTS) -> Path:
    """Write the record of a run, completely or not at all."""
    path = folder / f"{result.name}.json"
    write_text(path, json_text(asdict(result), indent=1, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> Result:
    """A record; ValueError if the file is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Result(**{**values, "figures": tuple(values["figures"])})
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path} is not the record of a run; scripts/full_scale.py writes them") from e


def read_all(folder: Path = RESULTS) -> list[Result]:
    """All records in a folder, by name."""
    return [read(p) for p in sorted(folder.glob("*.json"))]


def runs_table(results: Sequence[Result]) -> str:
    """The runs and their speed."""
    rows = [["preset", "design", "seed", "steps", "minutes", "train img/s", "sample img/s", "peak GB", "device", ""]]
    for r in results:
        speeds = [f"{r.minutes:.1f}", f"{r.train_images_per_s:.0f}", f"{r.sample_images_per_s:.0f}"]
        note = "reduced: no result" if r.reduced else ""
        peak = f"{r.peak_bytes / 1e9:.1f}"
        rows.append([r.preset, r.design, str(r.seed), str(r.steps), *speeds, peak, r.device, note])
    return "\n".join(aligned(rows))


def figure_tables(results: Sequence[Result]) -> str:
    """One table per extractor, number of images, reference, steps and weights: a row per design, a column per metric,
    with 95 % intervals."""

    def space(f: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(f["about"][k] for k in ("extractor", "n", "reference", "steps", "weights"))

    tables = []
    for kind in dict.fromkeys(space(f) for r in results for f in r.figures):
        extractor, n, reference, steps, weights = kind
        mine = [(r, [f for f in r.figures if space(f) == kind]) for r in results]
        metrics = list(dict.fromkeys(f["metric"] for _, figures in mine for f in figures))
        rows = [["preset", "design", "seed", "w", *metrics]]
        for r, fs in mine:
            for w in dict.fromkeys(f["about"]["w"] for f in fs):
                at_w = {f["metric"]: Estimate(**f["estimate"]) for f in fs if f["about"]["w"] == w}
                cells = [value_and_interval(at_w[m]) if m in at_w else "" for m in metrics]
                rows.append([r.preset + (" (reduced)" if r.reduced else ""), r.design, str(r.seed), f"{w:g}", *cells])
        about = f"n = {n}, reference {labelled(reference)}, {steps} steps, weights: {weights}"
        tables.append(f"measured with {extractor}, {about}\n" + "\n".join(aligned(rows)))
    return "\n\n".join(tables)


def published(folder: Path = PUBLISHED) -> dict[str, list[dict[str, str]]]:
    """The published Inception FIDs of the three tracks, row by row: not comparable with anything above."""
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as f:
            tables[path.stem] = list(csv.DictReader(line for line in f if not line.startswith("#")))
    return tables


def published_tables(folder: Path = PUBLISHED) -> str:
    """`published` as tables."""
    return "\n\n".join(
        f"published, track {name}: FID by Inception, 50,000 images\n"
        + "\n".join(aligned([list(rows[0]), *([cell or "–" for cell in row.values()] for row in rows)]))
        for name, rows in published(folder).items()
    )
