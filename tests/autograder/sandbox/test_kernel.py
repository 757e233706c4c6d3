"""`nbgrader autograde` runs notebooks in the sandboxed kernel: for their outputs, and for nothing else."""

import asyncio
import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import nbformat
import psutil
import pytest
import zmq
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import capture_log

from autograder.adapters import execution
from autograder.release.generate import load_config, record_assignment, release_notebook
from autograder.sandbox import bubblewrap, kernel
from autograder.sandbox.kernel import SandboxedKernelManager

ROOT = Path(__file__).resolve().parents[3]
TASK, NOTEBOOK = "homework", "task"
STUB = "### BEGIN SOLUTION\nprint('the solution')\n### END SOLUTION\n"
MARKER = "3155.692"  # seconds that nobody else sleeps

HONEST = """
import matplotlib.pyplot as plt
import numpy as np
from ddpm_core.config import DATA_DIR
plt.plot(np.loadtxt("mine.txt"))
plt.show()
open("new.txt", "w").write("mine to keep while I run")
print("judges" in [p.name for p in DATA_DIR.iterdir()], (DATA_DIR / "gates").is_dir())
from IPython.display import HTML
HTML("<script>top.location = '/'</script>")
"""

ATTACK = """
import json, os, socket, subprocess
from IPython.display import display
def attempt(name, action):
    try:
        action()
        print(name, "DONE")
    except Exception as e:
        print(name, type(e).__name__)
attempt("gradebook", lambda: open({gradebook!r}, "rb").read(1))
attempt("solution", lambda: open({solution!r}).read(1))
attempt("neighbour", lambda: open({neighbour!r}).read(1))
attempt("linked", lambda: open("linked.txt").read(1))
attempt("file", lambda: open("mine.txt", "w").write("changed"))
attempt("network", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt("secret", lambda: os.environ["SECRET_OF_THE_INSTRUCTOR"])
attempt("root", lambda: os.setuid(0))
def disk():  # what can be written that is not in memory
    mounts = [line.split() for line in open("/proc/mounts")]
    places = [m[1] for m in mounts if "rw" in m[3].split(",") and m[2] not in ("tmpfs", "proc") and os.path.isdir(m[1])]
    return sum(os.write(os.open(p + "/big", os.O_CREAT | os.O_WRONLY), bytes(40 << 20)) for p in places) >> 20
print("disk", disk())
for name in os.listdir("/tmp"):  # the sockets lead elsewhere now
    if name.startswith(".jupyter-"):
        os.remove("/tmp/" + name)
        os.symlink({gradebook!r}, "/tmp/" + name)
try:
    for i in range(99): open("/tmp/big%d" % i, "wb").write(bytes(32 << 20))
except OSError:
    print("room", i <= 8)
    for i in range(99):
        if os.path.exists("/tmp/big%d" % i): os.remove("/tmp/big%d" % i)
print("others", sum(d.isdigit() for d in os.listdir("/proc")) > 12)
subprocess.Popen(["/bin/sh", "-c", "setsid sleep {marker} & sleep {marker}"], start_new_session=True)
bundle = {{"image/png": 'x"><script>', "text/html": "<script>", "text/plain": "plain"}}
display(bundle, raw=True, metadata={{"a": "<b>"}})
"""


def notebook(answer):
    """With an answer cell, and a test cell that would give full marks to everybody."""
    nb = new_notebook(cells=[new_code_cell(answer, id="answer"), new_code_cell("pass", id="tests")])
    common = {"schema_version": 3, "task": False}
    for cell, name, grade in zip(nb.cells, ("answer", "tests"), (False, True)):
        cell.metadata.nbgrader = {**common, "grade_id": name, "grade": grade, "locked": grade, "solution": not grade}
    nb.cells[1].metadata.nbgrader["points"] = 5
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nb


@pytest.fixture(scope="module", autouse=True)
def environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_OF_THE_INSTRUCTOR", "42")
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # nbgrader calls alembic by its name
        yield


@pytest.fixture(scope="module")
def listener():
    """A server of this machine, and how often it was reached."""
    reached = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            while True:
                try:
                    reached.append(server.accept())
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], reached


@pytest.fixture(scope="module")
def course(tmp_path_factory, listener):
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "solutions" / TASK).mkdir(parents=True)
    nbformat.write(notebook(STUB), root / "solutions" / TASK / f"{NOTEBOOK}.ipynb")
    config = load_config(root)
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", config.CourseDirectory.course_id) as gb:
        record_assignment(gb, root / "solutions" / TASK, config)
        gb.engine.dispose()
    where = {
        "gradebook": str(root / "gradebook.db"),
        "solution": str(root / "solutions" / TASK / f"{NOTEBOOK}.ipynb"),
        "neighbour": str(root / "submitted" / "ada" / TASK / "mine.txt"),
    }
    attack = ATTACK.format(port=listener[0], marker=MARKER, **where)
    for student, answer in {"ada": HONEST, "eve": attack}.items():
        folder = root / "submitted" / student / TASK
        folder.mkdir(parents=True)
        released = release_notebook(root / "solutions" / TASK / f"{NOTEBOOK}.ipynb", TASK, config)
        released.cells[0].source = answer
        released.metadata.kernelspec.name = "no-such-kernel"
        nbformat.write(released, folder / f"{NOTEBOOK}.ipynb")
        (folder / "mine.txt").write_text("1 2 3\n")
    (root / "ada" / TASK).mkdir(parents=True)
    notebooks = {NOTEBOOK: {"outcome": "graded", "reason": "Every check holds."}}
    rec = {"score": 5, "tests": [], "extra_data": {"notebooks": notebooks}}
    (root / "ada" / TASK / "results.json").write_text(json.dumps(rec))
    (root / "submitted" / "eve" / TASK / "linked.txt").symlink_to(where["neighbour"])
    return root


def autograde(root):
    config = load_config(root)
    config.CourseDirectory.root = str(root)
    return capture_log(Autograde(coursedir=CourseDirectory(config=config, assignment_id=TASK), config=config))


@pytest.fixture(scope="module")
def executed(course):
    result = autograde(course)
    assert result["success"], result
    folder = course / "autograded"
    return {s: nbformat.read(folder / s / TASK / f"{NOTEBOOK}.ipynb", as_version=4) for s in ("ada", "eve")}


def printed(nb):
    return "".join(o.text for o in nb.cells[0].outputs if o.output_type == "stream")


def test_without_a_sandbox_it_refuses_with_one_sentence_before_it_touches_a_file(course, monkeypatch):
    monkeypatch.setattr(bubblewrap, "available", lambda: "The sandbox needs the program bwrap: type `x`.")
    result = autograde(course)
    assert not result["success"]
    assert "notebooks are run only in the sandbox. The sandbox needs the program bwrap: type `x`." in result["log"]
    assert "Traceback" not in result["log"] and not (course / "autograded").exists()


def test_an_honest_notebook_runs_with_its_plots(executed, course):
    outputs = executed["ada"].cells[0].outputs
    assert not [o for o in outputs if o.output_type == "error"], outputs
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 1 and len(pictures[0]) > 1000
    assert printed(executed["ada"]) == "False True\n"  # the bundle's data, without the judge
    assert not (course / "autograded" / "ada" / TASK / "new.txt").exists()
    (said,) = executed["ada"].cells[1].outputs
    assert said.text == "outcome: graded (Every check holds.)"  # what `autograder grade` found, under the test cell


def test_an_attack_achieves_nothing(executed, course, listener):
    said = dict(line.split() for line in printed(executed["eve"]).splitlines())
    assert said == {
        **{"gradebook": "FileNotFoundError", "solution": "FileNotFoundError", "neighbour": "FileNotFoundError"},
        **{"linked": "FileNotFoundError", "file": "OSError", "network": "OSError"},
        **{"secret": "KeyError", "root": "PermissionError", "others": "False"},
        **{"disk": "0", "room": "True"},
    }
    assert listener[1] == []
    assert not [p for p in psutil.process_iter(["cmdline"]) if MARKER in " ".join(p.info["cmdline"] or [])]
    assert (course / "submitted" / "eve" / TASK / "mine.txt").read_text() == "1 2 3\n"
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gb:
        grades = [g for s in gb.assignment_submissions(TASK) for n in s.notebooks for g in n.grades]
        assert len(grades) == 2 and {g.auto_score for g in grades} == {None}  # not the 5 points of a test cell
        gb.engine.dispose()


def test_nothing_active_is_kept_of_the_outputs(executed):
    for nb in executed.values():
        shown = [o for o in nb.cells[0].outputs if o.output_type == "display_data"]
        assert shown and all(set(o.data) <= {"text/plain", "image/png"} and not o.metadata for o in shown)
        assert "<script" not in nbformat.writes(nb).replace(nb.cells[0].source, "").split('"source"')[0]
    hostile = {"output_type": "stream", "name": '"><script>', "text": ["<b>"]}
    assert execution.plain(hostile).name == "stdout"
    assert execution.plain({"output_type": "error", "traceback": [1]}).traceback == []


def test_a_kernel_always_comes_from_the_provisioner(monkeypatch):
    spec = SandboxedKernelManager(kernel_name="no-such-kernel").kernel_spec
    assert spec.metadata["kernel_provisioner"]["provisioner_name"] == "autograder-sandbox"
    monkeypatch.setattr(bubblewrap, "available", lambda: "no bwrap here.")
    with pytest.raises(RuntimeError, match="no bwrap here"):
        asyncio.run(SandboxedKernelManager().start_kernel())


def test_output_without_end_is_left_out(monkeypatch):
    """Of what a kernel sends, no more is kept than a limit, and none of it is taken in pieces beyond our memory."""
    monkeypatch.setattr(execution, "MAX_OUTPUT", 3 << 20)
    run, cell = execution.SandboxedExecute(), new_code_cell("")
    run.reset_execution_trackers()
    run.clear_before_next_output = False
    content = {"name": "stdout", "text": "x" * (1 << 20)}
    message = {"msg_type": "stream", "content": content, "header": {"msg_type": "stream"}, "parent_header": {}}
    for _ in range(50):
        run.process_message(message, cell, 0)
    kept = sum(len(o.text) for o in cell.outputs)
    assert kept < 3 << 20 and cell.outputs[-1].text == "[more than 3 MB of output: the rest is omitted]"
    assert len(cell.outputs) == 3
    client = SandboxedKernelManager().client()
    with client.context.socket(zmq.SUB) as taking:
        assert (taking.maxmsgsize, taking.rcvhwm) == (kernel.MAX_MESSAGE, kernel.MAX_WAITING)
