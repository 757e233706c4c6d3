"""Numbers and rows as text, for the terminal and for the cells of a page."""

from collections.abc import Sequence

from ddpm_tools.evaluation.estimates import Estimate


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text, aligned in columns."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in rows]


def value_and_interval(e: Estimate, spec: str = ".4g") -> str:
    """`0.913 [0.874, 0.941]`"""
    return f"{e.value:{spec}} [{e.low:{spec}}, {e.high:{spec}}]"
