"""Words in nbgrader's feedback pages for a score that nobody has given yet, never 0.0.

nbgrader_config.py names this: nbgrader's own step shows 0.0, which a student would take for a mark.
"""

from jinja2.filters import do_float, do_round
from nbconvert.exporters.exporter import ResourcesDict
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat.notebooknode import NotebookNode
from nbgrader.api import Grade
from nbgrader.preprocessors import GetGrades
from nbgrader.utils import is_solution

from autograder.adapters.rubrics import Hidden

TO_BE_MARKED, NO_RESULT = "to be marked", "no result yet"


def waits(grade: Grade) -> bool:
    """Whether neither the grader nor a marker has given a score yet."""
    return grade.auto_score is None and grade.manual_score is None


class Grades(GetGrades):
    """nbgrader's step, with words as possible scores."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        nb, resources = super().preprocess(nb, resources)
        if any(cell.metadata.get("nbgrader", {}).get("score") in (TO_BE_MARKED, NO_RESULT) for cell in nb.cells):
            resources["nbgrader"]["score"] = f"{resources['nbgrader']['score']:g} so far"
        return nb, resources

    def _get_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        super()._get_score(cell, resources)
        name = cell.metadata.nbgrader.grade_id
        if waits(self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)):
            cell.metadata.nbgrader["score"] = TO_BE_MARKED if is_solution(cell) else NO_RESULT


STEPS = [Hidden, Grades, CSSHTMLHeaderPreprocessor]
# nbgrader's page rounds every score; words stay words.
FILTERS = {
    "float": lambda value, default=0.0: value if isinstance(value, str) else do_float(value, default),
    "round": lambda value, *digits: value if isinstance(value, str) else do_round(value, *digits),
}
