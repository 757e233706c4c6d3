"""`make lab`: JupyterLab over the repository, with a kernel that has the library; and elsewhere, such as on Colab."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client import BlockingKernelClient

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "of-this-test"
WAIT = 120  # seconds, on a busy machine; a few when it is idle


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Lab:
    def __init__(self, port: int, runtime: Path, log: Path):
        self.base, self.runtime, self.log = f"http://127.0.0.1:{port}/", runtime, log

    def ask(self, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=WAIT) as reply:
            return json.loads(reply.read() or b"{}")


@pytest.fixture
def lab(tmp_path: Path):
    """`make lab` as a student types it, without a browser, and without this user's settings."""
    port = free_port()
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = f"--no-browser --ServerApp.port={port} --ServerApp.port_retries=0 --IdentityProvider.token={TOKEN}"
    make = ["make", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed", "lab", f"ARGS={options}"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            make, cwd=ROOT, env=os.environ | folders, stdout=log, stderr=log, start_new_session=True
        )
    lab, end = Lab(port, tmp_path / "runtime", tmp_path / "log"), time.monotonic() + WAIT
    try:
        while True:
            try:
                lab.ask("api/status")
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, lab.log.read_text()
                time.sleep(0.2)
        yield lab
        lab.ask("api/shutdown", {})
        server.wait(WAIT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.timeout(4 * WAIT)
def test_make_lab_has_everything_in_place(lab: Lab):
    names = {item["name"] for item in lab.ask("api/contents/lessons")["content"]}
    assert {path.name for path in ROOT.glob("lessons/*.ipynb")} <= names
    assert "lab/tree/lessons/5_1_unconditional.ipynb" in lab.log.read_text()  # the address to open
    assert lab.ask("api/kernelspecs")["default"] == "python3"

    kernel = lab.ask("api/kernels", {"name": "python3", "path": "lessons"})["id"]
    client = BlockingKernelClient(connection_file=str(lab.runtime / f"kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels(hb=False)  # a busy machine misses beats
    try:
        client.wait_for_ready(timeout=WAIT)
        said = []
        client.execute_interactive(
            "import sys, shutil, ddpm_core\n"
            "print(sys.prefix, ddpm_core.__file__, shutil.which('autograder'), sep='\\n')",
            timeout=WAIT,
            output_hook=lambda message: said.append(message["content"].get("text", str(message["content"]))),
        )
    finally:
        client.stop_channels()
    prefix, module, command = "".join(s for s in said if "\n" in s).split()
    assert Path(prefix) == Path(sys.prefix)
    assert Path(module) == ROOT / "ddpm_core/__init__.py"
    assert Path(command) == Path(sys.prefix) / "bin/autograder"


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("lesson", sorted(ROOT.glob("lessons/*.ipynb")), ids=lambda path: path.stem)
def test_a_lessons_first_cell_installs_the_library_where_it_is_missing(lesson: Path, installed: bool, monkeypatch):
    cell = next(c for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code")
    typed, path = [], list(sys.path)

    class Shell:
        def run_line_magic(self, *words: str) -> None:
            typed.append(" ".join(words))

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find(name) if installed else None)
    monkeypatch.setattr(sys, "path", list(path))
    source = TransformerManager().transform_cell(cell.source)
    exec(compile(source, str(lesson), "exec"), {"get_ipython": Shell})
    assert (typed, sys.path) == ([], path) if installed else len(typed) == 1 and "pip install" in typed[0]
