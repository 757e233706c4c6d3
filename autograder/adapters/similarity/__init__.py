"""Similarity among submissions, and to the course's own sources. Notebooks are read, never run."""

from collections.abc import Iterator
from pathlib import Path

from autograder.adapters.similarity import formats
from autograder.adapters.similarity.compare import ENOUGH, Source, fingerprints, matches
from autograder.exercises.base import Exercise
from autograder.intake.extract import Unreadable, code_cells, extract, read_notebook, source_of
from autograder.intake.submissions import Submission, find
from ddpm_tools.outputs import json_text

LONGEST = (
    50_000  # characters of a student's answers to an exercise; ours have 5,000, and a huge one would slow everything
)


def answers(path: Path, exercise: Exercise) -> str:
    """The answer cells of a notebook as one text; empty if there are none."""
    return "\n\n".join(cells_of(path, exercise).values())


def cells_of(path: Path, exercise: Exercise) -> dict[str, str]:
    """The answer cells of a notebook, in order."""
    try:
        cells = extract(path, exercise.answers, together=False).cells
    except Unreadable:
        return {}
    return {name: cells[name].strip("\n") for name in exercise.answers if name in cells}


def course_sources(course: Path, exercise: Exercise) -> Iterator[Source]:
    """Our solution of the exercise, the lessons' code and the library."""
    solution = course / "solutions" / exercise.assignment / f"{exercise.name}.ipynb"
    if solution.is_file():
        yield Source("course: the solution", answers(solution, exercise), ours=True)
    for path in sorted((course / "lessons").glob("*.ipynb")):
        yield Source(f"course: lessons/{path.name}", "\n\n".join(notebook_code(path)), ours=True)
    for path in sorted([*(course / "lessons").glob("*.py"), *(course / "ddpm_core").rglob("*.py")]):
        name = path.relative_to(course).as_posix()
        yield Source(f"course: {name}", path.read_text(encoding="utf-8"), ours=True)


def notebook_code(path: Path) -> list[str]:
    """All code of one of the course's notebooks, cell by cell."""
    return [source_of(cell) for _, cell in code_cells(read_notebook(path))]


def of_exercise(
    submissions: list[Submission], exercise: Exercise, course: Path, threshold: float
) -> tuple[list[formats.Found], int, int, list[str]]:
    """Matches in one exercise, how many notebooks were compared, how many had too little code of their own, and those
    left out because of their length."""
    released = course / "exercises" / exercise.assignment / f"{exercise.name}.ipynb"
    everyone = [
        (s, cells)
        for s in submissions
        if s.assignment == exercise.assignment and not s.problem(exercise.name)
        if (cells := cells_of(s.files[exercise.name], exercise))
    ]
    handed_in = [(s.student, cells) for s, cells in everyone if sum(map(len, cells.values())) <= LONGEST]
    left_out = [f"{s.student} ({exercise.name})" for s, _ in everyone if s.student not in dict(handed_in)]
    students = [Source(student, "\n\n".join(cells.values())) for student, cells in handed_in]
    if not students:
        return [], 0, 0, left_out
    parts = [Source(w, text, part=c) for w, cells in handed_in for c, text in cells.items() if len(cells) > 1]
    sources = [*students, *parts, *course_sources(course, exercise)]
    fingerprints(sources, notebook_code(released))
    found = [(exercise.assignment, exercise.name, m) for m in matches(sources, threshold)]
    return found, len(students), sum(s.own() < ENOUGH for s in students), left_out


def report(
    submitted: Path,
    out: Path,
    assignment: str | None = None,
    course: Path = Path("."),
    threshold: float = 0.8,
    as_json: bool = False,
) -> str:
    """Write OUT/similarity.csv and OUT/similarity.html; returns the terminal's text: a table, or the same as JSON."""
    if not (course / "exercises").is_dir():
        raise ValueError(f"{course} is not the course's folder: exercises missing (give it with --course)")
    submissions = find(submitted, assignment)
    exercises = {(e.assignment, e.name): e for s in submissions for e in s.exercises}
    found, compared, short, left_out = [], 0, 0, []
    for exercise in exercises.values():
        pairs, notebooks, few, long = of_exercise(submissions, exercise, course, threshold)
        found, compared, short, left_out = [*found, *pairs], compared + notebooks, short + few, [*left_out, *long]
    found.sort(key=lambda f: (f[2].b.ours, -f[2].similarity))
    formats.write_csv(found, out / "similarity.csv")
    counts = {"threshold": threshold, "compared": compared, "short": short, "left_out": left_out, "longest": LONGEST}
    page = formats.write_html(found, out / "similarity.html", **counts)
    if as_json:
        return json_text({"pairs": formats.as_data(found), **counts}, indent=1, ensure_ascii=False)
    told = (
        f"not compared, since the answers have more than {LONGEST:,} characters: {', '.join(left_out)}\n\n"
        if left_out
        else ""
    )
    return f"{formats.text(found)}\n\n{told}{len(found)} pair(s) among {compared} notebooks; {page}"
