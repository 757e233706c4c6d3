"""Parses one text at a time into a syntax tree.

Python 3.11 and 3.12 count the depth of a tree once for all threads. If one thread is interrupted by another that also
parses, it can fail with “AST constructor recursion depth mismatch”. Answers are judged in several threads.
"""

import ast
import threading

_one = threading.Lock()


def parse(source: str) -> ast.Module:
    """Like `ast.parse`, but thread-safe."""
    with _one:
        return ast.parse(source)
