"""How Canvas and Moodle name submitted files in the zip of all submissions.

Canvas ("Download Submissions"): NAME[_LATE]_USER_ATTACHMENT_FILE, or [LATE_]anon_USER_ATTACHMENT_FILE. A file that was
handed in again is FILE-1, FILE-2. Uploaded files are matched by the first two numbers between underscores. See
lib/content_zipper.rb and Assignment#infer_comment_context_from_filename in github.com/instructure/canvas-lms.

Moodle ("Download all submissions"): [GROUP-]NAME_PARTICIPANT_assignsubmission_file, either as a folder (with a trailing
underscore before Moodle 4.1) or as a prefix of the file's name. Uploaded files are matched by the number. See download
and mod/assign/feedback/file/importziplib.php in github.com/moodle/moodle.
"""

import re
from collections.abc import Iterable

CANVAS = re.compile(
    r"(?:(?P<name>.*?)_)??(?P<late>LATE_)?(?P<user>[0-9]+|anon_[A-Za-z0-9]+)_(?P<number>[0-9]+)_(?P<file>.+)", re.S
)
MOODLE = re.compile(
    r"(?P<name>[^_]*)_(?P<user>[0-9]+)_assign(?:submission|feedback)_(?P<kind>[a-z]+)(?P<rest>_.*)?", re.S
)
TAKE_OVER = "take the download over with `autograder collect`"


def looks_like(name: str) -> str:
    """Return "moodle" or "canvas" if a file or folder is named as by one of them, otherwise ""."""
    if MOODLE.fullmatch(name[:400]):
        return "moodle"
    return "canvas" if CANVAS.fullmatch(name[:400]) and "." in name else ""


def hint(names: Iterable[str]) -> str:
    """Return what to do about a folder with such names in it."""
    form = next(filter(None, map(looks_like, names)), "")
    said = f"its files are named as {form.title()} names them: " if form else "from Canvas or Moodle, "
    return f"{said}{TAKE_OVER}{f' --format {form}' if form else ''}"
