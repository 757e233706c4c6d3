"""Makes the students' bundle: lessons, exercises, library, checks and small data, but no solutions or references."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from autograder import travel
from ddpm_tools.reports.one_page import one_page

FILES = (
    "pyproject.toml", "setup.py", "requirements.lock", "environment.yml", "LICENSE",
    "docs/students.md", "docs/challenges.md", "docs/data.md",
    "scripts/emoji_captions.py", "scripts/lesson_5_3.py", "scripts/lesson_5_3_records.py",  # lesson 5.3 mentions these
    "scripts/lesson_5_4.py", "scripts/lesson_5_4_latent.py",
)  # fmt: skip
LAB = Path("playground/lab/index.html")
ASSISTANTS = Path(__file__).with_name("AGENTS.md")  # asks coding assistants, which read such a file, to tutor
MARKER = ".students-bundle"  # in the bundle's folder: {file: SHA-256}, so that the next release recognises its files
VENV = ".venv"  # in the bundle's folder: an installation of it, such as a hub's, which the next release leaves there
LINK = re.compile(r"\[([^\]]+)\]\((\w+\.md)(#[\w-]+)?\)")  # from one page of docs/ to another


def make(out: Path, course: Path, exercises: bool = True) -> Path:
    """Write the bundle to `out`, with or without the exercises, replacing an earlier one completely or not at all.

    ValueError if `out` is something else, or holds anything that an earlier release did not write.
    """
    missing = [f for f in (*travel.STUDENTS, *FILES) if not (course / f).exists()]
    if missing:
        raise ValueError(f"{course} is not the course's folder: {', '.join(missing)} missing (name it with --course)")
    out, source = out.resolve(), course.resolve()
    if out in (source, *source.parents) or not {source / f for f in travel.STUDENTS}.isdisjoint((out, *out.parents)):
        raise ValueError(f"{out} holds the course itself, or is part of it; choose another folder with --out")
    return replace(out, partial(write, course=course, exercises=exercises))


def replace(out: Path, write: Callable[[Path], None]) -> Path:
    """Replace what an earlier release made at `out` with what `write` makes; ValueError if anything else is in there.

    `write` gets the path of a folder that does not exist yet.
    """
    out = out.resolve()
    if out.exists() and (why := in_the_way(out)):
        raise ValueError(f"{out} holds {why}; move that away, or choose another folder with --out")
    made, old = (out.with_name(f".{out.name}.{word}") for word in ("tmp", "old"))
    for left in (made, old):  # left by a release that was cut short
        shutil.rmtree(left, ignore_errors=True)
    write(made)
    (made / MARKER).write_text(json.dumps(contents(made), indent=1) + "\n", encoding="utf-8")
    if (out / VENV).is_dir():
        (out / VENV).rename(made / VENV)
    if out.exists():
        out.rename(old)
    made.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    return out


def in_the_way(out: Path) -> str:
    """Return, in words, what in `out` is not as an earlier release wrote it; "" if there is nothing."""
    if not out.is_dir():
        return "a file"
    there = contents(out)
    try:
        known = json.loads((out / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "something else" if there else ""
    changed = [name for name, found in there.items() if known.get(name) != found]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"files that are new or have changed since ({', '.join(changed[:3])}{more})" if changed else ""


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its path, except for an installation and what Python and Jupyter leave."""
    there = (file for file in travel.files(folder) if file.name != MARKER)
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in there}


def linked(page: str, before: str = "") -> str:
    """Return a page of docs/ whose links to pages that students do not get are plain text; `before` precedes others."""

    def link(found: re.Match[str]) -> str:
        text, name, place = found.groups("")
        return f"[{text}]({before}{name}{place})" if f"docs/{name}" in FILES else text

    return LINK.sub(link, page)


def write(out: Path, course: Path, exercises: bool = True) -> None:
    """Write the bundle to a folder that does not exist yet."""
    left_out = () if exercises else (course / "exercises",)
    chosen = [f for f in travel.to_students(course) if not any(f.is_relative_to(folder) for folder in left_out)]
    travel.copy((*chosen, *(course / f for f in FILES)), course, out)
    for page in (out / "docs").glob("*.md"):
        page.write_text(linked(page.read_text(encoding="utf-8")), encoding="utf-8")
    readme = (course / "docs/students.md").read_text(encoding="utf-8")
    (out / "README.md").write_text(linked(readme, "docs/"), encoding="utf-8")
    shutil.copyfile(ASSISTANTS, out / ASSISTANTS.name)
    if (course / LAB).is_file():  # lesson 5.2 links to it; as a single file it needs no server
        (out / LAB).parent.mkdir(parents=True)
        (out / LAB).write_text(one_page(course / LAB), encoding="utf-8")
