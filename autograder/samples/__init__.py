"""Sample submissions for the demo and the tests: two right designs and cases to be handled. Never released."""

import ast
import json
from pathlib import Path

from autograder.authoring.references import cells_of_file
from autograder.intake.extract import grade_id

ASSIGNMENT, EXERCISE = "5_3_conditioning", "conditioner"
NOTEBOOK = f"{EXERCISE}.ipynb"
HERE = Path(__file__).parent
RIGHT = ("ada-film", "ben-attention")
# Hostile code only runs if there is a sandbox.
HOSTILE = ("finn-forger", "eve-endless-loop")
NO_CODE = {
    "zoe-blank": "Wrong: the notebook as it was handed out, with nothing in it.",
    "otto-not-a-notebook": "Wrong: a letter to the instructor where a notebook is asked for.",
}
STUDENTS = (*RIGHT, "carl-ignores-label", "dana-first-label", "nina-nan", *HOSTILE, "zoe-blank", "otto-not-a-notebook")


def who(student: str) -> str:
    """Return one line that says what is right or wrong with a student's answer: the docstring of its file."""
    return NO_CODE.get(student) or ast.get_docstring(ast.parse(_file(student).read_text(encoding="utf-8"))) or ""


def _file(student: str) -> Path:
    return HERE / f"{student.replace('-', '_')}.py"


def write(submitted: Path, released: Path, students: tuple[str, ...] = STUDENTS) -> None:
    """Write SUBMITTED/<student>/5_3_conditioning/conditioner.ipynb for each student, from the released notebook."""
    for student in students:
        folder = submitted / student / ASSIGNMENT
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NOTEBOOK).write_text(notebook(student, released), encoding="utf-8")


def notebook(student: str, released: Path) -> str:
    """Return the text of one student's notebook."""
    if student == "otto-not-a-notebook":
        return "Dear instructor, my answer is to add the class embedding to the time embedding. Yours, Otto\n"
    nb = json.loads((released / ASSIGNMENT / NOTEBOOK).read_text(encoding="utf-8"))
    if student != "zoe-blank":
        answers = cells_of_file(_file(student))
        for cell in nb["cells"]:
            if grade_id(cell) in answers:
                cell["source"] = answers[grade_id(cell)].splitlines(keepends=True)
    return json.dumps(nb, indent=1) + "\n"
