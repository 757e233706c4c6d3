"""`autograder release --variants N`: exercises with different numbers per student, and a record of who has which."""

import copy
import io
import os
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from traitlets.config import Config

from autograder import travel
from autograder.grading.private import write_text
from autograder.intake import variants
from autograder.intake.student_ids import folder_of
from autograder.intake.variants import Variants
from autograder.release import bundle
from autograder.release.generate import load_config, release_notebook
from autograder.release.numbers import alternatives, draw, texts, with_numbers

EXERCISES, SOLUTIONS = "exercises", "solutions"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the time of every file in a zip, so that the same variant gives the same bytes


def release(
    out: Path, course: Path, number: int, record: Path, people: Iterable[str] = (), seed: int | None = None
) -> Path:
    """Make the bundle without exercises at `out`, and beside it the folder `variants`, whose path is returned.

    `variants/students/` holds a zip for each of `people`, or for each variant if nobody is named.
    `variants/answers/V/` holds the solutions with the numbers of variant V, for the person who marks. `record` says who
    has which. A later release keeps what it says, draws further variants if `number` is larger, and adds newcomers.

    ValueError if `record` does not allow this, or if no solution has numbers that vary.
    """
    known = variants.read(record) if record.is_file() else None
    if known and (number < known.number or seed not in (None, known.seed)):
        said = f"{record} lists {known.number} variants with seed {known.seed}"
        raise ValueError(f"{said}; release at least as many, without --seed, or move it away to draw all anew")
    seed = known.seed if known else int.from_bytes(os.urandom(4), "big") if seed is None else seed
    files = list(marked(course, seed))
    if not files:
        raise ValueError(f"no solution of {course} has numbers that vary (docs/variants.md)")
    drawn = [{name: choices[v % len(choices)] for name, _, choices in files} for v in range(number + 1)]
    given = Variants(
        seed,
        assigned(people, number, seed, known.students if known else {}),
        {name: [texts(nb, each[name]) for each in drawn] for name, nb, _ in files},
    )
    bundle.make(out, course, exercises=False)
    made = bundle.replace(out.with_name("variants"), partial(_write, course=course, given=given, drawn=drawn))
    write_text(record, given.as_json())
    return made


def marked(course: Path, seed: int) -> Iterator[tuple[str, NotebookNode, list[tuple[int, ...]]]]:
    """Yield each solution with numbers that vary: ASSIGNMENT/NAME, the notebook, and its choices (0 is as written)."""
    for path in sorted((course / SOLUTIONS).glob("*/*.ipynb")):
        nb, name = nbformat.read(path, as_version=4), f"{path.parent.name}/{path.stem}"
        try:
            counts = alternatives(nb)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if counts:
            written = (0,) * len(counts)
            yield name, nb, [written, *(choice for choice in draw(seed, name, counts) if choice != written)]


def assigned(people: Iterable[str], number: int, seed: int, known: dict[str, int]) -> dict[str, int]:
    """Give each student one of the variants used least so far, drawn at random. Students who have one keep it."""
    given, rng = dict(known), random.Random(seed)
    for student in sorted(set(people) - known.keys()):
        count = Counter(given.values())
        fewest = min(count[v] for v in range(1, number + 1))
        given[student] = rng.choice([v for v in range(1, number + 1) if count[v] == fewest])
    return given


def _write(out: Path, course: Path, given: Variants, drawn: list[dict[str, tuple[int, ...]]]) -> None:
    """Write zips for students and folders of answers to a folder that does not exist yet."""
    config = load_config(course)
    (out / "students").mkdir(parents=True)
    holders = {folder_of(s): v for s, v in given.students.items()}
    digits = len(str(given.number))
    labels = {v: f"{v:0{digits}}" for v in range(1, given.number + 1)}
    holders = holders or {f"variant_{label}": v for v, label in labels.items()}
    released = cache(partial(with_choice, course, config))  # a notebook has far fewer draws than a class has variants
    answer = cache(partial(_answer, course))
    for v in range(1, given.number + 1):
        if names := [name for name, variant in holders.items() if variant == v]:
            packed = _zip(exercises(course, drawn[v], released))
            for name in names:
                (out / "students" / f"{name}.zip").write_bytes(packed)
        for name, choice in drawn[v].items():
            file = out / "answers" / labels[v] / f"{name}.ipynb"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(answer(name, choice), encoding="utf-8")


def exercises(
    course: Path, drawn: dict[str, tuple[int, ...]], released: Callable[[str, tuple[int, ...]], bytes]
) -> dict[str, bytes]:
    """Return the files of exercises/ by their paths, with a variant's numbers."""
    found = {}
    for file in travel.files(course / EXERCISES):
        name = file.relative_to(course / EXERCISES).with_suffix("").as_posix()
        ours = file.suffix == ".ipynb" and name in drawn
        found[file.relative_to(course).as_posix()] = released(name, drawn[name]) if ours else file.read_bytes()
    return found


def with_choice(course: Path, config: Config, name: str, choice: tuple[int, ...]) -> bytes:
    """Return a released notebook with the chosen numbers."""
    theirs = copy.deepcopy(config)
    theirs.Numbers.drawn = list(choice)
    nb = release_notebook(course / SOLUTIONS / f"{name}.ipynb", name.split("/")[0], theirs)
    return (nbformat.writes(nb) + "\n").encode()


def _answer(course: Path, name: str, choice: tuple[int, ...]) -> str:
    """Return a solution with the chosen numbers."""
    nb = with_numbers(nbformat.read(course / SOLUTIONS / f"{name}.ipynb", as_version=4), choice)
    return nbformat.writes(nb) + "\n"


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
