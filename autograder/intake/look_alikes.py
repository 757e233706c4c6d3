"""Finds names that look the same in print, such as `ada` with a Cyrillic а."""

import functools
import string
import unicodedata
from collections.abc import Iterable
from hashlib import blake2s

from autograder.intake.problems import Problem

# Characters that look nearly alike. About a hundred letters of other scripts have exactly the outlines of Latin ones,
# and are found by these.
NEARLY = str.maketrans(
    "01|IαɑɡɩιıкκνѵυτԁօгᎪᏴᏟᎠᎬᏀᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᏔᎩᏃ",
    "OlllaagiiikkvvutdorABCDEGHJKLMPRSTVWYZ",
)
UNSEEN = dict.fromkeys([0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, *range(0xFE00, 0xFE10)])


def look_alikes(names: Iterable[str]) -> list[Problem]:
    """Return a problem for each name that looks like an earlier one."""
    seen: dict[str, str] = {}
    found = []
    for name in sorted(set(names)):
        looks = appearances(name)
        if other := next((seen[look] for look in looks if look in seen), None):
            both = f"{other!a}, and is {name!a}"
            found.append(Problem(name, "", f"looks like the name {both}; see whose folder it is, and rename it"))
        seen |= dict.fromkeys(looks, name)
    return found


def appearances(name: str) -> set[str]:
    """Return what a name looks like, with and without regard to case. Names that look the same share an element."""
    text = " ".join(unicodedata.normalize("NFKC", name.translate(UNSEEN)).split())
    return {_plain(text), _plain(text.casefold())}


def _plain(text: str) -> str:
    drawn = map(_outline, text.translate(NEARLY))
    return "".join(_latin().get(outline, outline) for outline in drawn).translate(NEARLY).replace("rn", "m")


@functools.cache
def _latin() -> dict[str, str]:
    return {_outline(c): c for c in string.ascii_letters + string.digits}


@functools.cache
def _outline(c: str) -> str:
    """Return a hash of a character's outline in the font; the character itself if the font does not have it."""
    from matplotlib import font_manager  # slow to load
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(font_manager.findfont("DejaVu Sans"))  # comes with matplotlib
    if not font.get_char_index(ord(c)):
        return c
    font.load_char(ord(c), flags=LoadFlags.NO_SCALE)
    vertices, codes = font.get_path()
    return f"<{blake2s(vertices.tobytes() + codes.tobytes()).hexdigest()}>" if len(codes) else c
