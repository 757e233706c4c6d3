"""Copy the last of several attempts into the folder of submissions; set aside the others, and unexpected files."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from autograder.adapters.collect import tables
from autograder.adapters.collect.layouts import Upload
from autograder.adapters.collect.people import Named
from autograder.adapters.collect.source import Collected, Source
from autograder.exercises import EXERCISES, of_assignment
from autograder.grading.private import write_bytes
from autograder.intake.archive import Archive, shown
from autograder.intake.handed_in import may_be_meant

ASIDE = "set_aside"
Attempt = tuple[tuple[int, ...], Upload]  # its place among the attempts at a notebook, and the upload


class Taking:
    """One download being imported."""

    def __init__(self, archive: Archive, source: Source, submitted: Path, done: Collected) -> None:
        self._archive, self._source, self._submitted, self._done = archive, source, submitted, done
        self._beside = submitted.parent
        self._rows = tables.load(self._beside, tables.COLLECTED, tables.COLUMNS[:3])
        self._before: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)  # rows by assignment and person
        for key, row in self._rows.items():
            self._before[key[0], row.get("format", ""), row.get("user", "")].append(key)
        self._times = tables.load(self._beside, tables.TIMES, tables.TIME_COLUMNS[:2])

    def all(self, uploads: Sequence[Upload], names: dict[str, Named]) -> None:
        """Every student's files, then the two tables."""
        groups: dict[tuple[str, str], list[Upload]] = defaultdict(list)
        for u in uploads:
            if u.user in names:
                groups[names[u.user].folder, self._assignment(u)].append(u)
        for (student, assignment), own in sorted(groups.items()):
            if not assignment:
                for u in own:
                    if (content := self._archive.read(u.entry)) is not None:
                        why = "of no known assignment; give it with --assignment"
                        self._keep(student, "", u.file, content, why)
            elif (self._submitted / student).is_symlink() or (self._submitted / student / assignment).is_symlink():
                self._say(f"{student}: the folder is a link; nothing was taken")
            else:
                self._student(student, assignment, names[own[0].user].name, own)
        tables.save(self._beside, tables.COLLECTED, tables.COLUMNS, self._rows.values())
        tables.save(self._beside, tables.TIMES, tables.TIME_COLUMNS, self._times.values())

    def _assignment(self, u: Upload) -> str:
        """The file's assignment: from the archive or the command, else that of the only notebook with this name."""
        known = {e.name: a for (a, _), e in EXERCISES.items()}
        return u.assignment or self._source.assignment or known.get(u.attempt([*known])[0] or "", "")

    def _student(self, student: str, assignment: str, name: str, uploads: list[Upload]) -> None:
        if self._source.assignment and assignment != self._source.assignment:
            return
        (self._submitted / student / assignment).mkdir(parents=True, exist_ok=True)
        self._forget(student, assignment, uploads[0].user)
        known = [e.name for e in of_assignment(assignment)]
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for u in uploads:
            notebook, order = u.attempt(known)
            if notebook:
                attempts[notebook].append((order, u))
            else:
                self._other(student, assignment, u)
        changed, tries = False, 1
        for notebook, found in attempts.items():
            tries = max(tries, len(found), *(u.tries for _, u in found))
            last_first = sorted(reversed(found), key=lambda a: a[0], reverse=True)
            changed |= self._notebook((assignment, student, notebook), name, last_first)
        time, late = self._source.when(student, uploads)
        self._done.students.add(student)
        if late:
            self._done.late.add(student)
        key = student, assignment
        if time:
            row = {"student": student, "assignment": assignment, "submitted_at": time, "attempt": str(tries)}
            self._times[key] = row
        elif changed:  # the time of this one is unknown
            self._times.pop(key, None)
        if key not in self._times:
            self._done.untimed.add(student)

    def _forget(self, student: str, assignment: str, user: str) -> None:
        """One person is one student: before the roster it was collected under another name, now under this one."""
        before = [k for k in self._before[assignment, self._source.form, user] if k[1] != student]
        before = [k for k in before if self._rows.get(k, {}).get("user") == user]  # not another's since
        for other in sorted({k[1] for k in before}):
            where = self._submitted / other / assignment
            self._say(f"{student} was collected as {other} before; remove {where}, or both are graded")
        for k in before:
            del self._rows[k]

    def _notebook(self, key: tuple[str, ...], name: str, attempts: list[Attempt]) -> bool:
        """The attempts at one notebook, last one first; True if a different file counts than before."""
        assignment, student, notebook = key
        path = self._submitted / student / assignment / f"{notebook}.ipynb"
        read = [(o, u, content) for o, u in attempts if (content := self._archive.read(u.entry)) is not None]
        if not read or path.is_dir() or path.is_symlink():
            if read:
                self._say(f"{student}: {path.name} is a folder or a link in {path.parent}; nothing was taken")
            return False
        order, last, content = read[0]
        before = path.read_bytes() if path.is_file() else None
        old = self._rows.get(key, {})
        newer = self._source.form == old.get("format") == "canvas" and _order(old) > order
        if newer and before is not None:
            self._keep(student, assignment, last.file, content, "from an older download; the newer file stays")
        else:
            if before not in (None, content):
                self._keep(student, assignment, path.name, before, "the previous file; the new one counts")
            if before != content:
                write_bytes(path, content)
            if last.file != path.name and not last.order:
                self._say(f"{student} handed in {shown(last.file)}: taken as {path.name}")
            late, places = "late" if last.late else "", " ".join(map(str, order))
            row = (*key, self._source.form, last.entry.name, last.user, name, places, late)
            self._rows[key] = dict(zip(tables.COLUMNS, row))
            self._done.notebooks += 1
        for _, u, earlier in read[1:]:
            self._keep(student, assignment, u.file, earlier, f"an earlier attempt; {shown(last.file)} counts")
        return before != content and not newer

    def _other(self, student: str, assignment: str, u: Upload) -> None:
        """An unexpected file: if it may be or contain a notebook, put it where the grader looks."""
        path, content = self._submitted / student / assignment / u.file, self._archive.read(u.entry)
        if content is None or (path.is_file() and path.read_bytes() == content):
            return
        if not may_be_meant(u.file) or path.exists() or path.is_symlink():
            self._keep(student, assignment, u.file, content, "not a notebook of this assignment")
        else:
            write_bytes(path, content)
            asked = ", ".join(f"{e.name}.ipynb" for e in of_assignment(assignment))
            self._say(f"{student} handed in {shown(u.file)}, which is not one of {asked}")

    def _keep(self, student: str, assignment: str, file: str, content: bytes, why: str) -> None:
        folder, number = self._beside / ASIDE / student / assignment, 1
        stem, dot, kind = file.rpartition(".")
        path = folder / file
        while path.exists() and (not path.is_file() or path.read_bytes() != content):
            number += 1
            path = folder / (f"{stem} ({number}).{kind}" if dot and stem else f"{file} ({number})")
        if not path.exists():
            write_bytes(path, content)
            self._say(f"{student}: {shown(file)} is set aside: {why}")

    def _say(self, what: str) -> None:
        self._done.problems.append("".join(c if c.isprintable() else "�" for c in what))


def _order(row: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(x) for x in row.get("order", "").split() if x.isdigit())
