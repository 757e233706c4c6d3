"""Answers forked from one process: each alone in its sandbox, and no worse off than one that starts afresh."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time

import psutil
import pytest

from autograder.sandbox import bubblewrap, forks, seccomp
from autograder.sandbox.child_process import Child, Failure, Limits
from autograder.sandbox.forks import Zygote
from tests.autograder.sandbox.children import LINGER, RAW, REPO, alive, lingering, raw, runner
from tests.autograder.sandbox.test_who_starts_it import LOOK, SECRET, ordinary_user

# Runs what it is told, in names that stay; without torch.
OBEY = """
names = dict(globals())
while message := question():
    names["value"] = None
    try:
        exec(json.loads(message[12:])["code"], names)
        send(frame({"value": names["value"]}))
    except BaseException as error:
        send(frame({"value": type(error).__name__}))
"""
PLAIN = ("random", "numpy.random", "multiprocessing.process")
KINDS = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
PROCESSES = "value = sorted(int(p) for p in os.listdir('/proc') if p.isdigit())"


@pytest.fixture(scope="module")
def source():
    with contextlib.closing(Zygote(modules=PLAIN)) as made:
        yield made
        assert made.why is None


@pytest.fixture(scope="module")
def pair(source, tmp_path_factory):
    """Two forks that live at the same time, and what asks one of them."""
    folder = tmp_path_factory.mktemp("pair")
    with raw(folder / "a", OBEY, zygote=source) as a, raw(folder / "b", OBEY, zygote=source) as b:
        yield a, b


def told(child: Child, code: str):
    return child.ask({"code": code})[0]["value"]


def test_files_of_one_are_not_there_for_the_other(pair):
    a, b = pair
    for folder in ("/tmp", "/dev/shm"):
        assert told(a, f"value = open('{folder}/mine', 'w').write('answer')") == 6
        assert told(b, f"value = os.path.exists('{folder}/mine')") is False
    for folder in ("/", "/code", "/usr", "/dev", os.path.dirname(os.__file__)):
        assert told(a, f"open({folder!r} + '/mine', 'w')") in ("OSError", "PermissionError")
    ids = [told(child, "value = [os.stat(p).st_dev for p in ('/tmp', '/proc', '/code')]") for child in pair]
    assert ids[0][0] != ids[1][0] and ids[0][1] != ids[1][1]


def test_processes_of_one_are_not_there_for_the_other(pair):
    a, b = pair
    assert told(a, PROCESSES) == told(b, PROCESSES) == [1, 2, 3]
    assert told(a, "value = [os.getpid(), os.getppid()]") == [3, 0]
    runners = [child._watchdog._roots[1].pid for child in pair]
    assert runners[0] != runners[1]
    for pid in (*runners, os.getpid(), psutil.Process(runners[1]).ppid()):
        assert told(a, f"value = os.path.exists('/proc/{pid}')") is False
        assert told(a, f"os.kill({pid}, 9)") == "ProcessLookupError"
    assert told(b, "value = 1") == 1


def test_uids_groups_and_powers(pair):
    uids = [told(child, "value = [*os.getresuid(), *os.getresgid()]") for child in pair]
    assert all(len(set(each)) == 1 and each[0] != 0 for each in uids)
    assert os.geteuid() or uids[0] != uids[1]
    status = told(pair[0], "value = open('/proc/self/status').read()")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    assert os.geteuid() or not fields["Groups"].strip()


def test_namespaces_of_each_are_neither_the_others_nor_ours(pair):
    for kind in [*KINDS, *(["user"] if os.geteuid() else [])]:
        a, b = (told(child, f"value = os.readlink('/proc/self/ns/{kind}')") for child in pair)
        assert len({a, b, os.readlink(f"/proc/self/ns/{kind}")}) == 3, kind
    hosts = [told(child, "value = os.uname().nodename") for child in pair]
    assert hosts == ["sandbox", "sandbox"]


def test_no_descriptor_and_no_socket_leads_elsewhere(pair):
    code = "value = {n: os.readlink('/proc/self/fd/' + n) for n in os.listdir('/proc/self/fd') if n.isdigit()}"
    code = code.replace("os.listdir", "(lambda p: [n for n in os.listdir(p) if os.path.lexists(p + '/' + n)])")
    a, b = (told(child, code) for child in pair)
    assert set(a) == set(b) == {"0", "1", "2", "3"}  # 3 is the answers' pipe of RAW
    assert all(where.startswith("pipe:") for where in [*a.values(), *b.values()])
    assert not set(a.values()) & set(b.values())
    assert told(pair[0], "import socket; socket.socket(socket.AF_UNIX)") == "PermissionError"
    assert told(pair[0], "value = open('/proc/net/unix').read().count(chr(10))") == 1  # the heading


def test_memory_of_one_is_not_that_of_the_other(pair, source, tmp_path):
    maps = told(pair[0], "value = [line.split()[:6] for line in open('/proc/self/maps')]")
    assert len(maps) > 20 and not [m for m in maps if m[1][1] == "w" and m[1][3] == "s"]
    # what all have from before the fork: a module's dictionary, and memory itself
    assert told(pair[0], "json.mark = 7; value = json.mark") == 7
    address = told(pair[0], "at = bytearray(b'x'); value = id(json)")
    assert told(pair[1], "value = id(json)") == address  # the same place, as forks have
    assert told(pair[1], "value = hasattr(json, 'mark')") is False
    with raw(tmp_path, OBEY, zygote=source) as later:
        assert told(later, "value = hasattr(json, 'mark')") is False


def test_chance_is_drawn_anew_for_each(pair):
    for code in (
        "import random; value = random.random()",
        "import numpy.random as r; value = float(r.random())",
        "import multiprocessing as m; value = m.current_process().authkey.hex()",
        "import uuid; value = str(uuid.uuid4())",
    ):
        a, b = (told(child, code) for child in pair)
        assert isinstance(a, float | str) and a != b and not str(a).endswith("Error"), (code, a)


def test_nothing_of_the_course_or_its_environment_is_in_a_forks_memory(pair):
    loaded = told(pair[0], "value = [m for m in sys.modules if m.split('.')[0] in ('autograder', 'ddpm_core')]")
    assert loaded == []
    env = told(pair[0], "value = open('/proc/self/environ').read() + repr(dict(os.environ))")
    assert set(told(pair[0], "value = list(os.environ)")) == {*bubblewrap.environment(1), "PYTORCH_JIT"}
    assert str(REPO) not in env
    assert told(pair[0], "value = [sys.argv, sys.modules['__main__'].__file__]") == [
        ["/code/runner.py"],
        "/code/runner.py",
    ]


def test_the_file_that_it_runs_cannot_be_written(pair):
    """The interpreter of the zygote is reached by a link of /proc, past every mount of the sandbox."""
    assert told(pair[0], "open('/proc/self/exe', 'r+b')") in ("OSError", "PermissionError")
    for holder in (psutil.Process(pair[0]._watchdog._roots[1].pid), pair[0]._zygote._process):
        fd = os.open(f"/proc/{holder.pid}/exe", os.O_RDONLY)
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        os.close(fd)
        assert seals == fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


ENDS = {
    "exit status 7": "question(); os._exit(7)",
    "SIGSEGV": "question(); os.kill(os.getpid(), 11)",
    "its group": "question(); os.kill(0, 9)",
    "raises": "question(); raise ValueError('no')",
    "sys.exit": "question(); sys.exit(3)",
    "sys.exit with words": "question(); sys.exit('no more')",
    "returns": "question()",
    "every process": "question()\ntry: os.kill(-1, 9)\nexcept OSError: pass\nos._exit(5)",
    "stops talking": "question(); os.close(answers); os.close(1); os.close(0); time.sleep(60)",
}


@pytest.mark.parametrize("name", ENDS)
def test_it_ends_in_the_same_words(name, source, tmp_path):
    if name == "every process" and os.geteuid():
        pytest.skip("an ordinary user's answer can end what keeps its place, and so itself")
    said = []
    for made in (source, None):
        with raw(tmp_path / str(made is None), ENDS[name], zygote=made) as child, pytest.raises(Failure) as caught:
            child.ask({}, timeout_s=2.0)
        said.append((caught.value.outcome, caught.value.message))
        assert len(child._watchdog._roots) == 1 + (made is not None)
    assert said[0] == said[1] and said[0][0] in ("crash", "timeout")
    assert source.why is None


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's processes are all that user's")
def test_what_keeps_its_place_is_out_of_reach(pair):
    assert told(pair[0], "value = open('/proc/2/cmdline').read().split(chr(0))[0]") == "sh"
    assert told(pair[0], "os.kill(2, 9)") == "PermissionError"
    for file in ("mem", "environ", "fd/0"):
        assert told(pair[0], f"open('/proc/2/{file}', 'rb')") == "PermissionError"


def test_a_crash_of_one_leaves_the_other_and_those_to_come(source, tmp_path):
    with raw(tmp_path / "a", OBEY, zygote=source) as a, raw(tmp_path / "b", OBEY, zygote=source) as b:
        with pytest.raises(Failure, match="SIGSEGV"):
            a.ask({"code": "import ctypes; ctypes.string_at(8)"})
        assert told(b, "value = 2") == 2
        with raw(tmp_path / "c", OBEY, zygote=source) as c:
            assert told(c, "value = 3") == 3
            assert len(c._watchdog._roots) == 2  # forked as well


def test_one_that_is_renewed_or_beside_another_is_forked_too(source, tmp_path):
    with raw(tmp_path, OBEY, zygote=source) as child:
        assert told(child, "kept = 1; value = kept") == 1
        with child.beside() as beside:
            child.renew()
            for each in (child, beside):
                assert told(each, "value = kept") == "NameError"
                assert told(each, PROCESSES) == [1, 2, 3]


def test_what_a_fork_leaves_behind_is_dead_after_close(source, tmp_path):
    body = LINGER.format(mark=str(tmp_path), end="send(frame({})); time.sleep(60)")
    with raw(tmp_path, body, zygote=source) as child:
        child.ask({})
        assert len(lingering(tmp_path)) == 1
        runner_process = child._watchdog._roots[1]
        held = [runner_process, runner_process.parent()]
    assert not lingering(tmp_path)
    until = time.monotonic() + 30
    while alive(held) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(held)


def test_brothers_of_the_runner_die_with_it_and_their_time_is_counted(source, tmp_path):
    """CLONE_PARENT makes a child of the keeper, which is outside."""
    body = """
import ctypes
question()
for _ in range(3):
    if ctypes.CDLL(None).syscall(56 if os.uname().machine == "x86_64" else 220, 0x8000, 0, 0, 0, 0) == 0:
        end = time.process_time() + 0.6
        while time.process_time() < end: pass
        os._exit(0)
time.sleep(60)
"""
    child = raw(tmp_path, body, Limits(cpu_s=1), zygote=source)
    keeper = child._watchdog._roots[1].parent()
    with child, pytest.raises(Failure) as caught:
        child.ask({}, timeout_s=30.0)
    assert "1 s" in caught.value.message, caught.value
    until = time.monotonic() + 30
    while alive([keeper]) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive([keeper])


def test_where_it_cannot_be_forked_it_starts_afresh_and_the_reason_is_told(tmp_path, monkeypatch):
    said = []
    with contextlib.closing(Zygote(said.append, modules=("no_such_module",))) as broken:
        for n in range(2):
            with raw(tmp_path / str(n), OBEY, zygote=broken) as child:
                assert told(child, PROCESSES) == [1, 2]
    assert len(said) == 1 and "no_such_module" in said[0]
    with contextlib.closing(Zygote(said.append, modules=())) as good:
        with raw(tmp_path / "good", OBEY, zygote=good) as child:
            assert told(child, PROCESSES) == [1, 2, 3]
            good._process.kill()
            good._process.wait()
            assert told(child, "value = 5") == 5  # which needs it no more
        with raw(tmp_path / "after", OBEY, zygote=good) as child:
            assert told(child, PROCESSES) == [1, 2]
    assert len(said) == 2
    monkeypatch.setattr(seccomp, "program", lambda *args, **options: None)
    with contextlib.closing(Zygote(said.append)) as unfiltered, raw(tmp_path / "none", OBEY, zygote=unfiltered):
        assert "no system-call filter" in said[2]


def test_a_runner_that_never_gets_ready_is_started_afresh_once(tmp_path):
    said = []
    with contextlib.closing(Zygote(said.append, modules=())) as made:
        (folder := tmp_path / "code").mkdir()
        (folder / "runner.py").write_text("raise ValueError('of ours')")
        with pytest.raises(Failure, match="ValueError: of ours") as caught:
            Child(folder, Limits(), zygote=made)
    assert caught.value.outcome == "infrastructure_error" and len(said) == 1


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "threads"),
        ("import mmap; shared = mmap.mmap(-1, 4096)", "shares writable memory"),
        ("", ""),
    ],
)
def test_it_is_not_forked_with_threads_or_memory_in_common(before, why):
    code = f"import sys; sys.path.insert(0, {str(REPO)!r})\nfrom autograder.sandbox import zygote\n{before}\n"
    code += "print('unfit:', zygote.unfit())"
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert why in said.stdout and bool(why) == (said.stdout.strip() != "unfit:"), said


def test_with_the_grader_all_of_it_ends(tmp_path):
    runner(tmp_path / "code", RAW + "question()")
    code = f"""
import sys; sys.path.insert(0, {str(REPO)!r})
from pathlib import Path
from autograder.sandbox.child_process import Child, Limits
from autograder.sandbox.forks import Zygote
z = Zygote(modules=())
child = Child(Path({str(tmp_path / "code")!r}), Limits(), zygote=z)
joined = child._watchdog._roots[1]
print(z._process.pid, child._process.pid, joined.pid, joined.ppid(), flush=True)
sys.stdin.read()
"""
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as grader:
        pids = [int(pid) for pid in grader.stdout.readline().split()]
        family = [psutil.Process(pid) for pid in pids]
        assert len(alive(family)) == 4
        grader.kill()
    until = time.monotonic() + 30
    while alive(family) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(family)


def test_an_ordinary_users_forks_have_the_same_walls():
    script = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from autograder.sandbox.child_process import Child, Limits
from autograder.sandbox.forks import Zygote
made = Zygote(print, modules=())
with Child(Path(sys.argv[2], "look"), Limits(), zygote=made) as child:
    header, _ = child.ask({})
    assert len(child._watchdog._roots) == 2
made.close()
print(header)
assert header["network"] == ["lo"] and not header["secret"] and not header["repo"] and header["caps"] == "0" * 16
assert all(Path("/tmp") in Path(folder).parents for folder in header["written"])
assert all(":[" in file for file in header["others' files"]), header["others' files"]
assert header["exe"].startswith("OSError"), header["exe"]
assert header["users"] != __import__("os").readlink("/proc/self/ns/user")
print("all is well")
"""
    more = """
here["others' files"] = [os.readlink(f"/proc/{p}/fd/{n}") for p in (1, 2) for n in os.listdir(f"/proc/{p}/fd")]
here["users"] = os.readlink("/proc/self/ns/user")
try:
    open("/proc/self/exe", "r+b")
    here["exe"] = "written"
except OSError as error:
    here["exe"] = f"OSError {error}"
send(frame(here))
"""
    with ordinary_user() as (words, folder):
        look = LOOK % (SECRET, str(REPO / "autograder"), sys.prefix, os.path.dirname(os.__file__))
        runner(folder / "look", RAW + look.replace("send(frame(here))", more))
        env = {**os.environ, "GRADEBOOK_PASSWORD": SECRET, "HOME": "/nonexistent"}
        argv = [*words, sys.executable, "-B", "-c", script, str(REPO), str(folder)]
        ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    assert "all is well" in ended.stdout, ended.stdout + ended.stderr


def test_limits_bind_a_fork_and_its_placeholder_is_not_the_answers(source, tmp_path):
    body = "question()\nvalue = 0\ntry:\n    for _ in range(40): os.fork() or time.sleep(60); value += 1\n"
    body += "except OSError: pass\nsend(frame({'value': value}))"
    counts = []
    for made in (source, None):
        with raw(tmp_path / str(made is None), body, Limits(processes=12), zygote=made) as child:
            counts.append(child.ask({})[0]["value"])
    assert counts[0] == counts[1] <= 12


def test_the_zygote_needs_nothing_but_pythons_own():
    code = "import sys; before = set(sys.modules); exec(sys.stdin.read().partition('if __name__')[0]); "
    code += "print([m for m in set(sys.modules) - before if m.partition('.')[0] not in sys.stdlib_module_names])"
    said = subprocess.run(
        [sys.executable, "-I", "-c", code], input=forks.ZYGOTE.read_text(), capture_output=True, text=True
    )
    assert said.stdout.strip() == "[]", said
