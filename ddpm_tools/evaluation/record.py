"""An evaluation as a table to read and as JSON to keep, and figures read back from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ddpm_core import checkpoint
from ddpm_core.metrics.report import Estimate, MetricResult, Provenance, compare
from ddpm_tools.evaluation.evaluation import METRICS, Evaluation
from ddpm_tools.tables import aligned


def software() -> dict[str, str]:
    """The versions that a figure may depend on."""
    try:
        own = version("conditional-diffusion-course")
    except PackageNotFoundError:
        own = "unknown"
    return {"ddpm_core": own, "torch": torch.__version__}


def as_json(e: Evaluation) -> dict[str, Any]:
    """The figures of one set of images as plain values."""
    return {
        "figures": [asdict(f) for f in e.figures],
        "per_class": [asdict(r) for r in e.per_class],
        "confusion": e.confusion.tolist() if e.confusion is not None else None,
        "images_digest": e.seen.content,
        "notes": e.notes,
    }


def write(path: Path, figures: Sequence[MetricResult], runs: Sequence[Evaluation], made_with: dict[str, Any]) -> None:
    """metrics.json: what everything was made with, the figures over all seeds, and each seed's own."""
    record = {"made_with": made_with, "figures": [asdict(f) for f in figures], "runs": [as_json(e) for e in runs]}
    checkpoint.write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> list[MetricResult]:
    """The figures over all seeds of a metrics.json; ValueError where it is none."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["figures"]
        figures = []
        for r in rows:
            about = r["about"]
            seed = tuple(about["seed"]) if isinstance(about["seed"], list) else about["seed"]
            figures.append(MetricResult(r["metric"], Estimate(**r["estimate"]), Provenance(**{**about, "seed": seed})))
        return figures
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path} is not the metrics.json of an evaluation; make it with `ddpm evaluate`") from e


def text_table(figures: Sequence[MetricResult]) -> str:
    """One table for each extractor, with what the figures depend on above it."""
    lines: list[str] = []
    for extractor in dict.fromkeys(f.about.extractor for f in figures):
        mine = [f for f in figures if f.about.extractor == extractor]
        rows = [["", "value", "95 % interval", "better"]]
        for f in mine:
            e, m = f.estimate, METRICS[f.metric]
            rows.append([m.title, f"{e.value:.4g}", f"{e.low:.4g} … {e.high:.4g}", m.better])
        lines += [f"measured with {extractor}, {mine[0].about}", *(f"  {line}" for line in aligned(rows)), ""]
    return "\n".join(lines).rstrip()


def class_lines(e: Evaluation) -> str:
    """The table by class."""
    rows = [["class", "n", "Fréchet distance", "adherence"]]
    rows += [[r.name, str(r.n), str(r.distance or "–"), str(r.adherence or "–")] for r in e.per_class]
    return "\n".join(aligned(rows))


def difference_lines(old: Sequence[MetricResult], new: Sequence[MetricResult]) -> str:
    """What changed from an earlier evaluation; Incomparable, with the reason, where that is no question to ask."""
    before = {f.metric: f for f in old}
    rows = [["", "change", "95 % interval", ""]]
    for f in new:
        if f.metric in before:
            d = compare(before[f.metric], f)
            clear = "within the error" if d.low <= 0 <= d.high else "beyond the error"
            rows.append([METRICS[f.metric].title, f"{d.value:+.4g}", f"{d.low:+.4g} … {d.high:+.4g}", clear])
    return "\n".join(aligned(rows))
