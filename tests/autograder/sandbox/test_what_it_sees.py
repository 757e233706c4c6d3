"""A child sees its code, the system's programs and packages, and nothing of the course, its users or the network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from autograder.sandbox import bubblewrap
from autograder.sandbox.child_process import available
from tests.autograder.sandbox.children import MIB, REPO, SECRET


def test_the_sandbox_works_here():
    assert available() is None


def test_tensors_come_back_as_they_went(shell):
    sent = {
        "f": torch.randn(3, 4),
        "b": torch.randn(5).bfloat16(),
        "i": torch.arange(6).reshape(2, 3).T,  # not contiguous
        "mask": torch.tensor([True, False]),
        "empty": torch.empty(0, 2),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
    }
    sent["view"] = sent["f"][1:]  # shares its memory
    _, back = shell.ask({"code": ""}, sent)
    assert back.keys() == sent.keys()
    for name in sent:
        assert back[name].dtype == sent[name].dtype
        assert torch.equal(back[name], sent[name])
    assert shell.ask({"code": "value = {'é': [1, None]}; tensors = {}"}) == ({"value": {"é": [1, None]}}, {})
    assert 50 * MIB < shell.peak_bytes < 2048 * MIB


def test_a_helper_process_and_a_thread_are_allowed(inside):
    code = "import subprocess, sys; value = subprocess.check_output([sys.executable, '-c', 'print(6 * 7)'], text=True)"
    assert inside(code) == "42\n"
    assert inside("import multiprocessing.pool as p; value = p.ThreadPool(2).map(abs, [-1, -2])") == [1, 2]


def test_no_network(inside):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0autograder-test")
        abstract.listen()
        address = server.getsockname()
        socket.create_connection(address).close()  # it does answer
        assert inside(f"import socket; socket.create_connection({address!r}, 2)")[0] == "PermissionError"
        unix = "import socket; socket.socket(socket.AF_UNIX).connect('\\0autograder-test')"
        assert inside(unix)[0] == "PermissionError"  # no socket at all; test_walls has the namespace by itself
    assert inside("value = [line.split(':')[0].strip() for line in open('/proc/net/dev')][2:]") == ["lo"]


def test_nothing_of_the_course_or_the_home_is_visible(inside, tmp_path):
    gradebook = tmp_path / "gradebook.db"
    gradebook.write_text("grades")
    with tempfile.NamedTemporaryFile() as in_tmp:
        paths = [str(gradebook), in_tmp.name, "/etc/passwd", "/etc/shadow", "/home", "/var", "/usr/src", "/usr/local"]
        ways = {*Path(sys.prefix).parents, *Path(sys.base_prefix).parents}  # the interpreter itself must be reachable
        paths += [str(p) for p in (*REPO.iterdir(), *Path.home().iterdir()) if p not in ways and p.name != ".venv"]
        paths += [str(entry) for entry in Path(sys.prefix).iterdir() if entry.name in ("etc", "share", "include")]
        assert inside(f"import os; value = [p for p in {paths!r} if os.path.lexists(p)]") == []
    # not `import autograder`: of an editable installation its path file remains, and makes an empty namespace of it
    assert inside("import autograder.sandbox.limits")[0] == "ModuleNotFoundError"
    assert inside("import ddpm_core.schedule")[0] == "ModuleNotFoundError"
    assert inside("import os; value = sorted(os.listdir('/code'))") == ["link", "protocol.py", "runner.py"]
    assert inside("open('/code/link')")[0] == "FileNotFoundError"
    names = {parent.name for parent in ways}
    assert set(inside("import os; value = os.listdir('/tmp')")) <= names  # for an interpreter installed below /tmp


def test_no_training_data(inside):
    import sklearn.datasets

    assert Path(sklearn.datasets.__file__).parent.joinpath("data", "digits.csv.gz").exists()
    assert inside("import sklearn, os; value = os.listdir(os.path.dirname(sklearn.__file__) + '/datasets')") == []
    assert inside("from sklearn.datasets import load_digits")[0] == "ImportError"
    files = ["/usr/lib/python3/dist-packages", str(Path(sys.prefix, "lib64", *Path(torch.__file__).parts[-4:-2]))]
    files = [f"{folder}/sklearn/datasets/data/digits.csv.gz" for folder in files]  # the same by other ways
    assert inside(f"import os; value = [file for file in {files!r} if os.path.exists(file)]") == []


def test_packages_of_the_course_are_covered_where_they_are_installed(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "ddpm_core").mkdir(parents=True)
    (packages / "notes.txt").write_text("answers")
    words = bubblewrap._mount(tmp_path / "lib", [*bubblewrap.PACKAGES, "notes.txt", "absent"])
    assert words[words.index("--tmpfs") + 1] == str(packages / "ddpm_core")
    assert words[-3:] == ["--ro-bind", "/dev/null", str(packages / "notes.txt")]
    assert words.count("--tmpfs") == 1


def test_no_environment_of_the_grader(inside):
    assert os.environ["GRADEBOOK_PASSWORD"] == SECRET
    environ = inside("import os; value = dict(os.environ)")
    assert SECRET not in environ.values()
    assert environ["HOME"] == environ["TMPDIR"] == "/tmp"
    assert environ["OMP_NUM_THREADS"] == "1"
    everyone = """
import glob
value = b""
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        value += open(path, "rb").read()
    except OSError:
        pass
value = value.decode()
"""
    assert SECRET not in inside(everyone)


@pytest.mark.parametrize("kind", ["net", "pid", "ipc", "uts", "mnt", "cgroup"])
def test_the_namespaces_are_its_own(inside, kind):
    assert inside(f"import os; value = os.readlink('/proc/self/ns/{kind}')") != os.readlink(f"/proc/self/ns/{kind}")


def test_no_processes_of_the_host(inside, request):
    commands = "import glob; value = [open(p).read() for p in glob.glob('/proc/[0-9]*/cmdline')]"
    with subprocess.Popen(["sleep", "31.4159"]) as host:
        try:
            seen = inside(commands)
            # bubblewrap's init, the runner, and of a fork what keeps its place
            assert len(seen) == 2 + request.config.getoption("--from-zygote")
            assert not any("31.4159" in line for line in seen)
        finally:
            host.kill()
    assert inside("import os; value = os.getpid()") < 10
