"""Keeps a bounded part of what a child prints, however much that is."""

import os
import re
import selectors
import threading
from typing import BinaryIO

CHUNK = 1 << 16
TICK_S = 0.1
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # would move a terminal's cursor, or break an XML report


class Output(threading.Thread):
    """A thread that empties a pipe, so that its writer never blocks, and keeps the beginning and the end."""

    def __init__(self, pipe: BinaryIO, keep_bytes: int) -> None:
        super().__init__(name="output of a child", daemon=True)
        self._pipe = pipe
        self._half = keep_bytes // 2
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        fd = self._pipe.fileno()
        with selectors.PollSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            last = 32  # reads after the end: a pipe holds at most 1 MiB, unless a stray process still writes to it
            while last:
                stopped = self._ended.is_set()
                last -= stopped
                if selector.select(0 if stopped else TICK_S):
                    part = os.read(fd, CHUNK)
                    if not part:
                        return
                    self._add(part)
                    if self._dropped:  # a flood can wait: reading it at full speed would cost the grader a core
                        self._ended.wait(0.005)
                elif stopped:
                    return

    def _add(self, part: bytes) -> None:
        with self._lock:
            room = self._half - len(self._head)
            self._head += part[:room]
            self._tail += part[room:]
            surplus = max(0, len(self._tail) - self._half)
            del self._tail[:surplus]
            self._dropped += surplus

    def close(self) -> None:
        """Read what is still in the pipe, then stop. Its writers must be dead."""
        self._ended.set()
        if self.is_alive():
            self.join(2.0)

    def text(self) -> str:
        """Return what was kept as text that is safe to show."""
        with self._lock:
            head, tail = self._head.decode(errors="replace"), self._tail.decode(errors="replace")
        gap = f"\n[... {self._dropped:,} bytes left out ...]\n" if self._dropped else ""
        return CONTROL.sub("�", (head + gap + tail).replace("\r", "\n"))
