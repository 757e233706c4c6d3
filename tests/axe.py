"""axe-core in a page that Chromium shows: what keeps people with a screen reader, a keyboard or weak eyes out."""

from __future__ import annotations

from functools import cache
from typing import Any

from website.npm import packages

FAULTS = """(level) => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => level.includes(impact))
  .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 5).map((n) => n.target.join(" ")).join(", ")}`
    + (nodes[0].any[0]?.message ? ` (${nodes[0].any[0].message})` : "")))"""


@cache
def script() -> str:
    return (packages() / "axe-core/axe.min.js").read_text(encoding="utf-8")


def serious(page: Any) -> list[str]:
    """axe's serious and critical findings on a page of playwright's: the rule, what it asks, up to five places.

    What lies in frames that have loaded is looked at as well.
    """
    for frame in page.frames:
        if frame.evaluate("typeof axe") == "undefined":
            frame.evaluate(script())  # as a script of the page's own: no policy of the page forbids it
    return page.evaluate(FAULTS, ["serious", "critical"])
