"""Points taken off for late submissions, through nbgrader's own hook.

nbgrader asks the class that `c.AssignLatePenalties.plugin_class` names, once for each notebook handed in after its due
date (with the student's extension, if any), and stores the points it returns beside the score. It does so in
`nbgrader autograde`, which is not used here, so `assign` does it instead, for any such class. See the page "Late
submission plugin", https://nbgrader.readthedocs.io/en/stable/plugins/late-plugin.html.

The due date is the gradebook's (formgrader, or `nbgrader db assignment add NAME --duedate "2027-01-31 23:59 UTC"`). The
time of submission comes from intake/times.py, never from a student's own folder.
"""

import math
from datetime import UTC, datetime

from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.plugins import BasePlugin
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import Float, TraitError
from traitlets.config import Config

DAY_S = 86_400
UNKNOWN = "the submission time is unknown, so there is no late penalty; enter it in times.csv beside the submissions"
CLAIM = "timestamp.txt in the student's own folder does not count"


def plain(when: datetime | None) -> datetime | None:
    """A time as nbgrader stores it: in UTC, without a zone."""
    return when.astimezone(UTC).replace(tzinfo=None) if when else None


class LatePolicy(BasePlugin):
    """Takes off a share of the score per day or part of a day; nothing unless per_day is set."""

    per_day = Float(0.0, min=0.0, max=1.0, help="Share of the score lost per day; 0: none.").tag(config=True)
    grace_minutes = Float(0.0, min=0.0, help="Minutes after the due date that do not count as late.").tag(config=True)
    cap = Float(1.0, min=0.0, max=1.0, help="The largest share that can be lost.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Points to take off, or None. score >= 0 is the notebook's; seconds are counted from the due date."""
        if self.per_day == 0 or total_seconds_late <= 60 * self.grace_minutes:
            return None
        days = math.ceil(total_seconds_late / DAY_S)
        return score * min(self.cap, self.per_day * days)


def rule(config: Config) -> AssignLatePenalties:
    """nbgrader's step with the configured class; ValueError if the configuration is invalid."""
    try:
        step = AssignLatePenalties(config=config)
        step.init_plugin()
        _ = step.plugin_inst.late_submission_penalty
    except (TraitError, ImportError, AttributeError) as error:
        raise ValueError(f"nbgrader_config.py has no usable rule for late submissions: {error}") from None
    return step


def assign(submission: SubmittedAssignment, step: AssignLatePenalties) -> None:
    """Set every notebook's penalty, as nbgrader's step does, from the current scores, including marks by hand.

    A score waiting for a regrade has no penalty yet. The scores must have been flushed to the database.
    """
    for notebook in submission.notebooks:
        points = None
        if submission.total_seconds_late > 0 and notebook.score:
            student, seconds = submission.student.id, submission.total_seconds_late
            points = step.plugin_inst.late_submission_penalty(student, notebook.score, seconds)
        if points is not None:
            points = min(max(0.0, float(points)), notebook.score) if math.isfinite(points) else None
        notebook.late_submission_penalty = points


def assign_all(gb: Gradebook, step: AssignLatePenalties) -> None:
    """The same for every submission."""
    for assignment in gb.assignments:
        for submission in assignment.submissions:
            assign(submission, step)
    gb.db.commit()
