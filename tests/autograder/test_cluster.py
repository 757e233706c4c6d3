"""The same batch on a real Dask cluster: a scheduler and two workers, each a process of its own, on 127.0.0.1."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from autograder import samples
from autograder.cli import main
from autograder.grading import batch, cluster, provenance
from autograder.sandbox import child_process

ROOT = Path(__file__).resolve().parents[2]
STUDENTS = ("carl-ignores-label", "nina-nan", "otto-not-a-notebook", "zoe-blank")  # two need a child, two do not
SEED = 3
ONLY = (samples.EXERCISE,)


def wait_for(what, limit_s=200):
    deadline = time.monotonic() + limit_s
    while not (value := what()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return value


class Cluster:
    """Processes that the test may kill."""

    def __init__(self, folder, python):
        self.folder, self.python, self.processes = folder, str(python), {}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self, name, *words):
        env = os.environ | {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}
        words = [self.python, "-m", "dask", *map(str, words), "--no-dashboard"]
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(words, cwd=ROOT, env=env, stdout=log, stderr=log)

    def scheduler(self):
        self.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", self.port)

    def worker(self, name):
        where = ("--local-directory", self.folder, "--host", "127.0.0.1")
        self.start(name, "worker", self.address, "--name", name, "--nthreads", 1, "--no-nanny", *where)

    def up(self, *workers):
        """A scheduler that answers, and these workers, who may be on their way."""
        self.scheduler()
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) == 0)
        for name in workers:
            self.worker(name)

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()


@pytest.fixture
def dask(tmp_path, programs):
    """Nothing runs yet. One for each test, since tests may run in any order, and on any of pytest's processes."""
    running = Cluster(tmp_path, programs / "python")
    yield running
    for process in running.processes.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    submitted = tmp_path_factory.mktemp("course") / "submitted"
    samples.write(submitted, ROOT / "exercises", STUDENTS)
    (submitted / "lena-link").mkdir()
    (submitted / "lena-link" / samples.ASSIGNMENT).symlink_to(submitted / "nina-nan" / samples.ASSIGNMENT)
    return batch.find(submitted, only=ONLY)


def graders(submissions):
    return {e.name: batch.make_grader(e, SEED) for s in submissions for e in s.exercises}


def plain(file):
    """A record as its text, without what a clock says."""
    rec = json.loads(file.read_text(encoding="utf-8"))
    for n in rec["extra_data"]["notebooks"].values():
        n.pop("timings")
    return json.dumps(rec, indent=1)


TALKERS = {  # what takes a call and is no scheduler, and what is said of it
    # Its end may come before Tornado has seen its beginning; then Tornado never hears of it, about once in 200 calls
    "closes at once": (lambda call: call.close(), "closed|reset|silent"),
    "closes": (lambda call: (call.recv(1), call.close()), "closed|reset"),
    "http": (lambda call: call.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "another program listens there"),
    "few bytes": (
        lambda call: (call.recv(1), call.sendall(b"\x10" + b"\0" * 7 + b"abc"), call.close()),
        "closed|reset",
    ),
    "no message": (lambda call: call.sendall(b"\x08" + b"\0" * 15), "another program listens there"),
    "silent": (lambda call: None, "no reply"),
}
ADDRESSES = {
    "127.0.0.1": "missing port number", "": "missing port number", "http://127.0.0.1:8787": "unknown address scheme",
    "tcp://127.0.0.1:1": "Connection refused", "tls://127.0.0.1:1": "TLS", "tcp://127.0.0.1:port": "invalid literal",
    "tcp://no-host.invalid:8786": "", "inproc://x": "",
}  # fmt: skip


def test_an_address_where_no_scheduler_is_gives_one_sentence_and_no_more(tmp_path):
    """In a process of its own: what Python says as it ends is heard, too."""
    calls, addresses = [], dict(ADDRESSES)
    for answer, says in TALKERS.values():
        server = socket.create_server(("127.0.0.1", 0))

        def serve(server=server, answer=answer):
            while True:
                calls.append(server.accept()[0])
                answer(calls[-1])

        threading.Thread(target=serve, daemon=True).start()
        addresses[f"tcp://127.0.0.1:{server.getsockname()[1]}"] = says
    program = (  # within this time a busy machine, too, has been refused
        "import sys; from autograder.grading import cluster; cluster.CONNECT_S = 4.0\n"
        "for address in sys.argv[1:]:\n"
        "    try: cluster.connect(address, True)\n"
        "    except ValueError as e: print(e)\n"
    )
    command = [sys.executable, "-c", program, *addresses]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stderr == "" and done.returncode == 0
    assert len(done.stdout.splitlines()) == len(addresses)
    for line, (address, says) in zip(done.stdout.splitlines(), addresses.items()):
        assert line.startswith(f"no Dask scheduler answers at {address} (") and re.search(says, line), (address, line)


def test_a_refusal_is_told_from_silence(monkeypatch):
    """Even where a busy machine leaves Dask no time to be refused."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for refused in (False, True):
            monkeypatch.setattr(cluster, "CONNECT_S", 0.0 if refused else 0.2)
            if refused:
                server.close()
            with pytest.raises(ValueError, match="Connection refused" if refused else "no reply"):
                cluster.connect(f"tcp://127.0.0.1:{port}", True)


def test_no_scheduler_and_no_worker_are_one_sentence_each(dask, submissions, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(ValueError, match=rf"no Dask scheduler answers at {dask.address} .*`dask scheduler`"):
        batch.grade(submissions, tmp_path, SEED, dask.address, progress=False)
    with pytest.raises(ValueError, match="no Dask scheduler answers at nonsense://x"):
        cluster.connect("nonsense://x", True)
    monkeypatch.undo()
    dask.up()
    monkeypatch.setattr(cluster, "WORKERS_S", 0.2)
    with pytest.raises(ValueError, match=f"no worker has joined.* start one with `dask worker {dask.address}`"):
        cluster.connect(dask.address, True)


def test_a_worker_dies_and_every_record_is_as_of_an_undisturbed_run(dask, submissions, tmp_path, monkeypatch):
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    alone.mkdir(), spread.mkdir()
    dask.up("one", "two")
    batch.grade(submissions, alone, SEED, progress=False)
    with cluster.connect(dask.address, True) as client:
        client.wait_for_workers(2, timeout=60)

    starts, written, write_record, start = [], [], batch.write_record, batch.Progress.start
    monkeypatch.setattr(batch, "write_record", lambda s, *more: written.append(s.student) or write_record(s, *more))
    monkeypatch.setattr(batch.Progress, "start", lambda self, *more: starts.append(more) or start(self, *more))
    thread = threading.Thread(
        target=batch.grade, args=(submissions, spread, SEED), kwargs={"progress": False, "jobs": dask.address}
    )
    thread.start()
    victim = wait_for(lambda: next((where for name, where in starts if name.startswith("carl")), None))
    dask.kill(victim)  # a child of his has just been started: the notebook needs one for seconds
    thread.join(300)
    assert not thread.is_alive()

    assert sorted(written) == sorted(s.student for s in submissions)  # nothing lost, nothing written twice
    again = [name for name, _ in starts if sum(name == other for other, _ in starts) > 1]
    assert {name.split("/")[0] for name in again} == {"carl-ignores-label"}  # nor graded, but for what died with it
    assert {where for name, where in starts} == {"one", "two"}
    assert dict(starts)["carl-ignores-label/5_3_conditioning"] != victim  # the last to have it is the other one
    for s in submissions:
        assert plain(s.records(spread) / "results.json") == plain(s.records(alone) / "results.json"), s.student
    before = {s: (s.records(spread) / "results.json").read_bytes() for s in submissions}
    batch.grade(submissions, spread, SEED, "tcp://127.0.0.1:1", progress=False)  # nothing left to do
    assert {s: (s.records(spread) / "results.json").read_bytes() for s in submissions} == before


def test_a_worker_with_another_course_is_told_apart(dask, submissions, monkeypatch):
    dask.up("one")
    hashes = cluster.hashes_of
    monkeypatch.setattr(provenance, "grader_hash", lambda: "ours")
    with pytest.raises(ValueError, match=r"the worker tcp://127.* has another version of the course; install"):
        cluster.connect(dask.address, True)
    monkeypatch.undo()
    with cluster.connect(dask.address, True) as client:  # one that joins later is asked with each task
        monkeypatch.setattr(cluster, "hashes_of", lambda *a: hashes(*a) | {"settings": "others"})
        with pytest.raises(ValueError, match="another version of torch or of the course's data"):
            list(cluster.run(client, submissions, graders(submissions)))


def test_a_scheduler_that_goes_away_ends_the_run_with_one_sentence(dask, submissions):
    dask.up("one")
    client = cluster.connect(dask.address, True)
    dask.kill("scheduler")
    with pytest.raises(ValueError, match=r"the scheduler is gone .*finished grades are kept"):
        list(cluster.run(client, submissions, graders(submissions)))
    client.close(timeout=1)


def test_the_command_hands_the_address_on(tmp_path, submissions, monkeypatch, capsys):
    def asked(found, out, seed, jobs, *more, **others):
        raise ValueError(f"asked for {jobs}")

    monkeypatch.setattr(batch, "grade", asked)
    monkeypatch.setattr(child_process, "available", lambda: "none here, but the workers have one")
    with pytest.raises(SystemExit):
        main.main(["grade", str(submissions[0].folder.parents[1]), "--out", str(tmp_path), "--scheduler", "tcp://x:1"])
    assert capsys.readouterr().err == "autograder grade: asked for tcp://x:1\n"
