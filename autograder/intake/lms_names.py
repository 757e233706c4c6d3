"""How Canvas and Moodle name what was handed in, in the zip of all submissions.

Canvas ("Download Submissions"): NAME[_LATE]_USER_ATTACHMENT_FILE, or [LATE_]anon_USER_ATTACHMENT_FILE, where a file
that was handed in again is FILE-1, FILE-2. It takes files back by the first two numbers between underscores. See
lib/content_zipper.rb and Assignment#infer_comment_context_from_filename in github.com/instructure/canvas-lms.

Moodle ("Download all submissions"): [GROUP-]NAME_PARTICIPANT_assignsubmission_file in front, as a folder (with a
trailing underscore before Moodle 4.1), or of the file's name. It takes files back by the number. See download and
mod/assign/feedback/file/importziplib.php in github.com/moodle/moodle.
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
    """`moodle` or `canvas` where one of them would name a file or folder so, else nothing."""
    if MOODLE.fullmatch(name[:400]):
        return "moodle"
    return "canvas" if CANVAS.fullmatch(name[:400]) and "." in name else ""


def hint(names: Iterable[str]) -> str:
    """What to do about a folder with such names in it."""
    form = next(filter(None, map(looks_like, names)), "")
    said = f"what lies there is named as {form.title()} names it: " if form else "from Canvas or Moodle, "
    return f"{said}{TAKE_OVER}{f' --format {form}' if form else ''}"
