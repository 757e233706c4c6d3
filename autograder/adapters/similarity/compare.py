"""Which answers share more than chance allows: fingerprints by winnowing (Schleimer, Wilkerson & Aiken 2003), as in the
library copydetect, on sequences of tokens.

A fingerprint is a run of LENGTH tokens. Two texts are compared as written, where reordering functions breaks the runs
across their boundaries, and with their statements sorted, where reordering changes nothing. The more similar view
counts. Runs from the released notebook do not count, nor do those that most of a class shares.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from copydetect import CodeFingerprint, compare_files
from copydetect.utils import get_token_coverage

from autograder.adapters.similarity.tokens import Token, sorted_lines, tokens

LENGTH = 12  # tokens: everyone who writes torch shares shorter runs; longer ones miss short answers
WINDOW = 1  # of winnowing: keep every run, since answers are short
ENOUGH = 25  # tokens of an answer's own; fewer prove nothing
CELL = 60  # likewise for one answer cell of several: a short one has few right forms
CLASS, COMMON = 10, 0.5  # in a class this large, code shared by more than this fraction does not count

Span = tuple[int, int]  # of characters


@dataclass(frozen=True)
class Row:
    """Tokens where copydetect expects a text file: it only takes slices, hashes and lengths of either."""

    tokens: tuple[str, ...]

    def read(self) -> tuple[str, ...]:
        return self.tokens


@dataclass
class View:
    """A text as a sequence of tokens: its fingerprints, and each token's place in the text."""

    prints: CodeFingerprint
    places: list[Span]

    def forget(self, nobodys: set[int]) -> None:
        """Drop fingerprints."""
        p = self.prints
        p.hash_idx = {h: where for h, where in p.hash_idx.items() if h not in nobodys}
        p.hashes = set(p.hash_idx)
        p.token_coverage = get_token_coverage(p.hash_idx, LENGTH, len(p.filtered_code)) if p.hash_idx else 0


@dataclass
class Source:
    """One text to compare: a student's answers to an exercise, or a file of the course."""

    name: str
    text: str
    ours: bool = False  # the course's own: matched with students' answers, never with each other
    part: str = ""  # the answer cell, if it is one of several: matched only with the course's own
    views: tuple[View, ...] = ()  # as written, and with its statements sorted

    def own(self) -> int:
        """Tokens, as written, in fingerprints that count."""
        return int(self.views[0].prints.token_coverage)


@dataclass(frozen=True)
class Match:
    """Two texts, the share of each found in the other, and where."""

    a: Source
    b: Source
    share_a: float
    share_b: float
    spans_a: tuple[Span, ...]
    spans_b: tuple[Span, ...]

    @property
    def similarity(self) -> float:
        """Of two answers the smaller share; of an answer and a long file of the course, the answer's."""
        return self.share_a if self.b.ours else min(self.share_a, self.share_b)


def fingerprints(sources: Sequence[Source], boilerplate: Sequence[str]) -> None:
    """Fill in the views of all sources, without what is in the boilerplate or common to the class."""
    stubs = [_views(text) for text in boilerplate]
    for s in sources:
        s.views = _views(s.text)
    students = [s for s in sources if not s.ours and not s.part]
    for i in (0, 1):
        nobodys = {h for views in stubs for h in views[i].prints.hashes}
        if len(students) >= CLASS:
            counts = Counter(h for s in students for h in s.views[i].prints.hashes)
            nobodys |= {h for h, n in counts.items() if n > COMMON * len(students)}
        for s in sources:
            s.views[i].forget(nobodys)


def _views(text: str) -> tuple[View, View]:
    written = tokens(text)
    return _view(written), _view(sorted_lines(written))


def _view(found: Sequence[Token]) -> View:
    row = Row(tuple(token for token, _, _ in found))
    prints = CodeFingerprint("answer.py", LENGTH, WINDOW, filter=False, fp=row)
    return View(prints, [(begin, end) for _, begin, end in found])


def matches(sources: Sequence[Source], threshold: float) -> list[Match]:
    """Pairs of students, and of a student and the course, that are at least this similar; most similar first."""
    answers = [s for s in sources if not s.ours and s.own() >= (CELL if s.part else ENOUGH)]
    students = [s for s in answers if not s.part]
    pairs = [*combinations(students, 2), *((s, c) for s in answers for c in sources if c.ours)]
    found = [m for a, b in pairs if (m := best(a, b, threshold)) and m.similarity >= threshold]
    whole = {(m.a.name, m.b.name) for m in found if not m.a.part}
    found = [m for m in found if not m.a.part or (m.a.name, m.b.name) not in whole]  # report it once
    return sorted(found, key=lambda m: (-m.similarity, m.a.name, m.b.name))


def best(a: Source, b: Source, threshold: float = 0.0) -> Match | None:
    """The match in the more similar view; None if both are far below the threshold."""
    found = [m for i in (0, 1) if (m := _match(a, b, i, threshold))]
    return max(found, key=lambda m: m.similarity, default=None)


def _match(a: Source, b: Source, view: int, threshold: float) -> Match | None:
    x, y = a.views[view], b.views[view]
    shared = len(x.prints.hashes & y.prints.hashes)
    if not shared or shared < 0.3 * threshold * len(x.prints.hashes):  # no need to look further
        return None
    _, shares, slices = compare_files(x.prints, y.prints)
    spans = [_spans(v, found) for v, found in zip((x, y), slices)]
    return Match(a, b, *(min(1.0, float(s)) for s in shares), *spans)


def _spans(view: View, slices: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    """Places in the text of runs of tokens; neighbours in the view can be far apart in the text."""
    spans: list[Span] = []
    for first, end in zip(*slices):
        for begin, stop in sorted(view.places[int(first) : int(end)]):
            if spans and spans[-1][1] <= begin <= spans[-1][1] + 1:
                spans[-1] = (spans[-1][0], stop)
            else:
                spans.append((begin, stop))
    return tuple(sorted(spans))
