"""What the sandbox must withstand. Every runner here is one that a student's code could turn the real one into."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch

from autograder import bubblewrap, seccomp
from autograder.child import protocol
from autograder.sandbox import Child, Failure, Limits, available
from autograder.uids import Uid

REPO = Path(__file__).resolve().parents[2]
MIB = 1 << 20
SECRET = "correct-horse-battery"

# Runs the code that it is asked to run, so that one start serves many questions.
SHELL = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import protocol
answers = os.fdopen(os.dup(1), "wb", buffering=0)
os.dup2(2, 1)
protocol.write_message(answers, {"ready": True})
while message := protocol.read_message(sys.stdin.buffer):
    header, tensors = message
    scope = {"tensors": tensors, "value": None}
    try:
        exec(header["code"], scope)
        reply = {"value": scope["value"]}
    except BaseException as error:
        reply, scope["tensors"] = {"error": type(error).__name__, "errno": getattr(error, "errno", None)}, {}
    protocol.write_message(answers, reply, scope["tensors"])
"""

# Without torch it starts in a tenth of a second; what follows it is what happens instead of an answer.
RAW = """
import ctypes, json, os, signal, struct, subprocess, sys, threading, time
def frame(header, blob=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">IQ", len(text), len(blob)) + text + blob
def send(data):
    while data:
        data = data[os.write(answers, data):]
def question():
    return os.read(0, 1 << 16)
answers = os.dup(1)
os.dup2(2, 1)
send(frame({"ready": True}))
"""


def runner(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "runner.py").write_text(text)
    shutil.copy(protocol.__file__, folder / "protocol.py")
    return folder


def raw(folder: Path, body: str, limits: Limits = Limits(), **options) -> Child:  # noqa: B008
    return Child(runner(folder / "code", RAW + body), limits, **options)


def failure_of(child: Child, timeout_s: float = 10.0, tensors: dict | None = None) -> Failure:
    """How one question fails."""
    with child, pytest.raises(Failure) as caught:
        child.ask({}, tensors, timeout_s=timeout_s)
    return caught.value


def family(child: Child) -> list[psutil.Process]:
    root = psutil.Process(child._process.pid)
    return [root, *root.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_the_sandbox_works_here():
    assert available() is None


# --- what a child that behaves gets --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """One child for every question about what can be seen and done inside."""
    os.environ["GRADEBOOK_PASSWORD"] = SECRET
    limits = Limits(scratch_bytes=8 * MIB, file_bytes=4 * MIB)
    folder = runner(tmp_path_factory.mktemp("shell"), SHELL)
    (folder / "link").symlink_to(__file__)
    (folder / "runner.py").chmod(0o600)  # as after `umask 077`
    with Child(folder, limits) as child:
        yield child
    del os.environ["GRADEBOOK_PASSWORD"]


@pytest.fixture
def inside(shell):
    """Run code in the child; its `value`, or (name of the error, errno)."""

    def run(code: str):
        reply, _ = shell.ask({"code": code})
        return (reply["error"], reply["errno"]) if "error" in reply else reply["value"]

    return run


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


# --- what it must not see ------------------------------------------------------------------------------------------


def test_no_network(inside):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0autograder-test")
        abstract.listen()
        address = server.getsockname()
        socket.create_connection(address).close()  # it does answer
        assert inside(f"import socket; socket.create_connection({address!r}, 2)")[0] == "ConnectionRefusedError"
        unix = "import socket; socket.socket(socket.AF_UNIX).connect('\\0autograder-test')"
        assert inside(unix)[0] == "ConnectionRefusedError"
    assert inside("import socket; value = [name for _, name in socket.if_nameindex()]") == ["lo"]


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
    assert inside("import autograder.limits")[0] == "ModuleNotFoundError"
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
    words = bubblewrap._mount(tmp_path / "lib", [*bubblewrap.OWN_PACKAGES, "notes.txt", "absent"])
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


def test_no_processes_of_the_host(inside):
    commands = "import glob; value = [open(p).read() for p in glob.glob('/proc/[0-9]*/cmdline')]"
    with subprocess.Popen(["sleep", "31.4159"]) as host:
        try:
            seen = inside(commands)
            assert len(seen) == 2  # bubblewrap's init and the runner
            assert not any("31.4159" in line for line in seen)
        finally:
            host.kill()
    assert inside("import os; value = os.getpid()") < 10


# --- what it must not do -------------------------------------------------------------------------------------------


def test_not_root_and_no_way_to_become_it(inside):
    assert inside("import os; value = os.getuid() * os.geteuid() * os.getgid()") > 0
    assert inside("import os; os.setuid(0)")[0] == "PermissionError"
    assert inside("import os; value = {*os.getgroups()} <= {os.getgid()}") is (os.geteuid() == 0)
    status = dict(line.split(":\t", 1) for line in inside("value = open('/proc/self/status').read()").splitlines())
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["CapBnd"] == "0" * 16 or os.geteuid()
    assert inside("import os; value = [n for n in os.listdir('/proc/self/fd') if int(n) > 3]") in ([], ["4"])


def test_nothing_can_be_written_but_scratch(inside):
    packages = str(Path(torch.__file__).parent.parent)
    for folder in ["/", "/code", "/usr/bin", "/usr/lib", "/etc", "/dev", "/sys", "/proc", packages, sys.prefix]:
        assert inside(f"open({folder!r} + '/new', 'w')")[0] in ("PermissionError", "OSError", "FileNotFoundError")
    for file in ["/code/runner.py", sys.executable, torch.__file__, "/proc/sys/kernel/core_pattern"]:
        assert inside(f"open({file!r}, 'r+')")[0] in ("PermissionError", "OSError")
    assert inside("open('/tmp/new', 'w').write('x'); open('/dev/shm/new', 'w').write('x')") is None
    inside("import os; os.remove('/tmp/new'); os.remove('/dev/shm/new')")


def test_every_mount_but_scratch_is_read_only(inside):
    mounts = [line.split() for line in inside("value = open('/proc/mounts').read()").splitlines()]
    writable = {point for _, point, kind, options, *_ in mounts if "ro" not in options.split(",")}
    devices = {f"/dev/{name}" for name in bubblewrap.DEVICES}
    assert writable - devices == {"/tmp", "/dev/shm", "/proc"}


def test_files_and_scratch_are_bounded(inside):
    inside("import os; os.makedirs('/tmp/big')")
    fill = """
import os, shutil
try:
    for i in range({files}):
        with open(f"{folder}/big{{i}}", "wb") as file:
            file.write(bytes({size}))
finally:
    for i in range({files}):
        os.path.exists(f"{folder}/big{{i}}") and os.remove(f"{folder}/big{{i}}")
"""
    for folder in ("/tmp", "/dev/shm"):
        assert inside(fill.format(folder=folder, files=1, size=3 * MIB)) is None
        assert inside(fill.format(folder=folder, files=1, size=5 * MIB)) == ("OSError", 27)  # EFBIG
        assert inside(fill.format(folder=folder, files=4, size=3 * MIB)) == ("OSError", 28)  # ENOSPC
    inside("import os; os.rmdir('/tmp/big')")


def test_the_kernel_holds_the_limits_of_a_process(inside, shell):
    names = ["AS", "FSIZE", "CPU", "NOFILE", "CORE", "NPROC"]
    pairs = inside(f"import resource; value = [resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in {names}]")
    limits = shell.limits
    assert all(soft == hard for soft, hard in pairs)
    assert [soft for soft, _ in pairs][:5] == [limits.address_bytes, limits.file_bytes, limits.cpu_s + 1, 256, 1]
    if not os.geteuid():
        assert pairs[5][0] == limits.processes


def test_one_allocation_beyond_the_address_space_is_refused(inside):
    assert inside("bytearray(100 << 30)")[0] == "MemoryError"


def test_memory_that_nobody_counts_and_other_system_calls_are_refused(inside):
    assert inside("import os; os.memfd_create('x')") == ("PermissionError", 1)
    assert inside("import mmap; mmap.mmap(-1, 1 << 20)")[0] == "PermissionError"
    assert inside("import mmap; mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)") is None
    assert inside("import socket; socket.socket(40)") == ("OSError", 97)  # AF_VSOCK, which reaches the hypervisor
    call = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); value = [libc.syscall(*{!r}), ctypes.get_errno()]"
    column = list(seccomp.ARCHITECTURES).index(os.uname().machine)
    for name in ("unshare", "keyctl", "shmget", "ptrace", "io_uring_setup"):
        assert inside(call.format((seccomp.DENIED[name][column], 0x10000000, 0, 0, 0))) == [-1, 1], name
    assert inside(call.format((seccomp.CLONE[column], 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0))) == [-1, 1]
    assert inside(call.format((seccomp.CLONE3[column], 0, 0))) == [-1, 38]  # ENOSYS


# --- how a child can end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["time.sleep(60)", "os.close(0); time.sleep(60)", "os.kill(os.getpid(), signal.SIGSTOP)"]
)
def test_a_hang_is_a_timeout_near_its_limit(tmp_path, body):
    child = raw(tmp_path, "question()\n" + body)
    processes, start = family(child), time.monotonic()
    failure = failure_of(child, timeout_s=0.7)
    assert (failure.outcome, failure.message) == ("timeout", "The answer gave no result within 0.7 s.")
    assert 0.7 <= time.monotonic() - start < 2
    assert not alive(processes)


@pytest.mark.parametrize(
    "body",
    [
        "for byte in frame({}) * 99: send(bytes([byte])); time.sleep(0.05)",
        "send(frame({'a': 'b' * 99})[:-1]); time.sleep(60)",
        "send(struct.pack('>IQ', 9, 32 << 20) + b'x'); time.sleep(60)",
    ],
)
def test_dribbles_and_halves_of_a_frame_do_not_hold_us(tmp_path, body):
    start = time.monotonic()
    # the first sends a whole empty frame after 0.7 s, so its deadline comes earlier
    assert failure_of(raw(tmp_path, "question()\n" + body), timeout_s=0.5).outcome == "timeout"
    assert time.monotonic() - start < 3


def test_a_child_that_never_reads_is_a_timeout(tmp_path):
    child = raw(tmp_path, "time.sleep(60)")
    assert failure_of(child, timeout_s=1.0, tensors={"x": torch.zeros(50 * MIB // 4)}).outcome == "timeout"


def test_the_whole_life_is_bounded_too(tmp_path):
    child = raw(tmp_path, "while question(): send(frame({}))", Limits(wall_s=0.5))
    with child:
        assert child.ask({}) == ({}, {})
        processes = family(child)
        time.sleep(1.0)
        assert not alive(processes)  # also between questions
        with pytest.raises(Failure) as caught:
            child.ask({})
    assert (caught.value.outcome, caught.value.message) == ("timeout", "The answer ran longer than 0.5 s in all.")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(0)", "exit status 0"),
        ("os._exit(3)", "exit status 3"),
        ("print('why'); raise RuntimeError('no')", "exit status 1"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("send(frame({'a': 'b'})[:-1]); os._exit(0)", "exit status 0"),
    ],
)
def test_an_end_without_an_answer_is_a_crash(tmp_path, body, says):
    child = raw(tmp_path, "question()\n" + body)
    failure = failure_of(child)
    assert failure.outcome == "crash"
    assert says in failure.message
    if "why" in body:
        assert "why" in child.printed and "RuntimeError: no" in child.printed
    with pytest.raises(Failure, match=says):  # asked again, it says the same
        child.ask({})


def test_a_memory_bomb_is_named_and_stopped_near_its_limit(tmp_path):
    body = "question()\nblocks = []\nwhile True: blocks.append(bytearray(b'x') * (4 << 20))"
    child = raw(tmp_path, body, Limits(memory_bytes=256 * MIB))
    failure = failure_of(child)
    assert (failure.outcome, failure.message) == ("crash", "The answer used more than 0.2 GiB of memory.")
    assert 256 * MIB < child.peak_bytes < 1024 * MIB


FORKED = """
question()
{before}
for _ in range(3):
    if not os.fork():
        {within}
        time.sleep(60)
time.sleep(1)
send(frame({{}}))
"""


def test_memory_is_that_of_all_processes_together(tmp_path):
    body = FORKED.format(before="", within="block = bytearray(b'x') * (100 << 20)")
    assert "of memory" in failure_of(raw(tmp_path, body, Limits(memory_bytes=256 * MIB))).message


def test_memory_shared_by_forked_processes_counts_once(tmp_path):
    body = FORKED.format(before="block = bytearray(b'x') * (150 << 20)", within="pass")
    with raw(tmp_path, body, Limits(memory_bytes=256 * MIB)) as child:
        assert child.ask({}) == ({}, {})
        assert 150 * MIB < child.peak_bytes < 256 * MIB


@pytest.mark.parametrize("body", ["while True: pass", "for _ in range(3): os.fork()\nwhile True: pass"])
def test_processor_time_is_that_of_all_processes_together(tmp_path, body):
    failure = failure_of(raw(tmp_path, "question()\n" + body, Limits(cpu_s=1)))
    assert (failure.outcome, failure.message) == ("crash", "The answer used more than 1 s of processor time.")


BOMB = """
question()
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""


def test_a_fork_bomb_is_contained_and_leaves_nothing(tmp_path):
    most, over = [], threading.Event()
    child = raw(tmp_path, BOMB, Limits(processes=24))
    root = psutil.Process(child._process.pid)

    def count():
        while not over.wait(0.01):
            try:
                most.append(root.children(recursive=True))
            except psutil.Error:
                return

    counter = threading.Thread(target=count)
    counter.start()
    failure = failure_of(child, timeout_s=1.5)
    over.set()
    counter.join()
    assert failure.outcome in ("timeout", "crash")
    assert 10 < max(map(len, most)) <= 24 + 2  # the kernel's limit as root, elsewhere the watchdog's
    assert not alive([process for look in most for process in look])


def test_one_fork_bomb_does_not_stop_another_child(tmp_path):
    with raw(tmp_path / "a", BOMB, Limits(processes=24)) as bomb:
        bomb._process.stdin.write(b"go")
        time.sleep(0.5)
        with raw(tmp_path / "b", "question()\nif os.fork(): send(frame({}))", Limits(processes=24)) as other:
            assert other.ask({}) == ({}, {})


LINGER = """
question()
if not os.fork():
    os.setsid()
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", {mark!r}])
    os._exit(0)
os.wait()
time.sleep(0.4)
{end}
"""


def lingering(mark: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(mark) in (p.info["cmdline"] or [])]


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_process_left_behind_is_dead_after_close(tmp_path, sandboxed):
    body = LINGER.format(mark=str(tmp_path), end="send(frame({})); time.sleep(60)")
    with raw(tmp_path, body, sandboxed=sandboxed) as child:
        child.ask({})
        assert len(lingering(tmp_path)) == 1
    assert not lingering(tmp_path)


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_process_that_outlives_the_runner_is_dead_after_close(tmp_path, sandboxed):
    body = LINGER.format(mark=str(tmp_path), end="")
    assert failure_of(raw(tmp_path, body, sandboxed=sandboxed)).outcome == "crash"
    assert not lingering(tmp_path)


def test_nothing_survives_a_killed_grader(tmp_path):
    body = LINGER.format(mark=str(tmp_path), end="send(frame({})); time.sleep(60)")
    runner(tmp_path / "code", RAW + body)
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(REPO)!r})
from autograder.sandbox import Child, Limits
child = Child(Path({str(tmp_path / "code")!r}), Limits())
child.ask({{}})
print(child._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # for what such a grader cannot clean up
    said = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip().isdigit(), said.stderr
    end = time.monotonic() + 3
    while lingering(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert not lingering(tmp_path)


# --- what it prints and sends --------------------------------------------------------------------------------------


def test_endless_printing_neither_blocks_nor_grows(tmp_path):
    body = """
def flood():
    while True: os.write(2, b"first\\n" + b"x" * 65536)
threading.Thread(target=flood, daemon=True).start()
while question(): time.sleep(0.5); send(frame({}))
"""
    with raw(tmp_path, body, Limits(output_bytes=10_000)) as child:
        before = psutil.Process().memory_info().rss
        assert child.ask({}) == child.ask({}) == ({}, {})
        assert psutil.Process().memory_info().rss - before < 20 * MIB
        start = time.monotonic()
    assert time.monotonic() - start < 2
    assert 10_000 < len(child.printed) < 10_100
    assert child.printed.startswith("first\n") and "bytes left out" in child.printed


def test_printed_text_is_safe_to_show(tmp_path):
    body = r"""question(); os.write(1, b"10%\r20%\n\x1b[2J\x00\xff\xc2\x9b ok \t\n"); send(frame({})); question()"""
    with raw(tmp_path, body) as child:
        child.ask({})
    assert child.printed == "10%\n20%\n�[2J��� ok \t\n"


LYING = {
    "garbage": "send(os.urandom(1 << 16) * 4)",
    "endless garbage": "while True: send(b'\\xff' * (1 << 16))",
    "giant blob": "send(struct.pack('>IQ', 2, 1 << 62) + b'{}'); time.sleep(60)",
    "giant header": "send(struct.pack('>IQ', (1 << 32) - 1, 0)); time.sleep(60)",
    "larger than allowed": "send(frame({}, bytes((1 << 20) + 1)))",
    "no JSON": "send(frame(b'{'))",
    "no object": "send(frame([1, 2]))",
    "empty": "send(struct.pack('>IQ', 0, 0))",
    "pickle": f"send(frame({{}}, {pickle.dumps(print)!r}))",
    "pickle as header": f"send(frame({pickle.dumps({})!r}))",
    "deep": "send(frame(b'[' * 200000))",
}


@pytest.mark.parametrize("lie", LYING)
def test_lies_on_the_wire_are_invalid_output(tmp_path, lie):
    start = time.monotonic()
    failure = failure_of(raw(tmp_path, "question()\n" + LYING[lie], Limits(message_bytes=1 << 20)))
    assert failure.outcome == "invalid_output"
    assert time.monotonic() - start < 4


def test_a_result_before_the_question_is_invalid(tmp_path):
    with raw(tmp_path, "question(); send(frame({'n': 1}) + frame({'n': 2})); time.sleep(60)") as child:
        assert child.ask({}) == ({"n": 1}, {})
        with pytest.raises(Failure, match="before it was asked") as caught:
            child.ask({})
    assert caught.value.outcome == "invalid_output"


# --- when it is us -------------------------------------------------------------------------------------------------

NOT_READY = [
    "raise ImportError('no torch here')",
    "import sys; sys.exit(0)",
    "print('garbage' * 9)",
    "import os, struct, time; os.write(1, struct.pack('>IQ', 2, 0) + b'{}'); time.sleep(60)",
]


@pytest.mark.parametrize("start", NOT_READY)
@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_runner_that_does_not_start_is_not_the_students_fault(tmp_path, start, sandboxed):
    with pytest.raises(Failure) as caught:
        Child(runner(tmp_path / "code", start), Limits(), sandboxed=sandboxed)
    assert caught.value.outcome == "infrastructure_error"
    if "torch" in start:
        assert "no torch here" in caught.value.message


def test_a_slow_start_is_not_the_students_fault(tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.sandbox.START_S", 0.5)
    with pytest.raises(Failure, match="not ready within") as caught:
        Child(runner(tmp_path / "code", "import time; time.sleep(60)"), Limits())
    assert caught.value.outcome == "infrastructure_error"


def test_a_missing_folder_is_not_the_students_fault(tmp_path):
    with pytest.raises(Failure) as caught:
        Child(tmp_path / "absent", Limits())
    assert caught.value.outcome == "infrastructure_error"


def test_without_bubblewrap_there_is_a_sentence_and_no_grade(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert available() == "The sandbox needs the program bwrap: type `sudo apt-get install bubblewrap`."
    with pytest.raises(Failure, match="apt-get install bubblewrap") as caught:
        raw(tmp_path, "")
    assert caught.value.outcome == "infrastructure_error"


def test_a_bubblewrap_that_does_not_work_is_told_with_its_reason(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert "Operation not permitted); type `" in available()
    with pytest.raises(Failure) as caught:
        raw(tmp_path, "")
    assert caught.value.outcome == "infrastructure_error"


def test_remedies_are_commands():
    for said in ("bwrap: Unknown option --size", "setpriv: failed to execute x: Permission denied", "bwrap: whatever"):
        assert bubblewrap._remedy(said, 1000).startswith("`")


# --- many at once, other users, no sandbox -------------------------------------------------------------------------


def test_children_of_several_threads_do_not_disturb_each_other(tmp_path):
    def grade(n: int) -> tuple[dict, str]:
        body = f"question(); print('child {n}'); time.sleep(0.2); send(frame({{'n': {n}, 'uid': os.getuid()}}))"
        with raw(tmp_path / str(n), body) as child:
            header, _ = child.ask({})
        return header, child.printed

    open_before, threads_before = psutil.Process().num_fds(), threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(grade, range(8)))
    assert [header["n"] for header, _ in results] == list(range(8))
    assert [printed for _, printed in results] == [f"child {n}\n" for n in range(8)]
    if not os.geteuid():
        assert len({header["uid"] for header, _ in results}) >= 4  # as many as at once
    assert psutil.Process().num_fds() == open_before
    assert threading.active_count() == threads_before


def test_graders_side_by_side_use_different_user_ids(tmp_path):
    """Another grader is another process, which knows nothing of the children here."""
    if os.geteuid():
        pytest.skip("an ordinary user's children all have that user's id")
    other = "import sys; from autograder.uids import Uid; uid = Uid(); print(uid.number, flush=True); sys.stdin.read()"
    with raw(tmp_path, "question(); send(frame({'uid': os.getuid()}))") as child:
        with subprocess.Popen([sys.executable, "-c", other], stdin=-1, stdout=-1, text=True) as beside:
            theirs, mine = int(beside.stdout.readline()), child.ask({})[0]["uid"]
            assert mine != theirs and Uid().number not in (mine, theirs)
            beside.kill()
            beside.wait()
            again = Uid()
            assert again.number <= theirs  # which a grader that was killed has let go
            again.close()


def test_the_folder_of_a_child_is_gone_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with raw(tmp_path, "question()") as child:
        assert Path(child._folder.name).parent == tmp_path
        assert (Path(child._folder.name).stat().st_mode & 0o777) == 0o700
    assert [entry.name for entry in tmp_path.iterdir()] == ["code"]


def test_what_an_ordinary_user_starts():
    words = bubblewrap.command(["python"], Path("code"), Limits(), euid=1000)
    assert "--unshare-user" in words and "setpriv" not in words
    words = bubblewrap.command(["python"], Path("code"), Limits(), euid=0, uid=61005)
    assert "--unshare-user" not in words and words[words.index("--reuid") + 1] == "61005"
    assert "--clear-groups" in words


ORDINARY = """
import os, sys, time
from pathlib import Path
import psutil
def alive(process):
    return process.is_running() and process.status() != "zombie"
sys.path.insert(0, sys.argv[1])
from autograder.sandbox import Child, Failure, Limits, available
assert os.geteuid() != 0
assert available() is None, available()
with Child(Path(sys.argv[2], "look"), Limits()) as child:
    header, _ = child.ask({})
    print(header)
    assert header["uid"] == os.geteuid()
    assert header["network"] == ["lo"]
    assert header["secret"] is False
    assert header["repo"] is False
    assert all(":[" in file for file in header["init's files"])  # pipes and an event, no folder to leave by
    assert header["init's filter"] == "2"
    assert all(Path("/tmp") in Path(folder).parents for folder in header["written"])  # the child's own scratch
    assert header["caps"] == "0" * 16
limits = Limits(processes=24, memory_bytes=256 << 20)
with Child(Path(sys.argv[2], "bomb"), limits) as child:
    child._process.stdin.write(b"go")
    time.sleep(0.7)
    bombs = psutil.Process(child._process.pid).children(recursive=True)
    print(len(bombs), "processes")
    assert 10 < len(bombs) <= 24 + 2
assert not any(map(alive, bombs))
try:
    with Child(Path(sys.argv[2], "memory"), limits) as child:
        child.ask({})
except Failure as failure:
    assert "of memory" in failure.message
else:
    raise AssertionError("the memory bomb answered")
print("all is well")
"""
LOOK = """
import socket, glob
question()
here = {"uid": os.getuid(), "network": [name for _, name in socket.if_nameindex()]}
here["secret"] = any(%r in open(path).read() for path in glob.glob("/proc/[0-9]*/environ"))
here["repo"] = os.path.exists(%r)
here["caps"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0]
here["written"] = []
for folder in ("/", "/dev", "/code", "/usr/bin", "/usr", "/etc", %r, %r):
    try:
        open(folder + "/new", "w")
        here["written"].append(folder)
    except OSError:
        pass
here["init's files"] = [os.readlink("/proc/1/fd/" + n) for n in os.listdir("/proc/1/fd")]
here["init's filter"] = [line.split()[1] for line in open("/proc/1/status") if line.startswith("Seccomp:")][0]
send(frame(here))
question()
"""


@contextmanager
def ordinary_user():
    """The words before a command that run it as an ordinary user, and a folder for it."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid():
            yield [], Path(folder)
            return
        Path(folder).chmod(0o755)
        # The interpreter may lie below /root, which others cannot enter: show only that, in an otherwise empty home.
        words = ["bwrap", "--dev-bind", "/", "/", "--perms", "0755", "--tmpfs", str(Path.home())]
        for prefix in (sys.prefix, sys.base_prefix, str(REPO)):
            if Path.home() in Path(prefix).parents:
                for parent in [p for p in reversed(Path(prefix).parents) if Path.home() in p.parents]:
                    words += ["--perms", "0755", "--dir", str(parent)]
                words += ["--ro-bind", prefix, prefix]
        yield [*words, "--", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"], Path(folder)


def test_an_ordinary_user_gets_the_same_walls():
    with ordinary_user() as (words, folder):
        look = LOOK % (SECRET, str(REPO / "autograder"), str(Path(sys.prefix).parent), str(Path(torch.__file__).parent))
        for name, body in (("look", look), ("bomb", BOMB), ("memory", "question()\nx = bytearray(b'x') * (1 << 30)")):
            runner(folder / name, RAW + body)
        env = {**os.environ, "GRADEBOOK_PASSWORD": SECRET, "HOME": "/nonexistent"}
        argv = [*words, sys.executable, "-B", "-c", ORDINARY, str(REPO), str(folder)]
        ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    assert "all is well" in ended.stdout, ended.stdout + ended.stderr


def test_without_the_sandbox_the_limits_still_hold(tmp_path):
    with raw(
        tmp_path / "echo", "question(); send(frame({'cwd': os.getcwd()})); time.sleep(60)", sandboxed=False
    ) as child:
        header, _ = child.ask({})
        assert header["cwd"].startswith(child._folder.name)
        assert SECRET not in json.dumps(psutil.Process(child._process.pid).environ())
    bomb = "question()\nblocks = []\nwhile True: blocks.append(bytearray(b'x') * (4 << 20))"
    failure = failure_of(raw(tmp_path / "memory", bomb, Limits(memory_bytes=256 * MIB), sandboxed=False))
    assert "0.2 GiB of memory" in failure.message
    assert failure_of(raw(tmp_path / "hang", "time.sleep(60)", sandboxed=False), timeout_s=0.3).outcome == "timeout"
    many = "question()\nfor _ in range(40):\n    if not os.fork(): time.sleep(60)\ntime.sleep(60)"
    failure = failure_of(raw(tmp_path / "many", many, Limits(processes=24), sandboxed=False))
    assert failure.message == "The answer started more than 24 processes."
    body = "question(); open('x', 'wb').write(bytes(2 << 20))"
    child = raw(tmp_path / "large", body, Limits(file_bytes=MIB), sandboxed=False)
    assert failure_of(child).outcome == "crash" and "File too large" in child.printed
