"""nbgrader's exchange: collect from its inbound folder, and put feedback pages where students fetch them.

Every student's account can write there, under any name, and replace a file by a link at any moment. So a file counts as
a student's only if the account in its folder's name owns the opened file: no link can lead to a file of ours or of
another student, and nobody can hand in for somebody else. The last of several submissions counts; the others stay.
"""

import contextlib
import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nbgrader.utils import notebook_hash

from autograder.adapters.collect.layouts import SUBMISSION
from autograder.adapters.collect.pages import Given, Page
from autograder.grading import private
from autograder.intake.archive import MAX_BYTES, Archive, shown
from autograder.intake.extract import FLAGS
from autograder.intake.handed_in import may_be_meant

SECRET = "submission_secret.txt"  # nbgrader's: only its student can work out a page's name
MOST, LARGEST = 50, 2 * MAX_BYTES  # files of one submission, and bytes of them all
INBOUND, FEEDBACK, PAGE = "inbound", 0o711, 0o644  # nbgrader's own: anyone who knows a page's name can read it


class Refused(Exception):
    """Why a file was not taken."""


@contextlib.contextmanager
def opened(inbound: Path, assignment: str | None) -> Iterator[Archive]:
    """Possible notebooks in the submissions of an assignment, or of all; ValueError if there is no exchange."""
    problems: list[str] = []
    last = _last(inbound, assignment, problems)
    with tempfile.TemporaryFile() as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            for folder in last:
                left = LARGEST
                for name in _names(folder, problems):
                    try:
                        content = owned(folder, name, min(MAX_BYTES, left))
                    except Refused as why:
                        problems.append(f"{shown(f'{folder.name}/{name}')} {why}; not taken")
                    else:
                        left -= len(content)
                        file.writestr(f"{folder.name}/{name}", content)
        with zipfile.ZipFile(made) as file:
            archive = Archive(file)
            archive.problems += problems
            yield archive


def _last(inbound: Path, assignment: str | None, problems: list[str]) -> list[Path]:
    """Each student's last submission of an assignment, among the folders the student's account owns."""
    try:
        named = [(m, p) for p in inbound.iterdir() if (m := SUBMISSION.fullmatch(p.name))]
    except OSError as e:
        raise ValueError(f"{inbound} cannot be read ({e.strerror}); give the exchange's COURSE/inbound") from None
    last: dict[tuple[str, str], Path] = {}
    for m, folder in sorted(named, key=lambda pair: pair[0]["time"]):
        if assignment not in (m["assignment"], None):
            continue
        if folder.is_symlink() or not folder.is_dir():
            problems.append(f"{shown(folder.name)} is not a folder; not taken")
        elif (owner := _account(folder.lstat().st_uid)) != m["student"]:
            problems.append(f"{shown(folder.name)} belongs to the account {owner}; not taken")
        else:
            last[m["student"], m["assignment"]] = folder
    return sorted(last.values())


def _names(folder: Path, problems: list[str]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice((e.name for e in entries if may_be_meant(e.name)), MOST))
    except OSError as e:
        problems.append(f"{shown(folder.name)} cannot be read ({e.strerror}); not taken")
        return []


def owned(folder: Path, name: str, most: int = MAX_BYTES) -> bytes:
    """A file's content, if the account named by the folder owns it."""
    student = folder.name.partition("+")[0]
    try:
        fd = os.open(folder / name, FLAGS)
    except OSError as e:
        raise Refused("is a link" if (folder / name).is_symlink() else f"cannot be read ({e.strerror})") from None
    with os.fdopen(fd, "rb") as file:
        known = os.fstat(fd)
        if not stat.S_ISREG(known.st_mode):
            raise Refused("is not a plain file")
        if (owner := _account(known.st_uid)) != student:
            raise Refused(f"belongs to the account {owner}, not to {student}")
        content = file.read(most + 1)
    if len(content) > most:
        raise Refused(f"is larger than {most >> 20} MB")
    return content


def put(pages: Iterator[Page], to: Path, given: Given) -> None:
    """Put each page where `nbgrader fetch_feedback` looks for it, beside the inbound folder."""
    if not to.is_dir():
        private.folder(to).chmod(FEEDBACK)
    for page in pages:
        folder = to.parent / INBOUND / page.entry.partition("/")[0]
        try:
            if not (secret := owned(folder, SECRET, most=1000).decode()):
                raise Refused("is empty")
        except (Refused, UnicodeDecodeError) as why:
            given.problems.append(f"{page.student}: {SECRET} of {shown(folder.name)} {why}; no page was written")
            continue
        path = to / f"{notebook_hash(secret=secret, notebook_id=page.notebook)}.html"
        private.write_bytes(path, page.content)
        path.chmod(PAGE)
        given.count(page)


def _account(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)
