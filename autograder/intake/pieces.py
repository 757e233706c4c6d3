"""Decides which pieces of an answer cell that was split, copied or merged are the answer. Nothing is executed.

Jupyter gives every piece the metadata of the whole cell. The answer is what a kernel would have after running them in
order: the last definition of the name and what it builds on, but not cells that only try it out, and never a stub.
"""

import ast
import re
import symtable
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autograder.syntax import parse

MOST, MOST_TEXT = 16, 60_000  # pieces, and characters in total, that are put together: trying them takes time
# What only IPython understands. Possessive: a line of blanks and question marks would otherwise take quadratic time.
LINE = re.compile(r"^([ \t]*+)(?:[%!?].*|[^\n#]*\?)[ \t]*$|(?<==)[ \t]*+[%!].*$", re.M)


FUTURE = re.compile(r"^from __future__ import [^\n(]*\n", re.M)
LAST = "the last one was graded"


@dataclass(frozen=True)
class Names:
    """The names that a piece of code binds at its top level, and those that it reads."""

    defined: frozenset[str]  # by def or class
    bound: frozenset[str]
    wanted: frozenset[str]
    again: frozenset[str]  # rebound from their old values, as in `f = compiled(f)`


def put_together(name: str, cells: Sequence[str], is_stub: Callable[[str], object]) -> tuple[str, str]:
    """Return the answer `name` from the cells with this name, and how it was chosen, or "" if there was no choice."""
    filled = [c for c in dict.fromkeys(reversed(cells)) if c.strip()][::-1]
    own = [c for c in filled if not is_stub(c)]
    if len(filled) < 2:
        return (filled or cells)[-1], LAST if sum(bool(c.strip()) for c in cells) > 1 else ""
    if len(own) > MOST or sum(map(len, own)) > MOST_TEXT:
        return own[-1], LAST
    parts = _glued(name, own)
    known = [names_of(part) for part in parts]
    defining = [i for i, k in enumerate(known) if k and name in k.defined]
    defining = defining or [i for i, k in enumerate(known) if k and name in k.bound]
    if not defining:
        begun = re.compile(rf"^[ \t]*(?:(?:def|class)[ \t]+{re.escape(name)}\b|{re.escape(name)}[ \t]*=)", re.M)
        broken = [c for c in own if begun.search(c)]
        return (broken or [c for c in filled if is_stub(c)] or own)[-1], LAST
    taken = _with_what_it_needs(name, known, defining[-1])
    text = _one_after_another([parts[i] for i in taken]) if len(own) > 1 else own[0]
    return text, _how(set(range(len(parts))) - set(taken), set(defining), known, len(own))


def _one_after_another(parts: Sequence[str]) -> str:
    text = "\n\n".join(part.rstrip() for part in parts) + "\n"
    first = "".join(FUTURE.findall(text))  # Python requires these to come first
    return first + FUTURE.sub("", text) if first else text


def _how(left: set[int], defining: set[int], known: Sequence["Names | None"], pieces: int) -> str:
    if left & defining:
        return "they define it differently, and the last one that does was graded"
    if any(known[i] is None for i in left):
        return "the one that defines it was graded, without a piece that is not Python by itself"
    if left:
        return "the one that defines it was graded, without what it does not need"
    return "the answered one was graded" if pieces == 1 else "its pieces were graded together, in order"


def defines(name: str, source: str) -> bool:
    """Whether the source defines `name` at its top level."""
    known = names_of(source)
    return known is not None and name in known.bound


def names_of(source: str) -> Names | None:
    """Return the names in a source; None if it is neither Python nor IPython, or too long to examine."""
    for text in _readings(source) if len(source) <= MOST_TEXT else ():
        try:
            tree, table = parse(text), symtable.symtable(text, "<cell>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if any(isinstance(node, ast.Return) for node in tree.body):  # the end of a function without its beginning
            continue
        symbols = table.get_symbols()
        bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()}
        star = {"*"} if any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in tree.body) else set()
        defined = {s.get_name() for s in symbols if s.is_namespace()}
        again = {s.get_name() for s in symbols if s.is_assigned() and s.is_referenced()} - defined
        bound |= star | set(_changed(tree))
        return Names(*map(frozenset, (defined, bound, _wanted(table), again)))
    return None


def _readings(source: str) -> Iterator[str]:
    yield source
    yield LINE.sub(lambda m: f"{m[1]}pass" if m[1] is not None else " None", textwrap.dedent(source))


def _wanted(top: symtable.SymbolTable) -> Iterator[str]:
    """Yield the global names that the code reads, at its top level or inside its functions and classes."""
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        yield from (s.get_name() for s in table.get_symbols() if s.is_referenced() and (table is top or s.is_global()))


def _changed(tree: ast.Module) -> Iterator[str]:
    """Yield the names of what is changed in place: `Net.forward = …`, `table[0] = …`, `@method_of(Net)`."""
    for node in tree.body:
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        parts = [t for t in targets if isinstance(t, ast.Attribute | ast.Subscript)]
        for part in [*parts, *getattr(node, "decorator_list", ())]:
            yield from (n.id for n in ast.walk(part) if isinstance(n, ast.Name))


def _glued(name: str, cells: Sequence[str]) -> list[str]:
    """Join cells that were cut within a statement. An indented cell continues the one before it."""
    parts: list[str] = []
    at = 0
    while at < len(cells):
        part, end = cells[at], at + 1
        if names_of(part) is None:
            longer = ((sep.join(cells[at:j]), j) for j in range(at + 2, len(cells) + 1) for sep in ("\n", ""))
            part, end = next(((text, j) for text, j in longer if names_of(text)), (part, end))
        if parts and part[:1] in " \t" and not defines(name, textwrap.dedent(part)):
            whole = f"{parts[-1].rstrip()}\n{part}"
            if names_of(whole):
                parts[-1], part = whole, ""
        parts += [part] if part else []
        at = end
    return parts


def _with_what_it_needs(name: str, known: Sequence[Names | None], main: int) -> list[int]:
    """Return the last definition, the pieces that it builds on, and those that change it afterwards, in order."""
    taken = {main}
    while True:
        needed = {name, "*"}.union(*(known[i].wanted for i in taken))
        bound = frozenset().union(*(known[i].bound - known[i].again for i in taken))
        for i in reversed(range(len(known))):
            if i not in taken and known[i] and known[i].bound & (needed if i > main else needed - bound):
                taken.add(i)
                break
        else:
            return sorted(taken)
