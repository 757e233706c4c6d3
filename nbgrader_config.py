"""nbgrader's settings for this course, read by every `nbgrader` command and by formgrader."""

from autograder.adapters.execution import FIRST, THEN, InSandbox
from autograder.adapters.feedback_pages import FILTERS, STEPS
from autograder.release.numbers import STEPS as RELEASE

c = get_config()  # noqa: F821  (traitlets puts it there)

c.CourseDirectory.course_id = "conditional-diffusion"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
# A release has no student, and nbgrader writes "." instead: exercises/./5_3_conditioning is exercises/5_3_conditioning.
c.CourseDirectory.directory_structure = "{nbgrader_step}/{student_id}/{assignment_id}"

# Numbers that are drawn for each student appear in the release as written, without their marks.
c.GenerateAssignment.preprocessors = RELEASE
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# A submission whose grading failed has no score; nbgrader's own export would write 0.0.
c.ExportApp.plugin_class = "autograder.adapters.export.CsvExport"

# On a feedback page an answer without a mark reads "to be marked"; nbgrader's own page would show 0.0.
c.GenerateFeedback.preprocessors = STEPS
c.HTMLExporter.filters = FILTERS

# With these settings late submissions lose nothing. To deduct a tenth of the score per day after the first quarter of
# an hour, but never more than half: per_day = 0.1, grace_minutes = 15, cap = 0.5.
c.AssignLatePenalties.plugin_class = "autograder.adapters.late.LatePolicy"
c.LatePolicy.per_day = 0.0

# Where the gradebook is, unless it is a file beside the grades. nbgrader, formgrader and `autograder grade` all read
# this line; a password belongs in ~/.pgpass.
# c.CourseDirectory.db_url = "postgresql+psycopg://me@localhost/grades"

# `nbgrader autograde` (and formgrader's button) runs notebooks in the sandbox, only for their outputs. It gives no
# scores: by default it would run student code with the instructor's rights, and give full marks for our empty tests.
c.Autograde.exporter_class = InSandbox
c.Autograde.sanitize_preprocessors = FIRST
c.Autograde.autograde_preprocessors = THEN
