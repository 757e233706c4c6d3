"""axe-core in a page that Chromium shows: what keeps people with a screen reader, a keyboard or weak eyes out."""

from __future__ import annotations

from functools import cache
from typing import Any

from website.npm import packages

# Formulas are drawn of thousands of elements, hidden from screen readers but for their MathML: KaTeX answers for them.
# Frames are pages of their own, and are looked at by themselves.
FAULTS = """(levels) => axe.run(
  { exclude: [".katex"] }, { resultTypes: ["violations"], iframes: false, preload: false },
).then(({ violations }) => violations.filter(({ impact }) => levels.includes(impact)).map(({ id, help, nodes }) => {
  const places = nodes.slice(0, 5).map(({ target }) => target.join(" ")).join(", ");
  return `${id}: ${help} (${nodes.length}): ${places}; ${nodes[0].any[0]?.message ?? ""}`;
}))"""


@cache
def script() -> str:
    return (packages() / "axe-core/axe.min.js").read_text(encoding="utf-8")


def serious(page: Any) -> list[str]:
    """axe's serious and critical findings on a page of playwright's: the rule, what it asks, up to five places."""
    page.evaluate(script())  # not by a tag of its own, which a page's policy may forbid
    return page.evaluate(FAULTS, ["serious", "critical"])
