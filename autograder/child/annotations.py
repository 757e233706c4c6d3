"""Annotations of nested functions, which are evaluated when the outer function is called, after the cell has run."""

import ast
import builtins
from collections.abc import Iterator
from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def unknown(source: str, names: dict[str, Any]) -> bool:
    """Whether such an annotation uses a name that neither the cell nor `names` has, but another cell may import.

    Annotations of top-level functions are evaluated as the cell runs, so a missing name shows up there.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    inner = [n for f in ast.walk(tree) if isinstance(f, FUNCTIONS) for n in ast.walk(f) if n is not f]
    wanted = {n.id for hint in hints(inner) for n in ast.walk(hint) if isinstance(n, ast.Name)}
    return not wanted <= {*dir(builtins), *names, *bound(tree)}


def hints(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Yield the annotations of these functions' parameters and results, and of these classes' fields."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            args = node.args
            every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
            yield from (a.annotation for a in every if a and a.annotation)
            yield from [node.returns] if node.returns else ()
        elif isinstance(node, ast.ClassDef):
            yield from (n.annotation for n in node.body if isinstance(n, ast.AnnAssign))


def bound(tree: ast.AST) -> Iterator[str]:
    """Yield every name that the cell binds, anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
