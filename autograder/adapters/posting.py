"""Scores posted to an LMS once each: a line in OUT/lti.jsonl before a score is sent, and another when it has arrived.

After an interrupted run, it is unknown whether some scores arrived. The next run asks the platform for its scores, and
posts the missing ones with the same timestamp as before. A platform rejects a score for a user unless its timestamp is
later than the last (Assignment and Grade Services 2.0, "timestamp"), so no score can count twice.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from autograder.adapters.lms import Totals
from autograder.adapters.lti import Platform
from autograder.grading import private

FILE = "lti.jsonl"  # in the folder of grades
ATTEMPTS = 5
MOST_S = 60.0  # the longest wait between two attempts that a platform can ask for
SENDING, SENT = "sending", "sent"
PENDING, FINAL = "PendingManual", "FullyGraded"


@dataclass(frozen=True)
class Score:
    """One line of the file: a score of one user in one column, and its state."""

    line_item: str
    user: str
    student: str
    given: float
    maximum: float
    progress: str  # PENDING while a written answer has no mark
    timestamp: str
    state: str

    @property
    def content(self) -> tuple[float, float, str]:
        return self.given, self.maximum, self.progress

    def data(self) -> dict[str, Any]:
        """As the platform reads it."""
        told = {"userId": self.user, "scoreGiven": self.given, "scoreMaximum": self.maximum}
        return told | {"activityProgress": "Completed", "gradingProgress": self.progress, "timestamp": self.timestamp}


@dataclass
class Done:
    """The results; `left` says why the run stopped early, if it did."""

    posted: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # graded, but not a member of the course on the platform
    refused: dict[str, str] = field(default_factory=dict)  # by student: what the platform said
    left: str = ""


def post(platform: Platform, totals: Totals, assignment: str, out: Path, pause: Callable = time.sleep) -> Done:
    """Post every score of an assignment that the platform does not have yet; ValueError if it does not answer."""
    scores = {s: x for s, by in totals.scores.items() if (x := by.get(assignment)) is not None}
    maximum, done = totals.assignments[assignment], Done()
    users = _attempted(platform, lambda: platform.users(list(scores)), pause)
    line_item = _attempted(platform, lambda: platform.line_item(assignment, maximum), pause)
    done.absent = sorted(scores.keys() - users.keys())
    last = {(s.line_item, s.user): s for s in read(out / FILE)}
    doubtful = any(s.state == SENDING and s.line_item == line_item for s in last.values())
    held = _attempted(platform, lambda: platform.results(line_item), pause) if doubtful else {}
    for student, given in scores.items():
        if not (user := users.get(student)):
            continue
        old = last.get((line_item, user))
        progress = PENDING if (student, assignment) in totals.to_mark else FINAL
        now = _later(old.timestamp if old else "")
        new = Score(line_item, user, student, given, maximum, progress, now, SENDING)
        if old and old.content == new.content:
            if old.state == SENT or held.get(user) == (given, maximum):
                done.already.append(student)
                if old.state != SENT:
                    _write(out / FILE, old, SENT)
                continue
            new = old  # with its timestamp, whether or not it arrived
        _write(out / FILE, new, SENDING)
        try:
            _attempted(platform, lambda new=new: platform.score(line_item, new.data()), pause, arrived=(409,))
        except Refused as error:
            done.refused[student] = str(error)
            continue
        except ValueError as error:
            done.left = str(error)
            break
        _write(out / FILE, new, SENT)
        done.posted.append(student)
    return done


class Refused(ValueError):
    """The platform rejected one request; repeating it will not help."""


def _attempted(platform: Platform, ask: Callable, pause: Callable, arrived: tuple[int, ...] = ()) -> Any:
    """The answer, after at most ATTEMPTS; a status in `arrived` means that the platform already has it.

    Refused if it is rejected; ValueError if there is no answer, or no token.
    """
    import requests
    from pylti1p3.exception import LtiServiceException

    for attempt in range(1, ATTEMPTS + 1):
        wait = min(2.0**attempt, MOST_S)
        try:
            return ask()
        except LtiServiceException as error:
            status, where = error.response.status_code, error.response.url
            if status in arrived:
                return None
            if where.startswith(platform.settings.auth_token_url) and status < 500:
                said = error.response.text[:200]
                why = f"the platform gives no token ({status}: {said})"
                raise ValueError(f"{why}; check that it knows client_id and the public key") from None
            if status == 401:  # the token has expired
                platform.renew()
                wait = 0.0
            elif status != 429 and status < 500:
                raise Refused(f"{status} {error.response.text[:200]}".strip()) from None
            why = f"{where} answers {status}"
            asked = error.response.headers.get("Retry-After", "")
            wait = min(float(asked), MOST_S) if asked.isdecimal() else wait
        except requests.RequestException as error:
            why = f"{type(error).__name__} at {error.request.url if error.request else 'the platform'}"
        if attempt < ATTEMPTS:
            pause(wait)
    raise ValueError(f"the platform did not answer after {ATTEMPTS} attempts ({why}); run the same command again later")


def read(file: Path) -> list[Score]:
    """The lines of the file; a last line that was cut off is ignored."""
    if not file.is_file():
        return []
    lines, found = file.read_text(encoding="utf-8").splitlines(), []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Score(**json.loads(line)))
        except (ValueError, TypeError):
            if number < len(lines):
                raise ValueError(f"line {number} of {file} is damaged; fix or remove that line") from None
    return found


def _write(file: Path, score: Score, state: str) -> None:
    """Add a line, and make sure it is on disk before anything else is done."""
    private.close(file)
    with file.open("r+b") as f:
        f.seek(f.read().rfind(b"\n") + 1)  # the rest is a line that was cut off
        f.truncate()
        f.write((json.dumps(asdict(score) | {"state": state}) + "\n").encode())
        f.flush()
        os.fsync(f.fileno())


def _later(old: str) -> str:
    """Now, with fractions and a zone; always later than `old`, whatever this machine's clock says."""
    now = datetime.now(UTC)
    if old:
        now = max(now, datetime.fromisoformat(old) + timedelta(milliseconds=1))
    return now.isoformat(timespec="microseconds")
