"""Handles what a kernel accepts and plain Python does not: IPython's syntax and names, and top-level `await`.

No shell command is run, and of the magics only those that run the code behind them. The others are left out; those that
could make a difference are noted.
"""

import ast
import asyncio
import contextlib
import inspect
import linecache
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

Note = Callable[[Any], None]  # takes what the student should be told: words that grading/remarks.py knows, or an error


def unheard(what: Any) -> None:
    """Ignore a note."""


FILE = "<cell {}>"  # the file name in tracebacks
TIMED = ("time", "capture", "prun")  # magics that run the code behind them
HARMLESS = {  # magics that can be left out without changing what the code does
    *("autoreload", "colors", "config", "debug", "history", "load_ext", "lsmagic", "matplotlib", "pdb", "pdoc", "pdef"),
    *("pfile", "pinfo", "pinfo2", "precision", "psearch", "psource", "pwd", "reload_ext", "tb", "timeit", "who"),
    *("who_ls", "whos", "xmode"),
}


def file_of(cell: str) -> str:
    return FILE.format(cell)


def cell_of(file: str | None) -> str | None:
    """Return the cell to which a file name refers; None for any other file."""
    start, end = FILE.split("{}")
    known = file and file.startswith(start) and file.endswith(end)
    return file[len(start) : -len(end)] if known else None


class Shell:
    """Stands in for IPython's shell, which cells get from get_ipython()."""

    def __init__(self, names: dict[str, Any], note: Note):
        self.user_ns, self.config, self._note = names, {}, note

    def run_line_magic(self, name: str, line: str, *rest: Any) -> Any:
        if name not in TIMED:
            return self._left_out(name)
        try:
            return eval(line, self.user_ns)
        except SyntaxError:
            return exec(line, self.user_ns)

    def run_cell_magic(self, name: str, *rest: Any) -> None:
        self._left_out(name)

    def getoutput(self, command: str, *rest: Any) -> list[str]:
        self._left_out()
        return []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._left_out()

    def _left_out(self, magic: str = "") -> None:
        frame = sys._getframe(2)
        if magic not in HARMLESS and (cell := cell_of(frame.f_code.co_filename)):
            self._note(f"left out: {cell} {frame.f_lineno}")


def names_of_ipython(names: dict[str, Any], note: Note, mentioned: bool) -> dict[str, Any]:
    """Return the names that IPython adds to a cell's namespace.

    If the cells mention IPython (`mentioned`), they may import it, so the package is patched as well.
    """
    shell = Shell(names, note)
    if mentioned:
        with contextlib.suppress(ImportError):
            import IPython

            IPython.get_ipython = IPython.core.getipython.get_ipython = lambda: shell
    return {"get_ipython": lambda: shell, "display": lambda *things, **options: None}


def python(source: str, cell: str, note: Note) -> str:
    """Return IPython source as plain Python, line by line."""
    from IPython.core.inputtransformer2 import TransformerManager  # slow to load and seldom needed

    blank = len(source) - len(source.lstrip("\r\n"))
    above, rest = source[:blank], source[blank:]
    if rest.startswith("%%"):
        first, _, rest = rest.partition("\n")
        magic = first[2:].split(maxsplit=1)[0] if first[2:].strip() else ""
        if magic not in TIMED:
            note(f"left out: {cell} {above.count(chr(10)) + 1}")
            return ""
        return above + "\n" + python(rest, cell, note)
    return above + TransformerManager().transform_cell(rest)


def compiled(source: str, cell: str, flags: int, note: Note) -> CodeType:
    """Compile a cell as a kernel would, and store its text where `inspect` finds it; SyntaxError if it is not code.

    `flags`: what earlier cells imported from __future__, which in a kernel also applies to later ones. This file's own
    imports never apply.
    """
    file, flags = file_of(cell), flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        code = compile(source, file, "exec", flags, dont_inherit=True)
    except SyntaxError:
        try:
            text = python(source, cell, note)
        except Exception:  # it is not IPython's syntax either, or IPython is not installed
            text = source
        if text == source:
            raise
        code, source = compile(text, file, "exec", flags, dont_inherit=True), text
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    return code


class Loop(asyncio.SelectorEventLoop):
    """An event loop without the sockets through which other threads wake it: here are no sockets or other threads."""

    def _make_self_pipe(self) -> None: ...
    def _close_self_pipe(self) -> None: ...
    def _write_to_self(self) -> None: ...


def run(code: CodeType, names: dict[str, Any]) -> None:
    """Run a cell's code to its end, including what it awaits."""
    if code.co_flags & inspect.CO_COROUTINE:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(eval(code, names))
    else:
        exec(code, names)
