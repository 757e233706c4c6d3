"""`make site`: every page is there, every link leads somewhere, nothing comes from elsewhere, a phone can show it."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tests.axe import serious

ROOT = Path(__file__).resolve().parents[1]
NPM = shutil.which("npm")
CHROMIUM = shutil.which("chromium")


# What colours a listing: most of a page, and neither an anchor nor a link.
COLOURING = re.compile(r'<span class="[^"]*">|</span>')


class Page(HTMLParser):
    """A page's anchors, links, and what it loads by itself."""

    def __init__(self, file: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(COLOURING.sub("", file.read_text(encoding="utf-8")))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = dict(attrs)
        self.ids |= {a[k] for k in ("id", "name") if a.get(k)}
        if a.get("src") or (tag == "link" and "canonical" not in a.get("rel", "")):
            self.loads.append(a.get("src") or a.get("href") or "")
        elif a.get("href") and tag == "a":
            self.links.append(a["href"])


read = functools.cache(Page)  # several tests look at the same pages


def broken(site: Path) -> list[str]:
    """Every link, picture and anchor that leads nowhere, and whatever is loaded from another host."""
    apart = {site / "playground", site / "lab"}  # whose addresses hold settings, not anchors
    pages = {file: read(file) for file in site.rglob("*.html") if not apart & {*file.parents}}
    faults = []
    for file, page in pages.items():
        absolute = file.name == "404.html"  # which is shown anywhere, so its links start at the root
        for link in (*page.links, *page.loads):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                foreign = link in page.loads and url.scheme != "data"
                faults += [f"{file.relative_to(site)} loads {link}"] if foreign else []
                continue
            path = unquote(url.path)
            target = (site / path.lstrip("/") if absolute else file.parent / path).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].ids if target in pages else {unquote(url.fragment)}
            if not target.is_file() or (url.fragment and unquote(url.fragment) not in anchors):
                faults.append(f"{file.relative_to(site)} -> {link}")
    return faults


# The commands of the gallery with smaller numbers: as they stand they cost more than all the pages.
DRAFT = """
import functools, pathlib, sys
from website import build, gallery

def quickly(words, run=gallery.main.main):
    few = {"--n": "20", "--steps": "9"}
    run([few.get(before, word) for before, word in zip(["", *words], words)])

gallery.main.main = quickly
ema_against_raw = gallery.demo.ema_against_raw
gallery.demo.ema_against_raw = lambda loaded, out, steps: ema_against_raw(loaded, out, steps=2)
gallery.write = functools.partial(gallery.write, out=pathlib.Path(sys.argv.pop(1)))
build.main()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site with plain lessons, a playground of one line and a gallery of few pictures in few steps."""
    if NPM is None:
        pytest.skip("npm fetches the formulas' script, and is not installed")
    temporary = tmp_path_factory.getbasetemp()
    folder = (temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary) / "pages"  # one for all workers
    with FileLock(f"{folder}.lock"):
        if not (folder / "out").is_dir():
            (folder / "playground").mkdir(parents=True, exist_ok=True)
            (folder / "playground/index.html").write_text("<!doctype html><title>Here one plays</title>")
            options = ["--lessons", "plain", "--out", folder / "new", "--pages", folder / "staged"]
            command = [sys.executable, "-c", DRAFT, folder / "gallery", *options, "--playground", folder / "playground"]
            done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr  # a warning of mkdocs is an error
            (folder / "new").rename(folder / "out")
    return folder / "out"


def test_no_link_is_broken_and_nothing_is_loaded_from_elsewhere(site: Path):
    assert broken(site) == []


def test_the_check_of_links_finds_what_it_should(tmp_path: Path):
    (tmp_path / "a.html").write_text(
        '<h1 id="here">A</h1><a href="#here"></a><a href="b.html#there"></a><a href="https://example.org"></a>'
        '<a href="#gone"></a><a href="b.html#gone"></a><img src="gone.png"><script src="https://example.org/x.js"></script>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">B</h1>')
    assert [fault.split()[-1] for fault in broken(tmp_path)] == [
        "#gone", "b.html#gone", "gone.png", "https://example.org/x.js",
    ]  # fmt: skip


def test_every_text_and_every_module_has_its_place(site: Path):
    for source in (*ROOT.glob("docs/*.md"), *ROOT.glob("lessons/*.ipynb"), *ROOT.glob("exercises/*/*.ipynb")):
        assert (site / source.relative_to(ROOT)).with_suffix(".html").is_file(), source
    ids = set().union(*(read(file).ids for file in site.glob("reference/*.html")))
    for module in (f for package in ("ddpm_core", "ddpm_tools") for f in (ROOT / package).rglob("*.py")):
        name = ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        assert name in ids or name in ("ddpm_core", "ddpm_tools", "ddpm_tools.cli.__main__"), name
    assert "Here one plays" in (site / "playground/index.html").read_text()
    live = [link for link in read(site / "gallery/index.html").links if "playground/index.html#model=" in link]
    assert len(live) == 6  # what their addresses say is tested beside the playground
    for lesson in site.glob("lessons/*.html"):
        live = [link for link in read(lesson).links if link.startswith("../playground/index.html#model=")]
        assert len(live) > 1, lesson
    assert {"sweep.png", "ema_raw.png", "interpolate_3_8.gif", "cifar10/interpolate_cat_dog.gif"} <= set(
        read(site / "gallery/index.html").loads
    )


def test_exercises_go_by_their_titles(site: Path):
    page = (site / "exercises/5_2_guidance/label_dropout.html").read_text(encoding="utf-8")
    shown = {" ".join(re.sub(r"<[^>]+>", " ", link).split()) for link in re.findall(r"<a [^>]*>(.*?)</a>", page, re.S)}
    for source in ROOT.glob("exercises/*/*.ipynb"):
        first = nbformat.read(source, as_version=4).cells[0].source.splitlines()[0]
        name = first.split("Exercise: ")[1]
        assert name[0].upper() + name[1:] in shown and source.stem not in shown, source
    assert "5.2 Guidance" in page and "5.2 guidance" not in page


def test_the_playground_stands_in_its_page(site: Path):
    page = read(site / "playground.html")
    assert "playground/index.html" in page.loads and "playground/index.html" in page.links
    frame = re.search(r'<iframe[^>]*src="playground/index.html"[^>]*>', (site / "playground.html").read_text())[0]
    assert 'title="Playground"' in frame and 'loading="lazy"' in frame


def test_the_search_index_holds_no_tex(site: Path):
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))["docs"]
    prose = [re.sub(r"<(pre|code)>.*?</\1>", "", entry["title"] + entry["text"], flags=re.S) for entry in index]
    assert [text for text in prose if re.search(r"\\[(\[]|\\(frac|sqrt|bar|alpha|text|math\w+)\b", text)] == []
    assert (site / "search/search_index.json").stat().st_size < 900_000  # every page fetches it
    assert any("√(abar_t) x_0 + √(1-abar_t) ε" in text for text in prose)  # what becomes of one


def test_the_reference_has_tables_with_linked_types_and_formulas(site: Path):
    def tables(name: str) -> str:
        page = (site / f"reference/{name.split('.')[1]}.html").read_text(encoding="utf-8")
        after = page.split(f'id="{name}"')[1]
        return after[: after.index("Source code in")]

    guide = tables("ddpm_core.guidance.guide")
    rows = [re.sub(r"<[^>]+>|\s+", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", guide, re.S)]
    assert next(r for r in rows if r[0] == "diffusion")[:2] == ["diffusion", "Diffusion"]
    assert next(r for r in rows if r[0] == "rescale")[:3] == ["rescale", "float", "0.0"]
    assert re.search(r'<a [^>]*href="diffusion.html#ddpm_core.diffusion.Diffusion">Diffusion</a>', guide)
    assert ["returns"] in rows and ["Denoiser"] in rows
    named = tables("ddpm_core.schedule.DiffusionSchedule.named")
    assert "<code>ValueError</code>" in named and "raises" in named
    assert "\\epsilon_u + w" in tables("ddpm_core.guidance.extrapolate")


def test_every_formula_of_the_reference_belongs_to_something_documented(site: Path):
    from website.formulas import FORMULAS

    assert set(FORMULAS) <= set().union(*(read(file).ids for file in site.glob("reference/*.html")))


def test_the_page_for_adopters_counts_every_run(site: Path):
    page = re.sub(r"\s+", " ", (site / "docs/grading_validity.html").read_text(encoding="utf-8"))
    assert "<h1" in page and "How we know that the grader is right" in page
    from website.validity import runs

    right = sum(run["right"] for run in runs())
    assert right > 20 and f"{right} of right designs, {len(runs()) - right} of wrong ones" in page
    assert (site / "docs/grading_validity.png").is_file()


def test_the_laboratory_stands_in_the_pages_that_speak_of_it(site: Path):
    for page in ("index.html", "lessons/5_2_guidance.html", "playground.html"):
        found = read(site / page)
        (frame,) = [link for link in found.loads if link.endswith("lab/index.html")]
        assert frame in found.links and (site / page).parent.joinpath(frame).resolve() == site / "lab/index.html", page
    back = [link for link in read(site / "lab/index.html").links if not link.startswith("#")]
    assert len(back) == 2 and all((site / "lab" / link).resolve().is_file() for link in back)


@contextlib.contextmanager
def served(folder: Path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_a_phone_shows_every_kind_of_page(site: Path, browser):
    exercise = "exercises/5_2_guidance/label_dropout.html"
    pages = ("index.html", "lessons/5_1_unconditional.html", exercise, "docs/evaluation.html", "gallery/index.html")
    with served(site) as base:
        tab = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark").new_page()
        asked, complaints = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        for page in (*pages, "reference/samplers.html", "playground.html"):
            tab.goto(base + page)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, page
            formulas = tab.locator(".arithmatex").count()
            assert tab.locator(".arithmatex > .katex, .arithmatex > .katex-display").count() == formulas
            assert formulas > 3 or page not in ("lessons/5_1_unconditional.html", exercise)
            assert "$$" not in tab.evaluate("document.querySelector('article').innerText")
        assert tab.locator("body").get_attribute("data-md-color-scheme") == "slate"
        tab.goto(base + exercise)
        tab.locator("article details summary").first.click()
        assert tab.locator("article details").first.get_attribute("open") is not None
        tab.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((base, "data:", "blob:"))] == []


KINDS = (
    "index.html", "lessons/5_2_guidance.html", "exercises/5_2_guidance/label_dropout.html", "reference/guidance.html",
    "gallery/index.html", "docs/grading_validity.html", "playground.html",
)  # fmt: skip
HIDDEN = """[...document.querySelectorAll("article pre > code, article .katex-display")]
    .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.slice(0, 80))"""

# Most of a lesson's elements are strokes of formulas, which axe leaves out but walks through, and coloured words of
# listings: three of each colour remain, and everything keeps its size.
FEWER = """() => {
    const formulas = [...document.querySelectorAll("article .katex-html")];
    const sizes = formulas.map((e) => e.getBoundingClientRect());
    formulas.forEach((e, i) => {
        e.style.cssText = `display: inline-block; width: ${sizes[i].width}px; height: ${sizes[i].height}px`;
        e.replaceChildren();
    });
    const seen = {};
    for (const e of document.querySelectorAll("article pre span[class]:not(:has(*))"))
        if ((seen[e.className] = (seen[e.className] ?? 0) + 1) > 3) e.replaceWith(e.textContent);
}"""


@pytest.mark.timeout(1800)  # half a minute on an idle machine
def test_every_kind_of_page_can_be_read_by_everybody(site: Path, browser):
    with served(site) as base:
        for width, scheme in ((1280, "light"), (390, "dark")):  # each width and each theme once
            tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
            for page in KINDS:
                tab.goto(base + page)
                if width == 1280:
                    assert tab.evaluate(HIDDEN) == [], page
                else:  # the rest of a long page is more of the same
                    tab.evaluate("document.querySelectorAll('article > :nth-child(n + 80)').forEach((e) => e.remove())")
                tab.evaluate(FEWER)
                assert serious(tab) == [], (page, width, scheme)
            tab.close()
        tab = browser.new_page()
        tab.set_content('<html lang="en"><title>t</title><img src="data:,"><p style="color:#aaa">pale</p></html>')
        assert [fault.split(":")[0] for fault in serious(tab)] == ["color-contrast", "image-alt"]  # it does find some


def test_the_laboratory_follows_the_theme_and_is_as_high_as_it_needs(site: Path, browser):
    with served(site) as base:
        for address in (base, f"{site.as_uri()}/"):  # on the web, and from a folder on disk
            tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
            complaints = []
            tab.on("pageerror", lambda error, complaints=complaints: complaints.append(str(error)))
            tab.goto(f"{address}index.html")
            frame = tab.locator("iframe.lab")
            frame.scroll_into_view_if_needed()
            lab = frame.content_frame
            lab.locator("#play", has_text="Pause").wait_for(timeout=60_000)  # it has begun
            root = lab.locator("html")
            assert root.get_attribute("data-theme") == "light"
            tab.evaluate("document.body.dataset.mdColorScheme = 'slate'")
            lab.locator("html[data-theme=dark]").wait_for(timeout=60_000)
            height = tab.evaluate("document.querySelector('iframe.lab').clientHeight")
            assert root.evaluate("(e) => e.scrollHeight <= e.clientHeight + 1") and 600 < height < 1300
            lab.locator("#more").click()
            assert lab.locator("#controls").is_visible()
            for _ in range(300):
                if tab.evaluate("document.querySelector('iframe.lab').clientHeight") > height + 200:
                    break
                tab.wait_for_timeout(100)
            assert tab.evaluate("document.querySelector('iframe.lab').clientHeight") > height + 200
            assert complaints == []
            tab.close()  # or its laboratory plays on


PIXEL = {  # one pixel each
    "image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "image/gif": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A module of the site's, at work in a repository of its own."""

    def load(name: str):
        monkeypatch.syspath_prepend(ROOT)
        loaded = [importlib.import_module(file) for file in (f"website.{name}", "website.fingerprint")]
        for changed in loaded:  # after the import: others keep the repository's root
            monkeypatch.setattr(changed, "ROOT", tmp_path)
        return loaded[0]

    (tmp_path / "lessons").mkdir()
    return load


def test_a_notebook_becomes_a_page_with_all_that_a_page_can_show(module, tmp_path: Path):
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox(children=...)"}
    outputs = [
        new_output("stream", name="stdout", text="\x1b[31mloss\x1b[0m 0.25\n"),
        new_output("stream", name="stderr", text="a warning"),
        new_output("display_data", {"text/markdown": "```python\nx = 1\n```", "text/plain": "<Markdown>"}),
        new_output("display_data", widget),
        *(new_output("display_data", {kind: data, "text/plain": "<Figure>"}) for kind, data in PIXEL.items()),
    ]
    links = "[`x`](../exercises/a/x.ipynb), [`at`](../ddpm_core/schedule.py), [d](../data/d.json)"
    text = f"# Title\n# Part\nSee {links}.\n- item"
    source = tmp_path / "lessons/one.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("1")]), source)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/d.json").write_text("{}")
    notebook = new_notebook(cells=[new_markdown_cell(text), new_code_cell("print(1)", outputs=outputs)])
    module("pages").notebook_page(source, tmp_path / "out", notebook)
    page = (tmp_path / "out/lessons/one.md").read_text()
    assert "loss 0.25" in page and "x = 1" in page and "print(1)" in page
    assert not [word for word in ("warning", "HBox", "<Figure>", "<Markdown>", "\x1b") if word in page]
    assert "(../exercises/a/x.md)" in page and "(../reference/schedule.md)" in page and "(../data/d.json)" in page
    assert (tmp_path / "out/data/d.json").is_file() and "\n\n- item" in page
    files = {f.suffix: f.read_bytes() for f in (tmp_path / "out/lessons/one_files").iterdir()}
    assert files == {f".{kind.split('/')[1]}": base64.b64decode(data) for kind, data in PIXEL.items()}


def test_panels_side_by_side_are_marked_for_phones(module, tmp_path: Path):
    def figure(*size: int) -> nbformat.NotebookNode:
        Image.new("L", size).save(file := tmp_path / "figure.png")
        return new_output("display_data", {"image/png": base64.b64encode(file.read_bytes()).decode()})

    sizes = ((1320, 330), (880, 400), (660, 300), (1100, 900))
    cells = [new_markdown_cell("# T"), *(new_code_cell(str(s), outputs=[figure(*s)]) for s in sizes)]
    nbformat.write(new_notebook(cells=cells), source := tmp_path / "lessons/one.ipynb")
    module("pages").notebook_page(source, tmp_path / "out")
    page = (tmp_path / "out/lessons/one.md").read_text()
    assert re.findall(r"^{: .figure( .wide)? }$", page, re.M) == [" .wide", " .wide", "", ""]


def test_executed_lessons_are_kept_until_something_changes(module, tmp_path: Path):
    lessons, source = module("lessons"), tmp_path / "lessons/one.ipynb"
    (tmp_path / "ddpm_core").mkdir()
    library = tmp_path / "ddpm_core/schedule.py"
    library.write_text("T = 1000")
    notebook = new_notebook(cells=[new_code_cell("1 + 1")])
    nbformat.write(notebook, source)
    assert lessons.kept(source, tmp_path / "out") is None
    lessons.keep(notebook, source, tmp_path / "out")
    assert lessons.kept(source, tmp_path / "out").cells[0].source == "1 + 1"
    library.write_text("T = 500")
    assert lessons.kept(source, tmp_path / "out") is None


def test_a_lesson_that_fails_is_named_with_its_error(module, tmp_path: Path):
    source = tmp_path / "lessons/one.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")], metadata=kernel), source)
    lessons = module("lessons")
    with pytest.raises(lessons.LessonError, match=r"one\.ipynb: ZeroDivisionError"):
        lessons.execute(source)


def test_public_addresses_appear_once_they_are_filled_in(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    addresses, settings = module("addresses"), tmp_path / "mkdocs.yml"
    source = tmp_path / "lessons/one.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title")]), source)
    for repository, colab in (("", 0), ("https://git.example.org/a/b", 0), ("https://github.com/a/b/", 1)):
        settings.write_text(f'site_url: ""\nrepo_url: "{repository}"\n')
        module("pages").notebook_page(source, tmp_path / "out")
        page = (tmp_path / "out/lessons/one.md").read_text()
        assert page.count("https://colab.research.google.com/github/a/b/blob/main/lessons/one.ipynb") == colab
        assert page.count("https://mybinder.org/v2/gh/a/b/main?labpath=lessons/one.ipynb") == colab
        for name, source_name in (("lessons/one.md", "lessons/one.ipynb"), ("gallery/index.md", None)):
            shown = SimpleNamespace(file=SimpleNamespace(src_uri=name), edit_url="left over")
            addresses.on_page_context({}, shown, SimpleNamespace(repo_url=repository), None)
            wanted = f"{repository.rstrip('/')}/edit/main/{source_name}" if repository and source_name else None
            assert shown.edit_url == wanted
