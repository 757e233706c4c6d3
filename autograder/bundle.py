"""The students' bundle: lessons, exercises, the library, the checks and small data; no solutions, no references."""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDERS = ("lessons", "exercises", "ddpm_core", "autograder", "data")
FILES = (
    "pyproject.toml", "requirements.lock", "environment.yml", "LICENSE", "docs/students.md",
    "scripts/emoji_captions.py", "scripts/lesson_5_3.py",  # what lesson 5.3 names
)  # fmt: skip
# Reference answers, sample submissions and what only an instructor runs; the judge of record is not for training on.
LEFT_OUT = (
    "autograder/references", "autograder/mutants", "autograder/samples",
    "autograder/calibrate.py", "autograder/demo.py", "autograder/release.py",
    "autograder/adapters/gradebook.py", "autograder/adapters/restore.py", "autograder/adapters/export.py",
    "autograder/adapters/execution.py", "autograder/kernel.py",
    "autograder/adapters/database.py", "autograder/adapters/feedback.py", "autograder/adapters/late.py",
    "autograder/adapters/lms.py", "autograder/adapters/questions.py", "autograder/adapters/roster.py",
    "autograder/adapters/workspace.py",
    "data/judges",
)  # fmt: skip
JUNK = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.tmp", "*.egg-info", ".DS_Store")


def make(out: Path, course: Path) -> Path:
    """Write the bundle to `out`, replacing an earlier one; ValueError where `out` is something else."""
    missing = [f for f in (*FOLDERS, *FILES) if not (course / f).exists()]
    if missing:
        raise ValueError(f"{course} is not the course's folder: {', '.join(missing)} missing (name it with --course)")
    marker = out / ".students-bundle"
    if out.exists() and any(out.iterdir()) and not marker.exists():
        raise ValueError(f"{out} holds something else; choose an empty folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    left_out = {(course / f).resolve() for f in LEFT_OUT}

    def ignore(folder: str, names: list[str]) -> set[str]:
        hidden = {n for n in names if (Path(folder) / n).resolve() in left_out}
        return hidden | JUNK(folder, names)

    for folder in FOLDERS:
        shutil.copytree(course / folder, out / folder, ignore=ignore)
    for file in FILES:
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(course / file, out / file)
    (out / "README.md").write_text((course / "docs/students.md").read_text(encoding="utf-8"), encoding="utf-8")
    marker.touch()
    return out
