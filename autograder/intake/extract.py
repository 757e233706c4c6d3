"""Extracts the answers from a notebook, by grade_id. It reads JSON and never executes anything."""

import json
import os
import re
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.intake import archive
from autograder.intake.pieces import defines, put_together
from autograder.intake.slimming import without_outputs

MAX_BYTES = 20 << 20  # a notebook with pictures has a few MB; only the answer cells matter
MAX_WITH_OUTPUTS = 64 << 20  # for a notebook whose outputs are dropped before it is parsed
MAX_ANSWER = 200_000  # bytes of one answer as sent to the child: no real answer is longer, and four fit one message
# No \s* beside a \n: a cell with a million newlines would keep the grader busy for hours.
STUB = re.compile(r"#[ \t]*YOUR CODE HERE[ \t]*\r?\n[ \t]*raise NotImplementedError\(\)")
CONFLICT = re.compile(r"^(<<<<<<<|=======|>>>>>>>)(?=[ \r\n]|\Z)", re.M)  # of git
# How some editors name a copied cell. Possessive: `copy__` again and again could otherwise be read in 3^n ways.
COPY = re.compile(r"(?P<name>.+?)(?:[ _-]*+copy[ _-]*+[0-9]*+)+", re.I | re.S)
# O_NONBLOCK: opening a named pipe would otherwise wait for a writer forever. Windows lacks the first two flags.
FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Unreadable(Exception):
    """The file holds no answers. The message says why, and what to do."""


@dataclass(frozen=True)
class Answers:
    """Sources by grade_id, remarks for the student, and by grade_id the reason why an answer is absent."""

    cells: dict[str, str]
    remarks: tuple[str, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Return a submitted file's content; Unreadable for a link, a pipe or a device, or more than `most` bytes.

    `most` is MAX_BYTES by default. A path that leads into a zip reads from the zip.
    """
    try:
        fd = os.open(path, FLAGS)
    except FileNotFoundError:
        raise Unreadable(f"there is no file {path.name}; hand in the notebook under this name") from None
    except NotADirectoryError:
        return _from_zip(path, most or MAX_BYTES)
    except OSError as e:
        kind = stat.S_IFLNK if os.path.islink(path) else 0
        if not kind:
            raise Unreadable(f"{path.name} cannot be read ({e.strerror}); hand it in again") from e
    else:
        try:
            kind = os.fstat(fd).st_mode
            if stat.S_ISREG(kind):
                return _at_most(most or MAX_BYTES, fd, path)
        finally:
            os.close(fd)
    words = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
    what = words.get(stat.S_IFMT(kind), "a pipe or a device")
    raise Unreadable(f"{path.name} is {what}, not a regular file; hand in the notebook itself")


def zip_entries(file: Path) -> list[Path]:
    """Return the files in a zip, named as if it were a folder; an empty list if it is not a zip."""
    try:
        with os.fdopen(os.open(file, FLAGS), "rb") as raw, archive.opened(raw) as packed:
            return [file.joinpath(*entry.parts) for entry in packed.entries]
    except (OSError, ValueError):
        return []


def _from_zip(path: Path, most: int) -> bytes:
    """Return the content of a file in a zip, named as by `zip_entries`."""
    place = next((p for p in path.parents if p.suffix.lower() == ".zip" and not p.is_dir()), path)
    parts, gone = path.relative_to(place).parts, f"there is no file {path.name}; hand in the notebook under this name"
    try:
        with os.fdopen(os.open(place, FLAGS), "rb") as raw, archive.opened(raw) as packed:
            entry = next((e for e in packed.entries if e.parts == parts), None)
            content = entry and packed.read(entry, most)
    except (OSError, ValueError):
        raise Unreadable(gone) from None
    if entry and content is None:
        raise Unreadable(f"{path.name} in {place.name} {packed.problems[-1].partition(' is ')[2]}; hand it in unpacked")
    if content is None:
        raise Unreadable(gone)
    return content


def _at_most(most: int, fd: int, path: Path) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise Unreadable(f"{path.name} is larger than {MAX_BYTES >> 20} MB; clear its outputs and hand it in again")
    return content


def read_slim(path: Path) -> bytes:
    """Return a notebook's content, without outputs and pictures if it is large."""
    content = read_bytes(path, MAX_WITH_OUTPUTS)
    if len(content) <= MAX_BYTES:
        return content
    slim = without_outputs(content)
    if slim is None or len(slim) > MAX_BYTES:
        most = f"{MAX_BYTES >> 20} MB even without its outputs"
        raise Unreadable(f"{path.name} is larger than {most}; hand in the released notebook with your answers")
    return slim


def read_notebook(path: Path) -> dict[str, Any]:
    """Return the notebook's JSON; Unreadable with one sentence if it is not a notebook."""
    content = read_slim(path)
    if not content.strip():
        raise Unreadable(f"{path.name} is empty; save it in Jupyter again and look at it before you hand it in")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise Unreadable(f"{path.name} is not a notebook: its text is not UTF-8; save it in Jupyter again") from e
    try:
        nb = json.loads(text)
    except (ValueError, RecursionError, MemoryError) as e:
        if found := CONFLICT.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise Unreadable(
                f"{path.name} holds conflict markers of git (`{found[1]}` in line {line}), so Jupyter cannot open it "
                "either; take one of the two versions and hand it in again"
            ) from e
        raise Unreadable(f"{path.name} is not a notebook: its text is not JSON; save it in Jupyter again") from e
    if isinstance(nb, dict) and "worksheets" in nb:
        raise Unreadable(
            f"{path.name} is in notebook format 3; type `jupyter nbconvert --to notebook --inplace {path.name}`"
        )
    if not isinstance(nb, dict) or not isinstance(nb.get("cells"), list):
        raise Unreadable(
            f"{path.name} is not a notebook of format 4: it has no list of cells; save it in Jupyter again"
        )
    return nb


def source_of(cell: dict[str, Any]) -> str:
    """Return a cell's text from either form that the format allows; "" for anything else."""
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    return "".join(lines) if all(isinstance(line, str) for line in lines) else ""


def grade_id(cell: Any) -> str | None:
    """Return a cell's nbgrader id, whatever else its metadata holds; None if it has none."""
    for key in ("metadata", "nbgrader", "grade_id"):
        if not isinstance(cell, dict):
            return None
        cell = cell.get(key)
    return cell if isinstance(cell, str) else None


def answer_id(cell: Any, wanted: Container[str]) -> str | None:
    """Return the wanted answer that a cell is, or is a copy of (`ema-copy`); None if it is not one."""
    name = grade_id(cell)
    if name and name not in wanted and (copied := COPY.fullmatch(name[:200])):
        name = copied["name"]
    return name if name in wanted else None


def code_cells(nb: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the code cells with their numbers among all cells, counted from 1."""
    for number, cell in enumerate(nb["cells"], 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            yield number, cell


def problem(name: str, source: str | None, nb: dict[str, Any], path: Path) -> str | None:
    """Return the reason why there is no answer of this name, or None if there is one. `{}` stands for the name."""
    if source is None and not any(map(grade_id, nb["cells"])):
        return f"{path.name} has lost what marks its answer cells; start from the released notebook and paste {{}}"
    if source is None or not source.strip() or STUB.search(source):
        defined = re.compile(rf"^(?:def|class)[ \t]+{re.escape(name)}\b", re.M)
        for number, cell in code_cells(nb):
            other = source_of(cell)
            if grade_id(cell) != name and defined.search(other) and not STUB.search(other):
                return f"{{}} is defined in cell {number} of {path.name}, not in its answer cell; move it there"
        if source is None and any(grade_id(cell) == name for cell in nb["cells"]):
            return f"{path.name} has no answer cell {{}} of code, only one of text; make it a code cell (Esc, then Y)"
        if source is None:
            return f"{path.name} has no answer cell {{}}; start from the released notebook and keep its cells"
        if any(
            grade_id(c) == name and c.get("cell_type") != "code" and defined.search(source_of(c)) for c in nb["cells"]
        ):
            return f"{{}} is answered in a text cell of {path.name}; make that one the code cell (Esc, then Y)"
        return "not answered: {} still holds the stub of the released notebook"
    try:
        size = len(json.dumps(source, ensure_ascii=True))
        source.encode()
    except UnicodeEncodeError:
        return f"the answer {{}} in {path.name} holds half a character (a lone surrogate); type that line again"
    if size > MAX_ANSWER:
        return f"the answer {{}} in {path.name} has more than {MAX_ANSWER:,} characters; hand in only the code"
    return None


def _holds(name: str, source: str) -> bool:
    return bool(re.search(rf"\b{re.escape(name)}\b", source)) and not STUB.search(source) and defines(name, source)


def extract(path: Path, wanted: tuple[str, ...], together: bool = True) -> Answers:
    """Return the sources of the wanted cells. Those that are missing, still the stub, or too long are `absent`.

    Unreadable if all are absent, or if one is and the answers are judged `together`. For a grade_id that occurs more
    than once, see `pieces`.
    """
    nb = read_notebook(path)
    found: dict[str, list[str]] = {}
    for _, cell in code_cells(nb):
        if name := answer_id(cell, wanted):
            found.setdefault(name, []).append(source_of(cell))
    cells, remarks = {}, []
    for name, sources in found.items():
        cells[name], how = put_together(name, sources, STUB.search)
        remarks += [f"the cell `{name}` occurs more than once; {how}"] if how else []
    for name in wanted:  # if two answer cells were merged, the remaining one holds both
        holders = [other for other, source in cells.items() if name not in found and _holds(name, source)]
        if len(holders) == 1:
            cells[name] = cells[holders[0]]
            remarks.append(f"`{name}` has no cell of its own; it was graded from the cell `{holders[0]}`")
    for cell in nb["cells"]:
        if grade_id(cell) in found and cell.get("cell_type") != "code":
            remarks.append(f"a text cell is also called `{grade_id(cell)}`; the code cell was graded")
    why = {n: text for n in wanted if (text := problem(n, cells.get(n), nb, path))}
    if why and (together or len(why) == len(wanted)):
        text = next(iter(why.values()))
        raise Unreadable(text.replace("{}", ", ".join(f"`{n}`" for n in why if why[n] == text)))
    absent = {n: text.replace("{}", f"`{n}`") for n, text in why.items()}
    return Answers({n: s for n, s in cells.items() if n not in absent}, tuple(dict.fromkeys(remarks)), absent)
