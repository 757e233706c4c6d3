"""Texts are parsed in several threads, and each gives its tree."""

import ast
import gc
import sys
import threading
from pathlib import Path

from autograder import syntax

SOURCE = Path(ast.__file__).read_text(encoding="utf-8")[:20_000].rsplit("\ndef ", 1)[0]


class Interrupting:
    """Garbage whose end takes a while, during which another thread may go on."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        for _ in range(300):
            pass


def test_threads_do_not_disturb_each_other():
    """By `ast.parse` alone many of these 160 fail in Python 3.11."""
    failed = []

    def parse():
        for _ in range(40):
            _garbage = [Interrupting() for _ in range(20)]
            try:
                syntax.parse(SOURCE)
            except SystemError as error:
                failed.append(error)

    before, interval = gc.get_threshold(), sys.getswitchinterval()
    threads = [threading.Thread(target=parse) for _ in range(4)]
    try:
        gc.set_threshold(50)
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)
    assert not failed
