"""nbgrader's settings for this course: read from here by every `nbgrader` command and by formgrader."""

from autograder.adapters.execution import FIRST, THEN, InSandbox

c = get_config()  # noqa: F821  (traitlets puts it there)

c.CourseDirectory.course_id = "conditional-diffusion"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
# nbgrader puts "." where a release has no student: exercises/./5_3_conditioning is exercises/5_3_conditioning.
c.CourseDirectory.directory_structure = "{nbgrader_step}/{student_id}/{assignment_id}"

c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"

# A submission whose grading failed has no score; nbgrader's own export would print it as 0.0.
c.ExportApp.plugin_class = "autograder.adapters.export.CsvExport"

# `nbgrader autograde` (and formgrader's button) runs notebooks in the sandbox, for their outputs. It reads no score:
# its own way gives student code the instructor's rights, and full marks for every test cell of ours, which holds none.
c.Autograde.exporter_class = InSandbox
c.Autograde.sanitize_preprocessors = FIRST
c.Autograde.autograde_preprocessors = THEN
