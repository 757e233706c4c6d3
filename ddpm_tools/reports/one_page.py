"""A page of HTML, CSS and JavaScript modules in one file, which also opens from disk: browsers load modules only from a
web server. Each module becomes a function that returns its exports, in order of dependence. No JavaScript tools are
needed, and during development the browser runs the sources as they are.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from ddpm_core.config import COURSE

LAB = COURSE / "playground/lab/index.html"  # the guidance laboratory

IMPORT = re.compile(r'^import (\* as \w+|\{[^}]*\}) from "([^"]+)";\n', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|let|class) ([\w$]+))", re.M)


def modules(entry: Path) -> list[Path]:
    """The module and all its imports, each after those it needs. ValueError if a file is missing."""
    order: list[Path] = []
    seen: set[Path] = set()

    def visit(file: Path, importer: Path) -> None:
        if file in seen:
            return
        seen.add(file)
        if not file.is_file():
            raise ValueError(f"{importer.name} imports {file.name}, which is missing")
        for _, target in IMPORT.findall(file.read_text(encoding="utf-8")):
            visit((file.parent / target).resolve(), file)
        order.append(file)

    visit(entry.resolve(), entry)
    return order


def as_function(file: Path, number: dict[Path, int]) -> str:
    """A module as a constant with its exports."""
    text = file.read_text(encoding="utf-8")

    def taken(match: re.Match) -> str:
        names, target = match.groups()
        names = names.removeprefix("* as ").replace(" as ", ": ")
        return f"const {names} = m{number[(file.parent / target).resolve()]};\n"

    exports = ", ".join(EXPORT.findall(text))
    body = EXPORT.sub("", IMPORT.sub(taken, text))
    if left := re.search(r"^(import|export)\b.*", body, re.M):
        raise ValueError(f"{file.name}: cannot bundle '{left.group()}'; use plain imports and exports")
    return f"// {file.name}\nconst m{number[file]} = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();\n"


def one_page(page: Path, links: Iterable[tuple[str, str]] = ()) -> str:
    """The page with its style sheet and modules inside; links (title, address) replace its <!-- links -->."""
    html = page.read_text(encoding="utf-8")
    style = re.search(r'<link rel="stylesheet" href="([^"]+)" />', html)
    script = re.search(r'<script type="module" src="([^"]+)"></script>', html)
    if not (style and script):
        raise ValueError(f"{page.name} must have one style sheet and one module script")
    files = modules(page.parent / script[1])
    number = {file: i for i, file in enumerate(files)}
    code = "".join(as_function(file, number) for file in files).replace("</script", "<\\/script")
    sheet = (page.parent / style[1]).read_text(encoding="utf-8")
    bar = "".join(f'<a href="{address}">{title}</a>' for title, address in links)
    html = html.replace("<!-- links -->", f'<nav aria-label="Course">{bar}</nav>' if bar else "")
    html = html.replace("'self'", "'unsafe-inline'")  # in the page's content security policy: everything is inline now
    html = html.replace(style[0], f"<style>\n{sheet}</style>")
    return html.replace(script[0], f'<script type="module">\n{code}</script>')  # a module: after the page, and strict
