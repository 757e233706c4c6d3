"""formgrader in a browser: it shows the grades of a batch and takes a mark, which a regrade leaves alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

TASK, NOTEBOOK, WRITTEN = "5_3_conditioning", "conditioner", "conditioner_written"
EXTENSIONS = {"nbgrader.server_extensions.formgrader": True} | dict.fromkeys(
    ("jupyterlab", "notebook", "notebook_shim", "jupyter_lsp", "jupyter_server_terminals", "jupyterlab_jupytext"), False
)


@pytest.fixture
def page() -> Iterator[Page]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        # MathJax comes from the network, which a test has none of
        page.route(lambda url: "127.0.0.1" not in url, lambda route: route.abort())
        yield page
        chromium.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator:
    """Starts a Jupyter server with formgrader in a folder, as an instructor would; returns its address and token."""
    started: list[subprocess.Popen] = []

    def start(folder: Path) -> tuple[str, str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        token, log = os.urandom(16).hex(), tmp_path / "server.log"
        options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
        options += ["--ServerApp.ip=127.0.0.1", "--no-browser", "--allow-root"]
        options += [f"--ServerApp.jpserver_extensions={EXTENSIONS}"]
        private = {f"JUPYTER_{name}_DIR": str(tmp_path / "jupyter") for name in ("RUNTIME", "DATA", "CONFIG")}
        with log.open("wb") as out:
            command = ["timeout", "300", sys.executable, "-m", "jupyter_server", *options]
            started.append(subprocess.Popen(command, cwd=folder, env=os.environ | private, stdout=out, stderr=out))
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while time.monotonic() < end:
            assert started[0].poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                return address, token
            except OSError:
                time.sleep(0.2)
        raise AssertionError(log.read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def test_the_grades_are_shown_and_a_mark_by_hand_survives_a_regrade(course, record, serve, page: Page):
    for student in ("ana", "bo"):
        course.submit(student)
    assert course.write(record("ana"), record("bo", 0.0, 0.0, "crash")) == []
    address, token = serve(course.out)  # with the settings that were left there

    page.set_extra_http_headers({"Authorization": f"token {token}"})
    page.goto(f"{address}/formgrader/gradebook/{TASK}/{NOTEBOOK}")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    listed = sorted(row.split("\t") for row in rows.all_inner_texts())
    assert any("15 / 25" in cell for row in listed for cell in row), listed
    assert any("0 / 25" in cell for row in listed for cell in row), listed
    anonymous = page.get_by_role("link", name="Submission #")  # names wait for a click on the eye
    expect(anonymous).to_have_count(2)
    assert not page.locator(".name-shown").filter(visible=True).count()
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/formgrader_list.png")

    with course.book() as gb:
        entry = gb.find_submission_notebook(NOTEBOOK, TASK, "ana").id
    page.goto(f"{address}/formgrader/submissions/{entry}/")
    expect(page.locator("#conditioner_checks")).to_have_attribute("placeholder", "10")  # the automatic points
    expect(page.get_by_text("passed  output depends on the label")).to_be_visible()
    expect(page.get_by_text("Rubric", exact=True)).to_be_visible()
    assert not page.locator(".name-shown").filter(visible=True).count()
    assert "ana" not in page.locator("body").inner_text().split()
    mark = page.locator(f"#{WRITTEN}")
    with page.expect_response(lambda r: "/api/grade/" in r.url and r.request.method == "PUT") as saved:
        mark.fill("3.5")
        mark.blur()
    assert saved.value.ok
    if folder:
        page.screenshot(path=f"{folder}/formgrader_marked.png", full_page=True)
    assert course.state("ana")[WRITTEN] == (None, 3.5, False)

    assert course.write(record("ana", 8.0, 2.0), record("bo")) == []
    assert course.state("ana")[WRITTEN] == (None, 3.5, False)
    page.goto(f"{address}/formgrader/gradebook/{TASK}/{NOTEBOOK}")
    expect(page.get_by_text("13.5 / 25").first).to_be_visible()
