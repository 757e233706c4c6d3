"""An evaluation as a table to read and as JSON to store, and results read back from JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch

from ddpm_core import checkpoint
from ddpm_tools.evaluation.estimates import Estimate
from ddpm_tools.evaluation.evaluation import Evaluation
from ddpm_tools.evaluation.metrics import METRICS
from ddpm_tools.evaluation.results import COVERS, MetricResult, Provenance, compare, over_seeds, pairs
from ddpm_tools.outputs import json_text
from ddpm_tools.tables import aligned


def software() -> dict[str, str]:
    """The versions of software on which a result may depend."""
    try:
        own = version("conditional-diffusion-course")
    except PackageNotFoundError:
        own = "unknown"
    return {"ddpm_core": own, "torch": torch.__version__}


def lacking(r: MetricResult) -> str:
    """Why a result has no value or no interval, in one sentence; empty if it has both."""
    few = f"it needs more than the {r.about.n} images" + " of one class" * (r.metric == "diversity")
    return f"{r.estimate.lacks}: {few if r.covers == 'images' else 'it needs several runs'}" if r.estimate.lacks else ""


def figure(r: MetricResult) -> dict[str, Any]:
    """A result as plain values; a missing number is null, with the reason."""
    return asdict(r) | ({"reason": why} if (why := lacking(r)) else {})


def as_json(e: Evaluation) -> dict[str, Any]:
    """The results of one set of images as plain values."""
    counts = e.confusion.tolist() if e.confusion is not None else None
    rows = {"figures": [figure(r) for r in e.results], "per_class": [asdict(r) for r in e.per_class]}
    return rows | {"confusion": counts, "images_digest": e.seen.content, "notes": e.notes}


def write(path: Path, results: Sequence[MetricResult], runs: Sequence[Evaluation], made_with: dict[str, Any]) -> None:
    """Write metrics.json: how everything was made, the results over all seeds ("figures"), and those of each seed."""
    record = {"made_with": made_with, "figures": [figure(r) for r in results], "runs": [as_json(e) for e in runs]}
    checkpoint.write_text(path, json_text(record, indent=1, ensure_ascii=False) + "\n")


def plain(row: dict[str, Any]) -> MetricResult:
    """The result of one run from plain values."""
    estimate = {k: nan if v is None and k != "df" else v for k, v in row["estimate"].items()}
    return MetricResult(row["metric"], Estimate(**estimate), Provenance(**row["about"]))


def read(path: Path) -> list[MetricResult]:
    """The results over all seeds in a metrics.json; ValueError if the file is not one."""
    try:
        runs = [[plain(row) for row in run["figures"]] for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]
        return [over_seeds(same) for same in zip(*runs)]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path} is not the metrics.json of an evaluation; make it with `ddpm evaluate`") from e


def covered(results: Sequence[MetricResult]) -> str:
    """What the intervals cover, in one sentence; empty without results."""
    return f"The intervals cover {COVERS[results[0].covers]}." if results else ""


def text_table(results: Sequence[MetricResult]) -> str:
    """One table per extractor, headed by what the results depend on."""
    lines: list[str] = []
    for extractor in dict.fromkeys(r.about.extractor for r in results):
        mine = [r for r in results if r.about.extractor == extractor]
        rows = [["", "value", "95 % interval", "better"]]
        for r in mine:
            e, m = r.estimate, METRICS[r.metric]
            bounds = f"{e.low:.4g} … {e.high:.4g}"
            rows.append([m.title, f"{e.value:.4g}" if isfinite(e.value) else "–", lacking(r) or bounds, m.better])
        lines += [f"measured with {extractor}, {mine[0].about}", *(f"  {line}" for line in aligned(rows)), ""]
    return "\n".join([*lines, covered(results)]).rstrip()


def class_lines(e: Evaluation) -> str:
    """The table of results per class."""
    rows = [["class", "n", "Fréchet distance", "adherence"]]
    rows += [[r.name, str(r.n), str(r.distance or "–"), str(r.adherence or "–")] for r in e.per_class]
    return "\n".join(aligned(rows))


def difference_lines(old: Sequence[MetricResult], new: Sequence[MetricResult]) -> str:
    """What changed since an earlier evaluation; Incomparable, with the reason, if the two cannot be compared."""
    before = {r.metric: r for r in old}
    both = [(before[r.metric], r) for r in new if r.metric in before]
    rows = [["", "change", "95 % interval" + ", paired by seed" * any(pairs(a, b) for a, b in both), ""]]
    for a, b in both:
        d = compare(a, b)
        clear = "beyond the error" if d.low > 0 or d.high < 0 else "within the error"
        clear = "not resolved" if d.lacks else clear
        rows.append([METRICS[b.metric].title, f"{d.value:+.4g}", f"{d.low:+.4g} … {d.high:+.4g}", clear])
    return "\n".join(aligned(rows))
