"""nbgrader's settings for this course: read from here by every `nbgrader` command and by formgrader."""

from nbconvert.exporters import NotebookExporter
from nbgrader.converters.base import NbGraderException

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


class RefuseAutograde(NotebookExporter):
    """Stops `nbgrader autograde` (and formgrader's button) before it has touched a file or a grade.

    It would run student code with the instructor's rights, and give every test cell of ours full marks:
    the points come from `autograder grade`, outside of the notebook, so these cells hold no test that could fail.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        reason = "this course is graded by `autograder grade`; `nbgrader autograde` is switched off"
        self.log.error(reason)  # nbgrader ends quietly on its own exception
        raise NbGraderException(reason)


c.Autograde.exporter_class = RefuseAutograde
