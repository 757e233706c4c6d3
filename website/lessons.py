"""The lessons, executed once and kept in build/lessons until they, ddpm_core, ddpm_tools or data/ change.

    python -m website.lessons

Stopping it loses the lesson that is running; the finished ones are kept.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from website.fingerprint import ROOT, fingerprint, library

OUT = ROOT / "build/lessons"
MADE_FROM = "made_from"  # in the executed notebook's metadata
TIME_LIMIT = 1200  # seconds for a cell: the longest takes one or two minutes on an idle core


class LessonError(ValueError):
    """A lesson that does not run; the message names lesson, cell and error."""


def key(lesson: Path) -> str:
    """What an executed lesson depends on."""
    return fingerprint([lesson, *lesson.parent.glob("*.py"), *library()])


def kept(lesson: Path, out: Path = OUT) -> NotebookNode | None:
    """The executed lesson, if it was made from what is there now."""
    file = out / lesson.name
    if not file.is_file():
        return None
    notebook = nbformat.read(file, as_version=4)
    return notebook if notebook.metadata.get(MADE_FROM) == key(lesson) else None


def keep(notebook: NotebookNode, lesson: Path, out: Path = OUT) -> None:
    """Write an executed lesson where `kept` looks for it; whole or not at all."""
    notebook.metadata[MADE_FROM] = key(lesson)
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{lesson.name}.{os.getpid()}"
    nbformat.write(notebook, partial)
    partial.replace(out / lesson.name)


def execute(lesson: Path) -> NotebookNode:
    """Run every cell in the lesson's folder; LessonError where one fails."""
    notebook = nbformat.read(lesson, as_version=4)
    code = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=code, desc=lesson.stem, unit="cell") as bar:
        client = NotebookClient(
            notebook,
            timeout=TIME_LIMIT,
            kernel_name="python3",  # this environment's
            extra_arguments=["--log-level=ERROR"],  # its warnings would break the progress line
            resources={"metadata": {"path": str(lesson.parent)}},
            on_cell_executed=lambda **_: bar.update(),
        )
        try:
            client.execute()
        except CellExecutionError as e:
            raise LessonError(f"{lesson.name}: {e.ename}: {e.evalue}; run it in `make lab` to see the cell") from None
        except (DeadKernelError, TimeoutError, AssertionError) as e:
            if getattr(client, "_async_cleanup_kernel_future", None):  # Ctrl-C: nbclient ends the kernel, then trips
                raise KeyboardInterrupt from None
            raise LessonError(f"{lesson.name}: {e}") from None
    return notebook


def all_executed(out: Path = OUT) -> list[NotebookNode]:
    """Every lesson with its outputs, in order; runs those that are not kept."""
    notebooks = []
    for lesson in sorted((ROOT / "lessons").glob("*.ipynb")):
        notebook = kept(lesson, out)
        if notebook is None:
            notebook = execute(lesson)
            keep(notebook, lesson, out)
        notebooks.append(notebook)
    return notebooks


if __name__ == "__main__":
    try:
        all_executed()
    except LessonError as e:
        sys.exit(str(e))
    except KeyboardInterrupt:
        print("\nstopped; finished lessons are kept, and the same command continues", file=sys.stderr)
        sys.exit(130)
