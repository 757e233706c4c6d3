"""Python source as a sequence of tokens in which a student's own names make no difference.

A name that the libraries define and that is called or looked up (`.softmax`, `linspace(`) is kept: a student who
renames things in a copy cannot rename torch. Every other name becomes the same token, and so does every string.
Comments, blank lines, docstrings and the layout of a line do not count. The source is never parsed into a tree, let
alone run: hostile nesting could crash the interpreter.
"""

import builtins
import functools
import io
import keyword
import math
import re
import tokenize
from collections.abc import Iterator

import numpy as np
import torch

NAME, TEXT, LINE, IN, OUT = "name", "text", "line", "in", "out"  # tokens that stand for many
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)
FIXED = {tokenize.STRING: TEXT, tokenize.NEWLINE: LINE, tokenize.INDENT: IN, tokenize.DEDENT: OUT}
WORDS = re.compile(r"\w+|[^\w\s]")

Token = tuple[str, int, int]  # (token, where it begins in the source, where it ends)


@functools.cache
def library_names() -> frozenset[str]:
    """What torch, NumPy, math and Python itself define."""
    modules = (torch, torch.nn, torch.nn.functional, torch.Tensor, math, np, builtins)
    return frozenset(name for module in modules for name in dir(module) if not name.startswith("__"))


def tokens(source: str) -> list[Token]:
    """The tokens that count, with their positions. From where Python cannot tokenize, words are used."""
    raw, found = list(_raw(source)), []
    for i, (kind, text, begin, end) in enumerate(raw):
        last = found[-1][0] if found else LINE
        if kind == tokenize.STRING and last in (LINE, IN, OUT):  # a docstring
            continue
        if kind in FIXED:
            text = FIXED[kind]
            if text == LINE and last == LINE:
                continue
        elif kind == tokenize.NAME and not keyword.iskeyword(text):
            called = i + 1 < len(raw) and raw[i + 1][1] == "("
            theirs = i > 1 and raw[i - 2][1] == "self"  # self.norm, although torch also has a norm
            text = text if (called or last == ".") and not theirs and text in library_names() else NAME
        found.append((text, begin, end))
    return found


def sorted_lines(found: list[Token]) -> list[Token]:
    """The same tokens with their statements in alphabetical order and no indentation: moving them changes nothing."""
    lines: list[list[Token]] = [[]]
    for token in found:
        if token[0] not in (IN, OUT):
            lines[-1].append(token)
        if token[0] == LINE:
            lines.append([])
    return [token for line in sorted(lines, key=lambda line: [t for t, _, _ in line]) for token in line]


def _raw(source: str) -> Iterator[tuple[int, str, int, int]]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    done = 0
    try:
        for t in tokenize.generate_tokens(io.StringIO(source).readline):
            if t.type not in SKIPPED:
                begin, end = (starts[min(row, len(starts)) - 1] + column for row, column in (t.start, t.end))
                done = max(done, end)
                yield t.type, t.string, begin, end
    except (tokenize.TokenError, SyntaxError):
        for word in WORDS.finditer(source, done):
            kind = tokenize.NAME if word[0].isidentifier() else tokenize.OP
            yield kind, word[0], word.start(), word.end()
