"""The site: pages staged in build/pages, then mkdocs on mkdocs.yml, into build/site.

python -m website.build                   # lessons executed (ten minutes of CPU the first time, then kept)
python -m website.build --lessons plain   # at once, lessons without outputs
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from website import gallery, lab, lessons, pages, reference
from website.fingerprint import ROOT

HERE = Path(__file__).parent
LESSONS = ("executed", "plain")
PLAYGROUND = """# Playground

Draw with the course's model in the browser, without installing anything: choose a class, a guidance scale and a noise,
and watch the steps.

{where}

## Guidance laboratory

[Why guidance overshoots](lab/index.html), in the plane, where every score is exact.

{frame}
"""


def formulas(out: Path) -> None:
    """KaTeX beside the pages, in the version that package-lock.json names."""
    built = ROOT / "build/npm"
    built.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, built / name)
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["katex"]
    package = built / "node_modules/katex/package.json"
    if not (package.is_file() and json.loads(package.read_text())["version"] == wanted):
        if shutil.which("npm") is None:
            raise ValueError("npm is needed for the formulas' script; install it: sudo apt-get install npm")
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=built, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"npm could not fetch katex {wanted}: {done.stderr.strip()}")
    dist, assets = package.parent / "dist", out / "assets/katex"
    (assets / "fonts").mkdir(parents=True)
    for name in ("katex.min.js", "katex.min.css"):
        shutil.copyfile(dist / name, assets / name)
    for font in dist.glob("fonts/*.woff2"):  # every browser of the last ten years reads these
        shutil.copyfile(font, assets / "fonts" / font.name)


def playground(out: Path, built: Path) -> None:
    """The page that leads to the playground, and the playground itself if `make playground` has made it."""
    where = "It is not part of this build: `make playground`, then `make site`."
    if (built / "index.html").is_file():
        shutil.copytree(built, out / "playground")
        where = "[Open the playground](playground/index.html){ .md-button .md-button--primary }"
    if (out / "docs/playground.md").is_file():
        where += "\n\n[What it does, and how](docs/playground.md)"
    text = PLAYGROUND.format(where=where, frame=lab.frame("playground.md"))
    (out / "playground.md").write_text(text, encoding="utf-8")


def title(notebook: Path) -> str:
    """'5.1 Unconditional diffusion' of '# 5.1 Unconditional diffusion: undoing noise, step by step'."""
    first = nbformat.read(notebook, as_version=4).cells[0].source.splitlines()[0]
    return first.removeprefix("# ").split(":")[0] if "Exercise" not in first else notebook.stem


def stage(out: Path, how: str, built: Path) -> list:
    """Write every page below `out`; returns the navigation."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(HERE / "assets", out / "assets")
    formulas(out)
    lab.write(out)
    for page in ("README.md", "CHANGELOG.md"):
        pages.markdown_page(ROOT / page, out)
    guides = sorted((ROOT / "docs").glob("*.md"))
    for page in guides:
        pages.markdown_page(page, out)
    notebooks = sorted((ROOT / "lessons").glob("*.ipynb"))
    executed = lessons.all_executed() if how == "executed" else [None] * len(notebooks)
    for source, notebook in zip(notebooks, executed):
        pages.notebook_page(source, out, notebook)
    exercises: dict[str, list] = {}
    for source in sorted((ROOT / "exercises").glob("*/*.ipynb")):
        pages.notebook_page(source, out)
        place = source.relative_to(ROOT).with_suffix(".md").as_posix()
        lesson = source.parent.name.replace("_", ".", 1).replace("_", " ").capitalize()  # '5.1 unconditional'
        exercises.setdefault(lesson, []).append({title(source): place})
    playground(out, built)
    return [
        {"Home": "README.md"},
        {"Lessons": [{title(n): f"lessons/{n.stem}.md"} for n in notebooks]},
        {"Exercises": [{lesson: places} for lesson, places in exercises.items()]},
        {"Gallery": gallery.write(out)},
        {"Playground": "playground.md"},
        {"Guides": [f"docs/{g.name}" for g in guides]},
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
        print("\nstopped; finished lessons are kept, and the same command goes on", file=sys.stderr)
        sys.exit(130)
    print(a.out / "index.html")


if __name__ == "__main__":
    main()
