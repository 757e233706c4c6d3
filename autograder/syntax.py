"""Parses one source at a time.

Python 3.11 and 3.12 keep one count of the tree's depth for all threads, so if two threads parse at once, one may fail
with “AST constructor recursion depth mismatch”. Answers are judged in several threads.
"""

import ast
import threading

_one = threading.Lock()


def parse(source: str) -> ast.Module:
    """Do what `ast.parse` does, but thread-safe."""
    with _one:
        return ast.parse(source)
