"""The page as it lies in the site, served on this machine, and a browser to visit it with."""

import functools
import os
import shutil
import threading

import numpy as np
import pytest
from filelock import FileLock
from playwright.sync_api import sync_playwright

from ddpm_core.unet import UNetConfig
from ddpm_tools.cli.base import CHECKPOINT
from playground.build import HERE, build, server
from tests.ddpm_tools.export.test_onnx_models import made

COLOUR = UNetConfig(3, 8, 10, (64, 160), 2, cond_dim=320)  # random weights, large enough to be announced


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Its address: in a folder `playground`, with three of the course's models and one with random weights."""
    if missing := [command for command in ("npm", "chromium") if not shutil.which(command)]:
        pytest.skip(f"needs {' and '.join(missing)}: make tools")
    temporary = tmp_path_factory.getbasetemp()
    root = (temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary) / "site"  # one for all workers
    with FileLock(f"{root}.lock"):
        if not root.exists():
            made(root / "new", COLOUR, data="cifar10")
            other = (root / "new/run.safetensors").rename(root / "new/colour.safetensors")
            (root / "new/run.json").rename(root / "new/colour.json")
            course = [CHECKPOINT.with_name(f"{name}.safetensors") for name in ("digits", "digits28", "cifar10")]
            build(root / "playground", [*course, other])
    with server(root) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}/playground/"
        web.shutdown()


@pytest.fixture(scope="module")  # closed before another file's tests start a browser of their own
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A page that remembers what it asked for and what it complained about."""

    def __init__(self, browser, address, before=None, **options):
        self.page = browser.new_page(**options)
        self.requests, self.complaints, self.visits = [], [], 0
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        if before:
            before(self.page)
        self.page.goto(address)
        self.idle()

    def idle(self):
        self.page.evaluate("playground.idle()")

    def go(self, settings):
        """Another address, as from a link on the same page; never the one there is, which would change nothing."""
        self.visits += 1
        self.page.evaluate(
            """(hash) => new Promise((then) => {
                addEventListener("hashchange", then, { once: true });
                location.hash = hash;
            })""",
            f"{settings}&visit={self.visits}",
        )
        self.idle()

    def get(self, what):
        return self.page.evaluate(f"playground.page.{what}")

    def images(self):
        return np.array(self.page.evaluate("playground.page.frames.map((f) => [...f.xt])"))


@pytest.fixture(scope="module")
def visit(site, browser):
    return Visit(browser, f"{site}#model=digits", viewport={"width": 1280, "height": 900})


@pytest.fixture
def visit_another(browser):
    return functools.partial(Visit, browser)


@pytest.fixture(scope="module")
def sources():
    """The address of the playground's sources: the laboratory needs no more than a server for its files."""
    with server(HERE) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}/"
        web.shutdown()


@pytest.fixture(scope="module")
def lab(browser, sources):
    """The laboratory in a browser that lets tests run code of their own in the page."""
    page = browser.new_page(bypass_csp=True, viewport={"width": 1280, "height": 900})
    page.goto(f"{sources}lab/index.html#w=4")
    page.wait_for_function("window.lab")
    return page
