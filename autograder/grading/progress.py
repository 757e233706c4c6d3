"""How far a batch has got, in a small file beside its records, for `autograder status` in another terminal."""

import contextlib
import json
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograder.grading import private

try:
    import fcntl
except ImportError:  # Windows, where nothing is graded, but `autograder check` must be able to say so
    fcntl = None

FILE, LOCK = ".progress.json", ".lock"  # no student's folder starts with a dot


@contextlib.contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Two graders at once would overwrite each other's records; ValueError if there is another.

    The kernel releases the lock however its holder ends, so none is ever left behind.
    """
    if fcntl is None:
        raise ValueError("grading needs Linux or macOS; on Windows, run `wsl --install` and grade inside WSL")
    private.close(out / LOCK)
    with (out / LOCK).open("w") as f:
        for tries_left in (2, 1, 0):
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as e:
                if not tries_left:
                    raise ValueError(
                        f"another `autograder grade` is writing to {out}; wait for it, or choose another --out"
                    ) from e
                time.sleep(0.1)  # `autograder status` holds it for a moment
        yield


def is_locked(out: Path) -> bool:
    """Whether a grader is writing to this folder now."""
    with contextlib.suppress(FileNotFoundError, AttributeError), (out / LOCK).open() as f:
        try:
            fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


class Progress:
    """Keeps the file up to date, from several threads. Its errors never cost a grade."""

    def __init__(self, out: Path, total: int, kept: list[str]) -> None:
        """`kept`: the outcomes of records that existed already."""
        self._out, self._lock, self._finished = out, threading.Lock(), set()
        self._state: dict[str, Any] = {
            **{"pid": os.getpid(), "host": platform.node(), "started": time.time(), "ended": None},
            **{"total": total, "kept": len(kept), "done": len(kept), "outcomes": dict(Counter(kept)), "running": {}},
        }
        self._save()

    def start(self, name: str, where: str = "") -> None:
        """A submission is being judged; called again if its worker was lost and another takes it."""
        with self._lock:
            if name not in self._finished:  # on a cluster, this can arrive after the result
                self._state["running"][name] = [time.time(), where]
                self._save()

    def finish(self, name: str, outcome: str) -> None:
        with self._lock:
            self._finished.add(name)
            self._state["running"].pop(name, None)
            self._state["done"] += 1
            self._state["outcomes"][outcome] = self._state["outcomes"].get(outcome, 0) + 1
            self._save()

    def end(self) -> None:
        """Everything requested is graded."""
        with self._lock:
            self._state["ended"] = time.time()
            self._save()

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk is reported when a record is written
            private.write_text(self._out / FILE, json.dumps(self._state) + "\n")


def state(out: Path) -> dict[str, Any]:
    """What the file says, and whether a grader is running; ValueError if no batch was graded into `out`."""
    try:
        s = json.loads((out / FILE).read_text(encoding="utf-8"))
        s["done"], s["total"], s["kept"], s["outcomes"], s["running"], s["started"], s["ended"]
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"no batch was graded into {out}; give its folder with --out") from None
    except (ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{out / FILE} is damaged; run the same `autograder grade` again") from e
    return s | {"at_work": is_locked(out)}


def describe(out: Path, now: float | None = None) -> str:
    """What `autograder status` prints; ValueError if no batch was graded into `out`."""
    s, now = state(out), time.time() if now is None else now
    done, total, kept = s["done"], s["total"], s["kept"]
    outcomes = ", ".join(f"{n} {name}" for name, n in sorted(s["outcomes"].items()))
    lines = [f"{done} of {total} submission(s) done" + (f": {outcomes}" if outcomes else "")]
    if not s["at_work"] and s["ended"]:
        return "\n".join([*lines, f"finished {span(now - s['ended'])} ago, after {span(s['ended'] - s['started'])}"])
    if not s["at_work"]:
        who = f"process {s['pid']} on {s['host']}"
        return "\n".join([*lines, f"not running: {who} stopped before it was done; run the same command to continue"])
    elapsed, here = now - s["started"], done - kept
    left = f"about {span(elapsed / here * (total - done))} left" if here else "no estimate yet"
    lines.append(f"running for {span(elapsed)} as process {s['pid']} on {s['host']}, {left}")
    if done == total:
        lines.append("writing the tables and the gradebook")
    for name, (since, where) in sorted(s["running"].items(), key=lambda item: item[1][0]):
        short = name if len(name) <= 60 else f"{name[:59]}…"
        lines.append(f"  {short}: for {span(now - since)}" + (f" on {where}" if where else ""))
    return "\n".join(lines)


def span(seconds: float) -> str:
    """A readable duration: 45 s, 3 min 20 s, 2 h 5 min."""
    s = max(0, round(seconds))
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60} min"
