"""Pairs grouped: who shares a text, and where an answer is in the course's own sources."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.adapters.similarity.compare import Match, Source, Span

Found = tuple[str, str, Match]  # (assignment, exercise, match)
NEAR = 3  # lines between two matching places that a reader sees as one
PLACES, LEAST = 3, 0.2  # places named per file, none much smaller than the largest
NAMED = re.compile(r"^(?:class|def)[ \t]+(\w+)", re.M)


@dataclass(frozen=True)
class Group:
    """Students whose answers to one exercise are linked by matches, each with at least one of the others."""

    assignment: str
    exercise: str
    number: int  # within the exercise, from 1, largest first
    students: tuple[str, ...]
    pairs: int
    lowest: float  # similarity of a pair in it, and the highest
    highest: float
    course: dict[str, int]  # the course's sources that members' answers also match, and how many do

    @property
    def name(self) -> str:
        return f"{self.exercise} {self.number}"


def groups(found: Sequence[Found]) -> list[Group]:
    """Connected components of the pairs of students, by exercise; largest first."""
    leader: dict[tuple[str, str, str], str] = {}

    def top(key: tuple[str, str], student: str) -> str:
        while (above := leader.setdefault((*key, student), student)) != student:
            leader[*key, student] = leader[*key, above]  # halves the way for the next: in a large group it grows long
            student = above
        return student

    pairs = [((a, e), m) for a, e, m in found if not m.b.ours]
    for key, m in pairs:
        leader[*key, top(key, m.a.name)] = top(key, m.b.name)
    members, matches, course = defaultdict(set), defaultdict(list), defaultdict(lambda: defaultdict(set))
    for key, m in pairs:
        group = (*key, top(key, m.a.name))
        members[group] |= {m.a.name, m.b.name}
        matches[group].append(m.similarity)
    for a, e, m in found:
        if m.b.ours and (a, e, m.a.name) in leader:
            course[a, e, top((a, e), m.a.name)][m.b.name].add(m.a.name)
    made: list[Group] = []
    for group in sorted(members, key=lambda g: (*g[:2], -len(members[g]), sorted(members[g]))):
        assignment, exercise, _ = group
        number = 1 + sum((g.assignment, g.exercise) == (assignment, exercise) for g in made)
        also = {name: len(who) for name, who in sorted(course[group].items(), key=lambda item: -len(item[1]))}
        figures = len(matches[group]), min(matches[group]), max(matches[group])
        made.append(Group(assignment, exercise, number, tuple(sorted(members[group])), *figures, also))
    return sorted(made, key=lambda g: (-len(g.students), -g.highest, g.name))


def group_of(found: Sequence[Group], assignment: str, exercise: str, m: Match) -> str:
    """The name of a pair's group; for an answer and the course, the student's group, if any."""
    own = (g for g in found if (g.assignment, g.exercise) == (assignment, exercise) and m.a.name in g.students)
    return next((g.name for g in own), "")


def where(source: Source, spans: Sequence[Span]) -> str:
    """The places in a text of the course for a reader to open: what is defined there, and the lines in a file."""
    runs: list[tuple[int, int, int]] = []  # first line, last line, characters that match
    for begin, end in sorted(spans):
        first, last = (source.text.count("\n", 0, at) + 1 for at in (begin, max(begin, end - 1)))
        if runs and first - runs[-1][1] <= NEAR:
            runs[-1] = runs[-1][0], max(last, runs[-1][1]), runs[-1][2] + end - begin
        else:
            runs.append((first, last, end - begin))
    most = sorted(runs, key=lambda r: -r[2])[:PLACES]
    lines, file = source.text.split("\n"), source.name.endswith(".py")
    told: list[str] = []
    for first, last, size in sorted(most):
        if size < LEAST * most[0][2]:
            continue
        around = NAMED.findall("\n".join(lines[:first]))[-1:]  # it starts inside this one
        names = dict.fromkeys([*around, *NAMED.findall("\n".join(lines[first:last]))])
        told += [f"{', '.join(names)} (lines {first}–{last})"] if file else [*names]
    return "; ".join(dict.fromkeys(told))
