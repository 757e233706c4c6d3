"""The report's sections, each a function from entries to HTML."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from autograder.adapters.report import figures, widgets
from autograder.adapters.report.figures import FAILED, HELD, NOT_RUN, PART, Entry, Misconception
from autograder.adapters.report.widgets import chips, esc, folded, percent, plural
from autograder.grading.results import OUTCOMES

TOP = 12  # properties and misconceptions shown before the rest is folded away
FEW = 3  # a property that so few answers were judged on tells nothing of a class
OUTCOME_CLASS = {"graded": "held", "infrastructure_error": "part", "missing": "none"}  # any other: failed
MEANING = {
    "graded": "the checks ran",
    "timeout": "an answer hung",
    "crash": "an answer died, or could not be loaded",
    "invalid_output": "an answer returned what is no result",
    "missing": "no notebook, no answer cell, or still the stub",
    "infrastructure_error": "the grader's own failure: no score, graded again by the same command",
}


def overview(found: Sequence[Entry]) -> str:
    """The tiles on top."""
    students = {e.student for e in found}
    shares = [e.share for e in found if e.share is not None]
    full = sum(s >= 1 for s in shares)
    again = sum(e.outcome == "infrastructure_error" for e in found)
    values = [
        (f"{len(students):,}", "student" if len(students) == 1 else "students"),
        (f"{len(found):,}", "notebook" if len(found) == 1 else "notebooks"),
        (percent(statistics.median(shares) if shares else None), "median of a notebook's points"),
        (percent(full / len(shares) if shares else None), "of the notebooks have full marks"),
    ]
    return widgets.tiles([*values, (f"{again:,}", "to grade again")] if again else values)


def news(found: Sequence[Entry], groups: Sequence[Misconception]) -> str:
    """What an instructor would want to be told first."""
    lines = []
    if again := [f"{e.student} ({e.exercise})" for e in found if e.outcome == "infrastructure_error"]:
        lines.append(
            f"<b>{plural(len(again), 'notebook')} could not be graded</b>, through no fault of the student's. No score "
            f"was given; the same <code>autograder grade</code> command tries again. {chips(again)}"
        )
    worst = [c for c in _ranked(found) if c.judged >= FEW and c.failing >= 0.2]
    if worst:
        c = worst[0]
        lesson = figures.lesson_of(c.assignment, c.exercise, c.check)
        lines.append(
            f"The property that fails most often is <b>{esc(c.check)}</b> ({esc(c.exercise)}): {percent(c.failing)} of "
            f"{plural(c.judged, 'answer')} lose points on it. {esc(_sentence(lesson))}"
        )
    if groups and len(groups[0].students) > 1:
        m = groups[0]
        lines.append(
            f"The most widespread misconception is shared by <b>{plural(len(m.students), 'student')}</b>, in "
            f"{esc(m.answer or m.exercise)}: {esc('; '.join(_own(m, c) for c in m.failed[:3]))}."
        )
    if ended := Counter(e.outcome for e in found if e.outcome in ("timeout", "crash", "invalid_output")):
        told = ", ".join(f"{o} {n}" for o, n in ended.most_common())
        lines.append(f"{plural(sum(ended.values()), 'notebook')} gave no result in the end ({esc(told)}).")
    if nothing := sum(e.outcome == "missing" for e in found):
        lines.append(f"{plural(nothing, 'notebook')} without any answer: not handed in, or still the stub.")
    if not lines:
        lines.append("Nothing stands out: every answer ran, and no property fails often.")
    return f'<ul class="news">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def _sentence(lesson: str) -> str:
    return f"It is explained in {lesson}." if lesson else ""


def _own(m: Misconception, check: str) -> str:
    """A check's name without the answer cell's, where that has been said."""
    return check.removeprefix(f"{m.answer}: ") if m.answer else check


def _ranked(found: Sequence[Entry]) -> list[figures.CheckFigures]:
    every = [c for group in figures.by_exercise(found).values() for c in figures.checks(group)]
    return sorted((c for c in every if c.check != figures.GATE), key=lambda c: -c.failing)


def score_cards(found: Sequence[Entry]) -> str:
    """One histogram an exercise."""
    cards = ""
    for (_, exercise), group in figures.by_exercise(found).items():
        s = figures.scores(group)
        line = f"{plural(len(group), 'notebook')} · median {percent(s.median)} · mean {percent(s.mean)}"
        line += f" · {s.without} without a score" if s.without else ""
        cards += widgets.card(exercise, f'<p class="dim">{esc(line)}</p>{widgets.histogram(s.counts)}')
    return f'<div class="cards">{cards}</div>'


STATES = (("held", "holds"), ("part", "half credit"), ("failed", "fails"), ("none", "not judged: no answer ran"))


def properties(found: Sequence[Entry]) -> str:
    """Which property fails most, then every check of every exercise."""
    losing = [c for c in _ranked(found) if c.failing > 0]
    lines = [(f"{c.exercise}: {c.check}", widgets.state_stack(c.states), _fails(c)) for c in losing]
    top = widgets.rows(lines[:TOP]) if lines else "<p>Every property holds in every answer that was judged.</p>"
    if lines[TOP:]:
        top += folded(f"{len(lines) - TOP} more on which somebody lost points", widgets.rows(lines[TOP:]))
    groups = figures.by_exercise(found)
    every = ""
    for (_, exercise), group in groups.items():
        checks = figures.checks(group)
        own = [(c.check, widgets.state_stack(c.states), _fails(c)) for c in checks]
        every += folded(f"{exercise}: {len(own)} checks", widgets.rows(own), unfolded=len(groups) == 1)
    return widgets.key(STATES) + top + f"<h3>Every check, by exercise</h3>{every}"


def _fails(c: figures.CheckFigures) -> str:
    lost = c.states[FAILED] + c.states[PART]
    return f"{lost} of {c.judged} lose points" if c.judged else "not judged"


def shared(groups: Sequence[Misconception]) -> str:
    """Students whose answers fail the same checks; who is alone with a set of failures comes last."""
    common = [m for m in groups if len(m.students) > 1]
    alone = [m for m in groups if len(m.students) == 1]
    cards = [_misconception(m) for m in common]
    page = (
        f'<div class="cards">{"".join(cards[:TOP])}</div>' if cards else "<p>No two answers fail the same checks.</p>"
    )
    if cards[TOP:]:
        page += folded(f"{len(cards) - TOP} smaller groups", f'<div class="cards">{"".join(cards[TOP:])}</div>')
    if alone:
        lines = [[m.students[0], m.answer or m.exercise, "; ".join(_own(m, c) for c in m.failed)] for m in alone]
        page += folded(
            f"{plural(len(alone), 'answer')} with failures of {'its' if len(alone) == 1 else 'their'} own",
            widgets.table(["student", "answer", "fails"], lines),
        )
    return page


def _misconception(m: Misconception) -> str:
    failed = "".join(f"<li>{esc(_own(m, c))}</li>" for c in m.failed[:8])
    failed += f"<li>and {len(m.failed) - 8} more</li>" if len(m.failed) > 8 else ""
    example = f'<p class="dim">“{esc(m.example)}”</p>'
    title = f"{plural(len(m.students), 'student')}: {m.answer or m.exercise}"
    return widgets.card(title, f'<ul class="news">{failed}</ul>{example}{chips(m.students)}')


def outcomes(found: Sequence[Entry]) -> str:
    """How the notebooks of each exercise ended."""
    lines = []
    for (_, exercise), group in figures.by_exercise(found).items():
        counts = Counter(e.outcome for e in group)
        parts = [(OUTCOME_CLASS.get(o, "failed"), counts[o]) for o in OUTCOMES]
        told = ", ".join(f"{o.replace('_', ' ')} {counts[o]}" for o in OUTCOMES if counts[o])
        lines.append((exercise, widgets.stack(parts, told), told))
    there = [o for o in OUTCOMES if any(e.outcome == o for e in found)]
    legend = widgets.key([(OUTCOME_CLASS.get(o, "failed"), f"{o.replace('_', ' ')}: {MEANING[o]}") for o in there])
    return legend + widgets.rows(lines)


def slowest(found: Sequence[Entry]) -> str:
    """Where the grader's time went."""
    slow = figures.slowest(found)
    if not slow:
        return "<p>No timings were recorded.</p>"
    total = sum(e.timings.get("total", 0.0) for e in found)
    parts = ("start", "checks", "gate")
    lines = [
        [
            e.student,
            e.exercise,
            *(f"{e.timings[p]:.1f}" if p in e.timings else "–" for p in ("total", *parts)),
            e.outcome,
        ]
        for e in slow
    ]
    note = f"<p>{esc(_duration(total))} in all, {esc(_duration(total / len(found)))} a notebook on average.</p>"
    header = ["student", "exercise", "seconds", "start-up", "checks", "gate", "outcome"]
    return note + widgets.table(header, lines, numbers=(2, 3, 4, 5))


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def gradesheet(found: Sequence[Entry]) -> str:
    """Students by exercises, coloured by the share of the points; the filter of the page acts on its rows."""
    exercises = list(figures.by_exercise(found))
    mine: dict[str, dict[tuple[str, str], Entry]] = {}
    for e in found:
        mine.setdefault(e.student, {})[e.assignment, e.exercise] = e
    head = "".join(f'<th class="turned">{esc(name)}</th>' for _, name in exercises)
    body = ""
    for student in sorted(mine):
        cells = "".join(_cell(mine[student].get(key)) for key in exercises)
        body += f'<tr data-who="{esc(student)}"><th class="who" title="{esc(student)}">{esc(student)}</th>{cells}</tr>'
    table = f'<table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _cell(e: Entry | None) -> str:
    if e is None or e.share is None:
        return f'<td class="s void">{"" if e is None else "?"}</td>'
    colour = "held" if e.share >= 0.8 else "part" if e.share >= 0.4 else "failed" if e.outcome != "missing" else "none"
    return f'<td class="s {colour}" title="{esc(e.outcome)}">{e.score:g}</td>'


def people(found: Sequence[Entry]) -> str:
    """Each student's notebooks: outcome, reason and what was lost."""
    mine: dict[str, list[Entry]] = {}
    for e in found:
        mine.setdefault(e.student, []).append(e)
    return "".join(_person(student, mine[student]) for student in sorted(mine))


def _person(student: str, mine: Sequence[Entry]) -> str:
    judged = [e for e in mine if e.score is not None]
    total = f"{sum(e.score for e in judged):g} / {sum(e.max_score for e in mine):g}" if judged else "no score yet"
    body = ""
    for e in mine:
        score = "no score" if e.score is None else f"{e.score:g} / {e.max_score:g}"
        lost = [v for v in e.verdicts if v.state in (FAILED, PART)]
        skipped = sum(v.state == NOT_RUN for v in e.verdicts)
        items = "".join(f"<li>{esc(v.check)} ({esc(v.points)}): {esc(v.output)}</li>" for v in lost)
        items += f"<li>{plural(skipped, 'check')} not judged</li>" if skipped else ""
        held = sum(v.state == HELD for v in e.verdicts)
        first = (
            f"<b>{esc(e.exercise)}</b>: {esc(e.outcome)}, {esc(score)}; {plural(held, 'check')} held. {esc(e.reason)}"
        )
        body += f"<p>{first}</p>" + (f"<ul>{items}</ul>" if items else "")
    return f'<div class="person" data-who="{esc(student)}">{folded(f"{student}: {total}", body)}</div>'
