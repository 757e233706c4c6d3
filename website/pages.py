"""The repository's own texts as pages of the site: README, docs/, lessons and exercises, in the same folders.

Links between them work in the repository; on the site those to a notebook lead to its page, those into the packages to
the reference, and those to any other file to a copy of it. Notebooks become Markdown, so that mkdocs checks their
links, lists their headings and draws them like every other page.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from website import addresses, lab, reference
from website.fingerprint import ROOT

# A target may carry an anchor; code in backticks and fences is left alone.
LINK_OR_CODE = re.compile(r"(```.*?```|`[^`\n]*`)|(\]\()([^)#\s]+)", re.S)
PLAYGROUND = ROOT / "playground/index.html"
WIDGET = "application/vnd.jupyter.widget-view+json"

TEMPLATE = Path(__file__).parent / "templates/notebook.md.j2"  # extends nbconvert's own
CONFIG = Config(
    NbConvertBase={"display_data_priority": ["image/gif", "image/png", "text/html", "text/markdown", "text/plain"]},
    ExtractOutputPreprocessor={"extract_output_types": {"image/png", "image/gif"}},
)


def on_the_site(target: Path, source: Path, out: Path) -> str | None:
    """Where a link of `source` to a file or folder of the repository leads on the site; None: nowhere else than there.

    A file that is no page is copied to the same place below `out`.
    """
    inside = target.relative_to(ROOT)
    if target == lab.LAB:
        page = ROOT / lab.PAGE
    elif target == PLAYGROUND:  # the page that is built lies in the same place, where it is part of the site
        if (out / inside).is_file():
            return None
        page = ROOT / "playground.md"
    elif inside.parts[0] in reference.PACKAGES and target.suffix in ("", ".py"):
        page = ROOT / reference.page_of(inside)
    elif target.suffix == ".ipynb":
        page = target.with_suffix(".md")
    elif target.suffix == ".md" or not target.is_file():
        return None
    else:
        copy = out / inside
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(target, copy)
        return None
    return Path(os.path.relpath(page, source.parent)).as_posix()


def with_links(text: str, source: Path, out: Path) -> str:
    """Markdown of the file `source`, its links leading to pages of the site."""

    def changed(match: re.Match) -> str:
        code, opening, link = match.groups()
        if code or ":" in link or link.startswith("/"):
            return match.group()
        target = (source.parent / link).resolve()
        return opening + ((target.is_relative_to(ROOT) and on_the_site(target, source, out)) or link)

    return LINK_OR_CODE.sub(changed, text)


def markdown_page(source: Path, out: Path) -> None:
    """A page of the repository, at the same place below `out`."""
    page = out / source.relative_to(ROOT)
    page.parent.mkdir(parents=True, exist_ok=True)
    text = with_links(source.read_text(encoding="utf-8"), source, out)
    page.write_text(lab.framed(text, source.relative_to(ROOT).as_posix()), encoding="utf-8")


def tidied(notebook: NotebookNode) -> NotebookNode:
    """Without what a page cannot show: widgets (sliders, progress bars) and warnings. Wide figures are marked."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown = [o for o in cell.outputs if o.get("name") != "stderr" and WIDGET not in o.get("data", {})]
            cell.outputs = [o for o in shown if o.get("text", "shown").strip()]
            for o in cell.outputs:
                if "image/png" in o.get("data", {}):
                    o.metadata["wide"] = is_wide(o.data["image/png"])
    return notebook


def is_wide(png: str) -> bool:
    """Whether a figure (base64) has panels side by side, which a phone's width would make too small to read."""
    width, height = Image.open(io.BytesIO(base64.b64decode(png))).size
    return width > max(800, 2 * height)


def as_python_markdown(text: str) -> str:
    """Jupyter's Markdown in the site's dialect: folded answers hold Markdown, a list needs an empty line before it."""
    text = re.sub(r"^<details>", "<details markdown>", text, flags=re.M)
    lines, item_open, fenced = [], False, False
    for line in text.split("\n"):
        quote, rest = re.match(r"((?:> ?)*)(.*)", line).groups()
        fenced ^= rest.lstrip().startswith("```")
        item = not fenced and re.match(r"([-*+]|\d+\.) ", rest)
        before = re.match(r"((?:> ?)*)(.*)", lines[-1])[2] if lines else ""
        if item and before.strip() and not item_open:
            lines.append(quote.rstrip())
        if item:
            item_open = True
        elif not rest.strip() or (not before.strip() and not rest.startswith(" ")):
            item_open = False
        lines.append(line)
    return "\n".join(lines)


def one_title(notebook: NotebookNode) -> None:
    """Headings one level down, all but the first, where there are several of the highest: a page has one title."""
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    if sum(len(re.findall(r"^# ", cell.source, re.M)) for cell in texts) > 1:
        for cell in texts[1:]:  # the first holds the title alone
            cell.source = re.sub(r"(```.*?```)|^(#+ )", lambda m: m[1] or f"#{m[2]}", cell.source, flags=re.M | re.S)


def notebook_page(source: Path, out: Path, notebook: NotebookNode | None = None) -> None:
    """A notebook as a page, with its figures as files beside it: as it is in the repository, or as executed."""
    notebook = tidied(notebook or nbformat.read(source, as_version=4))
    inside = source.relative_to(ROOT)
    one_title(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = lab.framed(with_links(as_python_markdown(cell.source), source, out), inside.as_posix())
    title, _, rest = notebook.cells[0].source.partition("\n")
    about = f"Notebook: [`{inside}`]({source.name}){{ download }}. `make lab` opens the lessons, ready to run."
    opened = addresses.notebook_links(inside.as_posix(), addresses.setting("repo_url"))
    notebook.cells[0].source = f"{title}\n\n{about} {opened}\n{rest}"
    exporter = MarkdownExporter(config=CONFIG, raw_template=TEMPLATE.read_text(encoding="utf-8"))
    where = {"unique_key": source.stem, "output_files_dir": f"{source.stem}_files"}
    body, resources = exporter.from_notebook_node(notebook, resources=where)
    folder = out / inside.parent
    (folder / where["output_files_dir"]).mkdir(parents=True, exist_ok=True)
    for name, data in resources["outputs"].items():  # nbconvert decodes PNG alone
        (folder / name).write_bytes(base64.b64decode(data) if name.endswith(".gif") else data)
    shutil.copyfile(source, out / inside)
    (out / inside).with_suffix(".md").write_text(body, encoding="utf-8")
