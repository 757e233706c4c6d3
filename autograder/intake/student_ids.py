"""Names of students, as their folders have them: what may become a folder of records, and what may be shown.

A student is a folder in the grader's output and a field of tables. No name may lead elsewhere, hide, collide with a
file of the grader's own, or carry control characters into a terminal; and two students never share a folder.
"""

import os

# What the grader itself writes into its output folder, beside one folder per student.
RESERVED = {
    *("autograded", "feedback", "grades.csv", "report.html", "gradebook.db", "run.json"),
    *("nbgrader_config.py", "exchange", "archive"),
}


def student_of(folder_name: str) -> str:
    """The student's id: the submitted folder's name; what cannot be printed or stored is written as %XX."""
    if folder_name.isprintable():  # no control characters, no line ends, no bytes that are not UTF-8
        return folder_name
    return "".join(c if c.isprintable() and c != "%" else _escaped(c) for c in folder_name)


def folder_of(student: str) -> str:
    """The folder of a student's records. Another student never has the same, and it is never one of RESERVED."""
    hidden = student.startswith((".", "%"))
    if not hidden and student.casefold() not in RESERVED and "/" not in student:
        return student
    return _escaped(student[0]) + student[1:].replace("/", "%2F")


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))
