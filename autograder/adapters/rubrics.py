"""What earns points in a written answer, shown to the marker below it: `rubric.txt` in an exercise's folder.

One line per criterion: points, a colon, what earns them. The copies that formgrader reads have them, but students never
get them: they are not in the bundle (`travel.PRIVATE_TEXTS`), and `Hidden` removes them from the feedback.
"""

import re

from nbconvert.exporters.exporter import ResourcesDict
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder import exercises
from autograder.intake.extract import grade_id

FILE = "rubric.txt"
MARK = "rubric"  # in the metadata of our own cell
LINE = re.compile(r"(\d+(?:\.\d+)?): (\S.*)")


def read(exercise: str) -> list[tuple[float, str]]:
    """The criteria of the written answer; none if it has no rubric. ValueError names an invalid line."""
    file = exercises.HERE / exercise / FILE
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else (), 1):
        if not (known := LINE.fullmatch(line)):
            raise ValueError(f"line {number} of {file} does not have the form POINTS: WHAT EARNS THEM")
        found.append((float(known[1]), known[2]))
    return found


def show(nb: NotebookNode, assignment: str, notebook: str) -> None:
    """Put the rubric below the written answer, if both exist."""
    exercise = exercises.EXERCISES.get((assignment, notebook))
    if not exercise or not exercise.written or not (criteria := read(notebook)):
        return
    lines = "\n".join(f"- **{points:g}**: {what}" for points, what in criteria)
    text = f"**Rubric** (for the marker; students do not see it)\n\n{lines}"
    for at, cell in enumerate(nb.cells):
        if grade_id(cell) == exercise.written[0]:
            nb.cells.insert(at + 1, new_markdown_cell(text, id=MARK, metadata={MARK: True}))
            return


class Hidden(NbGraderPreprocessor):
    """Removes the rubric from what becomes a feedback page."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        nb.cells = [cell for cell in nb.cells if not cell.metadata.get(MARK)]
        return nb, resources
