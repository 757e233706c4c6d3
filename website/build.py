"""The site: pages staged in build/pages, then mkdocs on mkdocs.yml, into build/site.

python -m website.build                   # lessons executed (ten minutes of CPU the first time, then kept)
python -m website.build --lessons plain   # at once, lessons without outputs
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

import nbformat

from website import gallery, lab, lessons, npm, pages, reference, validity
from website.fingerprint import ROOT

HERE = Path(__file__).parent
LESSONS = ("executed", "plain")
PLAYGROUND = """---
hide: [navigation, toc]
---

# Playground

Sample from the course's models in the browser, with nothing to install: choose a class, a guidance scale and a noise,
and watch the steps.

{where}

## Guidance laboratory

[Why guidance overshoots](lab/index.html), in two dimensions, where every score is exact.

{frame}
"""
EMBEDDED = """<iframe class="playground" src="playground/index.html" title="Playground" loading="lazy"></iframe>

[Open it on its own](playground/index.html){ .md-button target=_blank } [How it works](docs/playground.md)"""


def formulas(out: Path) -> None:
    """KaTeX beside the pages, in the version that package-lock.json names."""
    dist, assets = npm.packages() / "katex/dist", out / "assets/katex"
    (assets / "fonts").mkdir(parents=True)
    for name in ("katex.min.js", "katex.min.css"):
        shutil.copyfile(dist / name, assets / name)
    for font in dist.glob("fonts/*.woff2"):  # every browser of the last ten years reads these
        shutil.copyfile(font, assets / "fonts" / font.name)


def playground(out: Path, built: Path) -> None:
    """The page with the playground in it, if it has been made: `make site` does so first."""
    where = "The playground is not part of this build; `make site` includes it."
    if (built / "index.html").is_file():
        shutil.copytree(built, out / "playground")
        where = EMBEDDED
    text = PLAYGROUND.format(where=where, frame=lab.frame("playground.md"))
    (out / "playground.md").write_text(text, encoding="utf-8")


def title(notebook: Path) -> str:
    """'5.2 Guidance' of '# 5.2 Guidance: more of it'; 'Label dropout' of '# 5.2 Exercise: label dropout'."""
    first = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    name, _, rest = first.partition(": ")
    return rest[0].upper() + rest[1:] if name.endswith("Exercise") else name


def stage(out: Path, how: str, built: Path) -> list:
    """Write every page below `out`; returns the navigation."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(HERE / "assets", out / "assets")
    formulas(out)
    lab.write(out)
    playground(out, built)  # before the pages that link to it
    for page in ("README.md", "CHANGELOG.md"):
        pages.markdown_page(ROOT / page, out)
    guides = sorted((ROOT / "docs").glob("*.md"))
    for page in guides:
        pages.markdown_page(page, out)
    validity.write(out / validity.PAGE)
    notebooks = sorted((ROOT / "lessons").glob("*.ipynb"))
    executed = lessons.all_executed() if how == "executed" else [None] * len(notebooks)
    for source, notebook in zip(notebooks, executed):
        pages.notebook_page(source, out, notebook)
    titles = {n.stem: title(n) for n in notebooks}
    exercises: dict[str, list] = {}
    for source in sorted((ROOT / "exercises").glob("*/*.ipynb")):
        pages.notebook_page(source, out)
        place = source.relative_to(ROOT).with_suffix(".md").as_posix()
        exercises.setdefault(titles[source.parent.name], []).append({title(source): place})
    return [
        {"Home": "README.md"},
        {"Lessons": [{name: f"lessons/{stem}.md"} for stem, name in titles.items()]},
        {"Exercises": [{lesson: places} for lesson, places in exercises.items()]},
        {"Gallery": gallery.write(out)},
        {"Playground": "playground.md"},
        {"Guides": [f"docs/{g.name}" for g in guides if f"docs/{g.name}" != validity.PAGE]},
        {validity.TITLE: validity.PAGE},
        {"Reference": reference.write(out)},
        {"What changed": "CHANGELOG.md"},
    ]


def build(how: str, site: Path, staged: Path, built: Path) -> None:
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")  # the theme's notice about another program
    from mkdocs.commands.build import build as render
    from mkdocs.config import load_config

    navigation = stage(staged, how, built)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    config = load_config(
        str(ROOT / "mkdocs.yml"), docs_dir=str(staged), site_dir=str(site), nav=navigation, strict=True
    )
    config.plugins.on_startup(command="build", dirty=False)
    render(config)
    config.plugins.on_shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m website.build", description="Build the course's site.")
    parser.add_argument("--lessons", choices=LESSONS, default="executed")
    parser.add_argument("--out", type=Path, default=ROOT / "build/site")
    parser.add_argument("--pages", type=Path, default=ROOT / "build/pages", help="where mkdocs' input is staged")
    parser.add_argument("--playground", type=Path, default=ROOT / "build/playground")
    a = parser.parse_args()
    try:
        build(a.lessons, a.out.resolve(), a.pages.resolve(), a.playground)
    except (ValueError, OSError) as e:
        sys.exit(f"site: {e}")
    except KeyboardInterrupt:
        print("\nstopped; finished lessons are kept, and the same command continues", file=sys.stderr)
        sys.exit(130)
    print(a.out / "index.html")


if __name__ == "__main__":
    main()
