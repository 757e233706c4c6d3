"""The guidance laboratory on the site: a page of its own, and a frame below every paragraph that links to it."""

import os
import re
from pathlib import Path

from ddpm_tools.reports.one_page import LAB, one_page

PAGE = "lab/index.html"  # below the site's root
LINKS = (("The course", "../index.html"), ("Lesson 5.2: guidance", "../lessons/5_2_guidance.html"))
FRAME = '<iframe class="lab" src="{}" title="Guidance laboratory" loading="lazy"></iframe>'
# A paragraph with a link to it, after the links have been changed to those of the site.
PARAGRAPH = re.compile(r"^(?:.+\n)*?.*\]\((?:\.\./)*lab/index\.html\).*\n?(?:.+\n?)*", re.M)


def write(out: Path) -> None:
    """The laboratory as one file, at its place below `out`."""
    (out / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (out / PAGE).write_text(one_page(LAB, LINKS), encoding="utf-8")


def frame(page: str) -> str:
    """The frame for a page of the site, named from the site's root, such as lessons/5_2_guidance.md."""
    return FRAME.format(Path(os.path.relpath(PAGE, Path(page).parent)).as_posix())


def framed(text: str, page: str) -> str:
    """The text of a page, with a frame below the first paragraph that links to the laboratory."""
    return PARAGRAPH.sub(lambda m: f"{m.group().rstrip()}\n\n{frame(page)}\n", text, count=1)
