"""From solutions/ to exercises/: what students get is made by nbgrader and never edited by hand.

Command: python -m autograder.release.generate [course folder]
"""

import json
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveCells
from nbgrader.utils import capture_log, is_grade, is_locked, is_solution
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

CONFIG_FILE = "nbgrader_config.py"


def load_config(root: Path) -> Config:
    """The course's nbgrader settings, and only these: a user's own in ~/.jupyter must not change what is released."""
    if not (root / CONFIG_FILE).is_file():
        return Config()
    return PyFileConfigLoader(CONFIG_FILE, path=str(root.resolve())).load_config()


def release_notebook(path: Path, assignment: str, config: Config) -> NotebookNode:
    """The released form of one solution notebook, by nbgrader's own steps, in memory."""
    nb = nbformat.read(path, as_version=4)
    resources = {"nbgrader": {"notebook": path.stem, "assignment": assignment, "student": ".", "db_url": ""}}
    for step in GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).preprocessors:
        if step is not SaveCells:
            nb, resources = step(config=config)(nb, resources)
    return nb


def record_assignment(gb: Gradebook, folder: Path, config: Config) -> dict[str, NotebookNode]:
    """Enter an assignment's notebooks, cells and points into the gradebook; returns the released notebooks by name.

    As nbgrader's SaveCells, except that cells may be added once there are submissions: it refuses any change then, down
    to a self-check, and a course is corrected while it runs.
    """
    gb.update_or_create_assignment(folder.name)
    released = {path.stem: release_notebook(path, folder.name, config) for path in sorted(folder.glob("*.ipynb"))}
    for name, nb in released.items():
        _record_cells(gb, name, folder.name, nb)
    return released


def _record_cells(gb: Gradebook, notebook: str, assignment: str, nb: NotebookNode) -> None:
    cells = [cell for cell in nb.cells if is_grade(cell) or is_solution(cell) or is_locked(cell)]
    names = [cell.metadata.nbgrader.grade_id for cell in cells]
    graded, answered = ({n for n, c in zip(names, cells) if role(c)} for role in (is_grade, is_solution))
    where = notebook, assignment
    with suppress(MissingEntry):  # it is new
        old = gb.find_notebook(*where)
        gone = {c.name for c in old.grade_cells} - graded | {c.name for c in old.solution_cells} - answered
        if gone and old.submissions:
            raise RuntimeError(
                f"{notebook} has submissions with the cells {sorted(gone)}, which its solution now lacks"
            )
        if gone:
            gb.remove_notebook(*where)
    gb.update_or_create_notebook(*where, kernelspec=json.dumps(nb.metadata.get("kernelspec", {})))
    for name, cell in zip(names, cells):
        meta, kind = cell.metadata.nbgrader, {"cell_type": cell.cell_type}
        if name in graded:
            gb.update_or_create_grade_cell(name, *where, max_score=float(meta.points), **kind)
        if name in answered:
            gb.update_or_create_solution_cell(name, *where)
        kind |= {"locked": is_locked(cell), "source": cell.source, "checksum": meta.checksum}
        gb.update_or_create_source_cell(name, *where, **kind)


def generate_exercises(root: Path) -> None:
    """Regenerate every assignment under root's exercises/ from its solutions/.

    The same solutions give the same bytes: cell ids come from the source notebook, checksums from the cells, and
    nothing from the clock. All of it is made in a scratch folder first, so that a notebook that nbgrader refuses leaves
    the present exercises as they are (nbgrader itself would delete them). No gradebook is read or written.
    """
    config = load_config(root)
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    with tempfile.TemporaryDirectory() as scratch:
        course = Path(scratch).resolve()
        config.CourseDirectory.root = str(course)
        dirs = CourseDirectory(config=config)
        released, target = course / dirs.release_directory, root / dirs.release_directory
        released.mkdir()
        hidden = shutil.ignore_patterns(".*", "__pycache__")  # .ipynb_checkpoints would pass for an assignment
        shutil.copytree(root / dirs.source_directory, course / dirs.source_directory, ignore=hidden)
        for folder in sorted((course / dirs.source_directory).iterdir()):
            if any(folder.glob("*.ipynb")):
                dirs = CourseDirectory(config=config, assignment_id=folder.name)
                result = capture_log(GenerateAssignment(coursedir=dirs, config=config))
                if not result["success"]:
                    why = result.get("log", result["error"])
                    raise RuntimeError(f"nbgrader could not release {folder.name}:\n{why}")

        target.mkdir(exist_ok=True)
        for folder in (*target.iterdir(), *released.iterdir()):  # also those whose solution is gone
            if folder.is_dir():
                shutil.rmtree(target / folder.name, ignore_errors=True)
        shutil.copytree(released, target, dirs_exist_ok=True)


if __name__ == "__main__":
    generate_exercises(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
