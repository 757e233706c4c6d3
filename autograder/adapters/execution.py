"""A safe `nbgrader autograde`: notebooks are run in the sandbox for their outputs, never for a score.

nbgrader itself runs student code with the instructor's rights, reads the scores from what that code prints, and shows
its HTML in formgrader. Here the notebook is first restored (as for formgrader), then run by `kernel.py`, and only text
and pictures are kept of its outputs. The scores in the gradebook stay those of `autograder grade`.
"""

import contextlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, Execute, LimitOutput, NbGraderPreprocessor
from traitlets import Integer, Unicode

from autograder.adapters import feedback, restore, rubrics
from autograder.grading import private
from autograder.intake.extract import MAX_BYTES, Unreadable, read_bytes
from autograder.intake.student_ids import folder_of
from autograder.release.generate import load_config, release_notebook
from autograder.sandbox import bubblewrap
from autograder.sandbox.kernel import MAX_FILES, SandboxedKernelManager

PICTURES = ("image/png", "image/jpeg")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")  # a page puts it in an attribute, which a quote could end
MAX_PICTURE = 4 << 20  # characters
MAX_OUTPUT = 20 << 20  # per notebook


class InSandbox(NotebookExporter):
    """Without a sandbox, stops before any file or grade changes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if why := bubblewrap.available():
            self.log.error("notebooks are run only in the sandbox. %s", why)  # nbgrader itself would end silently
            raise NbGraderException(why)
        if isinstance(self.parent, BaseConverter):  # which is about to copy the files beside the notebooks
            self.parent.coursedir.get_existing_timestamp = lambda path: None  # a student's claim, or a pipe
            for folder in [*self.parent.assignments]:
                if odd := next(not_plain(Path(folder)), None):
                    self.log.error("left out, since it is not a plain file or is too large to copy: %s", odd)
                    del self.parent.assignments[folder]


def not_plain(folder: Path) -> Iterator[Path]:
    """Pipes, sockets, devices and endless files, also behind links: copying one would never end."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a link to nothing
            kind = path.stat()
            if not stat.S_ISDIR(kind.st_mode) and not (stat.S_ISREG(kind.st_mode) and kind.st_size <= MAX_BYTES):
                yield path


class Restored(NbGraderPreprocessor):
    """The submitted notebook, safe for formgrader to show, whatever nbgrader has read."""

    submitted = Unicode("", help="The students' own folders; empty: where nbgrader reads.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        who, root = resources["nbgrader"], Path.cwd()  # nbgrader works in the course's folder
        config = load_config(root)
        dirs = config.CourseDirectory
        source = root / dirs.get("source_directory", "source") / who["assignment"] / f"{who['notebook']}.ipynb"
        released = release_notebook(source, who["assignment"], config)
        read = Path(resources["metadata"]["path"])
        submitted = Path(self.submitted) / who["student"] / who["assignment"] if self.submitted else read
        copied = root / dirs.get("autograded_directory", "autograded") / who["student"] / who["assignment"]
        ours = {file.relative_to(source.parent) for file in source.parent.rglob("*")}  # nbgrader has copied them over
        plain_files(submitted, copied, ours if submitted == read else ours | {Path("timestamp.txt")})
        mine = not (submitted.is_symlink() or submitted.parent.is_symlink())
        path = submitted / f"{who['notebook']}.ipynb" if mine else submitted / "a link is no submission"
        return restore.viewable(path, released), resources


def plain_files(submitted: Path, copied: Path, kept: set[Path]) -> None:
    """Copy the files beside the notebooks, without links (one may lead to another's answers) or the student's times.

    nbgrader has copied what is where it reads, also through links; of that, only `kept` stays.
    """
    for file in copied.rglob("*"):
        if file.suffix != ".ipynb" and not file.is_dir() and file.relative_to(copied) not in kept:
            file.unlink()
    if submitted.is_symlink() or submitted.parent.is_symlink() or not submitted.is_dir():
        return
    private.folder(copied)
    for file in sorted(submitted.iterdir())[: 2 * MAX_FILES]:
        if file.suffix != ".ipynb" and file.name != "timestamp.txt" and Path(file.name) not in kept:
            with contextlib.suppress(Unreadable, OSError):  # a folder, a link, a pipe, or too large
                (copied / file.name).write_bytes(read_bytes(file))  # the kernel's user must be able to read it


class SandboxedExecute(Execute):
    """nbgrader's execution of a notebook, in our kernel."""

    startup_timeout = Integer(180, help="as in nbclient; importing from a cold disk takes a while").tag(config=True)
    iopub_timeout = Integer(60, help="as in nbclient; its 4 seconds are too few on a busy machine").tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"kernel_manager_class": SandboxedKernelManager})
        self._said = 0  # bytes of output so far

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """As in nbclient, but with a limit on the output."""
        if msg["msg_type"] not in ("status", "execute_input", "clear_output"):
            before, self._said = self._said, self._said + len(str(msg["content"]))
            if self._said > MAX_OUTPUT:
                if before <= MAX_OUTPUT:
                    text = f"[more than {MAX_OUTPUT >> 20} MB of output: the rest is omitted]"
                    cell.outputs.append(new_output("stream", name="stderr", text=text))
                return None
        return super().process_message(msg, cell, cell_index)


class PlainOutputs(NbGraderPreprocessor):
    """Keeps text and pictures; HTML and scripts would run in the marker's browser."""

    def preprocess_cell(self, cell: NotebookNode, resources: dict, cell_index: int) -> tuple[NotebookNode, dict]:
        if cell.cell_type == "code":
            cell.outputs = [plain(output) for output in cell.outputs]
            cell.execution_count = cell.execution_count if isinstance(cell.execution_count, int) else None
        return cell, resources


def plain(output: NotebookNode) -> NotebookNode:
    """A new output without anything that can run in a page: the kernel may send anything under any name."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=restore.clean_text(output.get("text", "")))
    if kind == "error":
        lines = output.get("traceback")
        is_text = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        words = {key: restore.clean_text(output.get(key, "")) for key in ("ename", "evalue")}
        return new_output("error", **words, traceback=lines if is_text else [])
    data = {}
    for name, value in dict(output.get("data") or {}).items():
        if name == "text/plain":
            data[name] = restore.clean_text(value)
        elif _picture(name, value):
            data[name] = value
    return new_output("display_data", data)


class Messages(NbGraderPreprocessor):
    """Restores the rubrics, and the messages of `autograder grade` if its records are in this folder."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        who = resources["nbgrader"]
        rubrics.show(nb, who["assignment"], who["notebook"])
        folder = Path.cwd() / folder_of(who["student"]) / who["assignment"]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            given = record["extra_data"]["notebooks"][who["notebook"]]
            if given["outcome"] != "infrastructure_error":
                feedback.show(nb, who["assignment"], who["notebook"], given, record["tests"], folder)
        return nb, resources


def _picture(kind: str, value: Any) -> bool:
    is_text = isinstance(value, str) and len(value) <= MAX_PICTURE
    return kind in PICTURES and is_text and BASE64.fullmatch(value) is not None


# The steps of `nbgrader autograde`, for nbgrader_config.py. nbgrader's SaveAutoGrades is left out: no score is read.
FIRST = [Restored, CheckCellMetadata]
THEN = [SandboxedExecute, PlainOutputs, Messages, LimitOutput, AssignLatePenalties, CheckCellMetadata]
