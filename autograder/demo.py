"""Shows the whole course on one page: the model's pictures and a graded batch of sample submissions."""

import shutil
from pathlib import Path
from typing import Any

from autograder import samples
from autograder.adapters import TEMPLATES, report, table
from autograder.cli.grade import write_gradebook
from autograder.grading import batch
from autograder.sandbox import child_process
from ddpm_core.config import DATA_DIR
from ddpm_tools import demo
from ddpm_tools.reports import demo_page


def run(out: Path, seed: int = 0, train: bool = False, course: Path = Path(".")) -> Path:
    """Make the pictures, then the grades, in `out`; print the table of grades, and print and return the page's path.

    Existing results are kept. The samples that need the sandbox are left out if there is none.
    """
    demo.run(out, DATA_DIR / "checkpoints/digits", seed, retrain=train)
    records = grade_samples(out, seed, course)
    path = write_page(out, records)
    print(table.text(records))
    if why := child_process.available():
        print(f"\nleft out, since they need the sandbox: {', '.join(samples.HOSTILE)}. {why}")
    print(f"\n{path.resolve()}")
    return path


def grade_samples(out: Path, seed: int, course: Path) -> list[dict]:
    """Write the sample submissions to out/submitted, grade them in out/grades, and return their records."""
    why = child_process.available()
    students = [s for s in samples.STUDENTS if why is None or s not in samples.HOSTILE]
    submitted, grades = out / "submitted", out / "grades"
    for left_over in set(samples.STUDENTS) - set(students):  # from an earlier run with a sandbox
        shutil.rmtree(submitted / left_over, ignore_errors=True)
    samples.write(submitted, course / "exercises", tuple(students))
    with batch.only_one(grades):
        records = batch.grade(batch.find(submitted, only=(samples.EXERCISE,)), grades, seed, sandboxed=why is None)
        table.write_csv(records, grades / "grades.csv")
        report.write(records, grades)
        write_gradebook(records, submitted, grades, None, course)
    return records


def graded(record: dict) -> dict[str, Any]:
    """Return what the page shows of one sample submission: the student, the result, and the share of the points."""
    extra = record["extra_data"]
    student, result = extra["student"], extra["notebooks"][samples.EXERCISE]
    made = samples.who(student) if student in samples.STUDENTS else ""
    share = (result["score"] or 0) / result["max_score"]
    return {"student": student, "who": made, "share": share, "right": student in samples.RIGHT} | result


def write_page(out: Path, records: list[dict], folder: str = "grades/") -> Path:
    """Write the demo's page with the grades below the pictures, and return its path. The records lie in out/folder."""
    return demo_page.write(
        *(out, TEMPLATES / "demo_with_grades.html"),
        unsandboxed=not all(r["extra_data"].get("sandboxed", True) for r in records),
        report=f"{folder}report.html",
        exercise=samples.EXERCISE,
        graded=[graded(r) for r in records],
        submissions=table.submissions(records, folder),
    )
