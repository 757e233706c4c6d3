"""For those deciding whether to adopt the grader: docs/grading_validity.md after an introduction and a picture."""

from __future__ import annotations

import json
import random
from pathlib import Path

from matplotlib.figure import Figure

from website.fingerprint import ROOT

TITLE = "How we know that the grader is right"
PAGE = "docs/grading_validity.md"
PICTURE = "grading_validity.png"
GATES = {"conditioner": "conditioner_looks", "prediction": "prediction_looks", "architecture": "architecture_looks"}
RIGHT, WRONG, END = "#3f51b5", "#d84315", 4.0
INTRODUCTION = """---
hide: [navigation]
---

# {title}

A program's marks must be as good as a careful colleague's: a right answer keeps its points however it is written, a
wrong one loses them, and there is no other way to get marks. This page says how far that holds here, how we tried to
prove it wrong, and what is still open. Every figure comes with the command that measures it, so you need not take our
word.

Answers are judged by what they *do*. Checks call them and compare numbers; a **gate** trains a design for a few
seconds, samples from it, and compares the result with limits.

![Runs of right designs lie left of the limit, runs of wrong designs right of it]({picture})
{{: .figure .wide }}

Each dot or cross is a fresh training run, not used to set any limit: {right} of right designs, {wrong} of wrong ones.
Left of the line is full credit. A run ends as soon as it is there, so the right ones lie close to it. {missed} of the
right designs lie right of it, and {passed} of the wrong ones left of it. To try the grader on answers of your own,
start with [the page for instructors](instructors.md).
"""


def runs() -> list[dict]:
    """Of each gate, the runs with the newest harness: its name, whether the design is right, and how near the limit.

    `ratio` is the worst metric over its limit for full credit; END for a run that failed, or lies beyond it.
    """
    rows = [json.loads(line) for line in (ROOT / "data/gates/runs.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [r for r in rows if r["kind"] in ("right", "wrong")]
    newest = {r["exercise"]: r["harness"] for r in rows}  # the last one stays
    found = []
    for row in rows:
        if row["exercise"] in GATES and row["harness"] == newest[row["exercise"]]:
            file = ROOT / f"data/gates/{GATES[row['exercise']]}.json"
            limits = json.loads(file.read_text(encoding="utf-8"))["limits"]["judge"]
            ratio = END
            if "failed" not in row:
                metrics = row["metrics"]["judge"]
                metrics["error"] = 1 - metrics["adherence"]
                ratio = min(END, max(metrics[k] / limit["full"] for k, limit in limits.items()))
            found.append({"gate": row["exercise"], "right": row["kind"] == "right", "ratio": ratio})
    return found


def draw(found: list[dict], path: Path) -> None:
    """Dots over a logarithmic axis, a row for each gate."""
    figure = Figure(figsize=(8.2, 2.9), layout="constrained")
    axes, spread = figure.subplots(), random.Random(0)
    for right, colour, name in ((True, RIGHT, "right design"), (False, WRONG, "wrong design")):
        dots = [r for r in found if r["right"] is right]
        heights = [-list(GATES).index(r["gate"]) + spread.uniform(-0.25, 0.25) for r in dots]
        axes.scatter([r["ratio"] for r in dots], heights, 26, colour, "o" if right else "X", alpha=0.75, label=name)
    axes.axvline(1, color="#333333", linewidth=1.2)
    axes.text(0.985, 0.62, "full credit", ha="right", fontsize=9)
    axes.set_xscale("log")
    axes.set_xticks([0.5, 0.7, 1, 1.5, 2, 3, END], ["0.5", "0.7", "limit", "1.5", "2", "3", "4 or more"])
    axes.minorticks_off()
    axes.set_yticks([-i for i in range(len(GATES))], list(GATES))
    axes.set_ylim(0.6 - len(GATES), 0.85)
    axes.set_xlabel("worst metric of a run, as a multiple of its limit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, fontsize=9, frameon=False)
    figure.savefig(path, dpi=150)


def write(page: Path) -> None:
    """Put introduction and picture before what the page at `page` says, in place of its title."""
    found = runs()
    draw(found, page.with_name(PICTURE))
    right, wrong = ([r["ratio"] for r in found if r["right"] is kind] for kind in (True, False))
    counts = {"missed": sum(x > 1 for x in right) or "None", "passed": sum(x <= 1 for x in wrong) or "none"}
    front = INTRODUCTION.format(title=TITLE, picture=PICTURE, right=len(right), wrong=len(wrong), **counts)
    text = page.read_text(encoding="utf-8").split("\n", 1)[1]
    page.write_text(front + text, encoding="utf-8")
