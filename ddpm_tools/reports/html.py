"""HTML pages from Jinja2 templates. Every value is escaped. A page loads only the pictures beside it, and runs only the
filter box's script, so that text from a student is harmless even if escaping fails."""

from __future__ import annotations

import base64
import hashlib
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ddpm_core.checkpoint import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment(folder: Path) -> Environment:
    """The templates in `folder`, which can extend and import the ones here. Only Markdown is not escaped."""
    env = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]), autoescape=lambda name: not (name or "").endswith(".md"),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    script = (TEMPLATES / "filter.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env.globals |= {"filter_script": Markup(script), "script_hash": Markup(digest)}
    env.filters |= {"plural": plural, "percent": percent, "shortened": shortened}
    return env


def render(template: Path, **values: Any) -> str:
    """The text of a page."""
    return environment(template.parent).get_template(template.name).render(values) + "\n"


def write(path: Path, template: Path, **values: Any) -> Path:
    """Write a page, completely or not at all."""
    write_text(path, render(template, **values))
    return path


def data_uri(image: bytes, kind: str = "png") -> str:
    """An image as a data URI, embedded in the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def figure_uri(figure: Figure) -> str:
    """A matplotlib figure as a data URI."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return data_uri(file.getvalue())


def plural(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def shortened(text: str, most: int = 90) -> str:
    """Text on one line; if it is long, only its beginning and end."""
    return text if len(text) <= most else f"{text[: most - 30]}…{text[-24:]}"
