"""The same work on a Dask cluster: one task per submission, sent as bytes; its files come back as bytes.

The machines share only the installed course: no network disk that shows a file late or half-written, and no worker that
could overwrite another's record. Records are written here, once each, by the process that holds the batch's lock. So a
worker may die at any moment, and Dask gives its task to another.
"""

import contextlib
import functools
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from autograder.exercises import EXERCISES
from autograder.grading import provenance
from autograder.grading.first_contact import check_scheduler, hush
from autograder.grading.grader import Grader, make_grader
from autograder.grading.submission import hashes_of, judge_submission
from autograder.intake.extract import Unreadable, read_slim
from autograder.intake.submissions import Submission
from autograder.sandbox import child_process
from autograder.sandbox.scratch import temporary

CONNECT_S = 10.0  # a scheduler on the same network answers at once
WORKERS_S = 60.0  # without any worker; wait for a batch system's queue before a run, not during it
TICK_S = 1.0
TOPIC = "autograder"
DEAD = "is gone or was restarted; finished grades are kept: start it, and run the same command again"


@dataclass(frozen=True)
class Work:
    """One submission, as sent to a worker."""

    student: str
    assignment: str
    only: tuple[str, ...]
    files: dict[str, bytes | str]  # by notebook: the content, or why there is none
    said: dict[str, str]  # by notebook, if handed in under another name
    seed: int
    sandboxed: bool
    hashes: dict[str, str]  # of the submission, and of the grader and settings, which the worker must match


class WrongWorker(ValueError):
    """A worker that would grade differently from this machine."""


def pack(s: Submission, graders: dict[str, Grader]) -> Work:
    """Read a submission once, here, so that what travels matches its hash."""
    hashes, files = hashes_of(s, graders), {}
    for name, path in s.files.items():
        try:
            files[name] = s.problem(name) or read_slim(path)
        except Unreadable as e:
            files[name] = str(e)
    first = graders[s.exercises[0].name]
    said = {name: taken for name in files if (taken := s.taken(name))}
    return Work(s.student, s.assignment, s.only, files, said, first.seed, first.sandboxed, hashes)


def judge(work: Work, name: str) -> dict[str, bytes]:
    """On a worker: the files of the submission's record; WrongWorker if its course differs."""
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(TOPIC, {"name": name, "where": worker.name if isinstance(worker.name, str) else worker.address})
    torch.set_num_threads(1)  # as in a batch on one machine
    with temporary() as scratch:
        unreadable = {n: content for n, content in work.files.items() if isinstance(content, str)}
        s = Submission(work.student, work.assignment, Path(scratch), work.only, unreadable, work.said)
        graders = {e.name: _grader(e.assignment, e.name, work.seed, work.sandboxed) for e in s.exercises}
        here = provenance.hashes({}, graders)
        if differing := [part for part in ("grader", "settings") if here[part] != work.hashes[part]]:
            raise WrongWorker(_wrong(worker.address, differing[0]))
        for n, content in work.files.items():
            if isinstance(content, bytes):
                s.files[n].write_bytes(content)
        return judge_submission(s, graders, work.hashes, lambda text: None)


@functools.lru_cache(maxsize=32)
def _grader(assignment: str, name: str, seed: int, sandboxed: bool) -> Grader:
    """Once per worker: a gate's classifier takes a second to load."""
    return make_grader(EXERCISES[assignment, name], seed, sandboxed)


def introduce() -> dict[str, Any]:
    """On a worker: what it is, before it gets work."""
    return {"host": platform.node(), "grader": provenance.grader_hash(), "sandbox": child_process.available()}


def _wrong(worker: str, part: str) -> str:
    what = "another version of the course" if part == "grader" else "another version of torch or of the course's data"
    return f"the worker {worker} has {what}; install the same as here, and restart it"


def connect(address: str, sandboxed: bool) -> Any:
    """A client of the scheduler, if all its workers can do this work; ValueError with one sentence otherwise."""
    from distributed import Client

    hush()
    check_scheduler(address, CONNECT_S)
    client = Client(address, timeout=CONNECT_S, set_as_default=False)
    try:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as e:
            raise ValueError(
                f"no worker has joined the scheduler at {address}; start one with `dask worker {address}`"
            ) from e
        for worker, said in client.run(introduce, on_error="return").items():
            if isinstance(said, BaseException):
                raise WrongWorker(f"the worker {worker} cannot load the course ({_first_line(said)}); install it there")
            if said["grader"] != provenance.grader_hash():
                raise WrongWorker(_wrong(worker, "grader"))
            if sandboxed and said["sandbox"]:
                raise WrongWorker(f"on the worker {worker} ({said['host']}): {said['sandbox']}")
    except BaseException as e:
        client.close()
        if isinstance(e, OSError):
            raise ValueError(f"the scheduler {DEAD}") from e
        raise
    return client


def run(
    client: Any,
    submissions: Sequence[Submission],
    graders: dict[str, Grader],
    started: Callable[[str, str], None] = lambda name, where: None,
) -> Iterator[tuple[Submission, dict[str, bytes] | str]]:
    """Each submission, as it finishes, with the files of its record, or with the reason why there are none.

    Only a few are sent at a time, so that the scheduler does not hold a whole class in memory. ValueError if the
    cluster is gone, or if there has been no worker for a minute.
    """
    from distributed import wait

    client.subscribe_topic(TOPIC, lambda event: started(event[1]["name"], event[1]["where"]))
    waiting, going, batch, seen = list(reversed(submissions)), {}, uuid4().hex[:8], time.monotonic()
    try:
        while waiting or going:
            workers = _threads(client)
            seen = time.monotonic() if workers else seen
            if time.monotonic() - seen > WORKERS_S:
                raise ValueError(
                    "no worker is left in the cluster; finished grades are kept: start a worker, and run the same "
                    "command again"
                )
            while waiting and len(going) < 2 * max(1, sum(workers.values())):
                s = waiting.pop()
                task = f"autograder-{batch}-{len(waiting)}"
                going[client.submit(judge, pack(s, graders), s.name, key=task, pure=False)] = s
            try:
                with client.as_current():
                    ready = wait(list(going), timeout=TICK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue
            for future in ready:
                yield going.pop(future), _result(future)
                future.release()  # after the record is written, so the worker can forget it
    finally:
        with contextlib.suppress(Exception):  # also if nobody is left to tell
            client.cancel(list(going))


def _threads(client: Any) -> dict[str, int]:
    """Threads by worker; ValueError if there is no scheduler to ask."""
    try:
        if client.status == "running":
            return client.nthreads()
    except (OSError, TimeoutError):  # it has just gone away
        pass
    raise ValueError(f"the scheduler {DEAD}")


def _result(future: Any) -> dict[str, bytes] | str:
    """The files, or a sentence if the submission could not be graded on this cluster."""
    from distributed.scheduler import KilledWorker

    if future.status == "cancelled" or future.status == "lost":
        raise ValueError(f"the scheduler {DEAD}")
    try:
        return future.result(timeout=60)
    except WrongWorker:
        raise
    except KilledWorker as e:
        return f"Every worker that tried to grade it was lost, most recently {e.last_worker.address}."
    except Exception as e:  # our fault: the others continue
        return f"The worker failed ({_first_line(e)})."


def _first_line(e: BaseException) -> str:
    return (str(e).strip().splitlines() or [type(e).__name__])[0]
