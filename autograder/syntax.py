"""One text at a time becomes a syntax tree.

Python 3.11 and 3.12 count the depth of a tree once for all threads: while one of them is interrupted by another that
parses too, it may fail with “AST constructor recursion depth mismatch”. Answers are judged in several threads.
"""

import ast
import threading

_one = threading.Lock()


def parse(source: str) -> ast.Module:
    """As `ast.parse`, and safe in threads."""
    with _one:
        return ast.parse(source)
