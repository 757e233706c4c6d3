"""nbgrader for the grading account: two of formgrader's buttons name the command that replaces them."""

from nbgrader.exchange.default import ExchangeCollect, ExchangeReleaseFeedback

c = get_config()  # noqa: F821  (traitlets puts it there)


class Collect(ExchangeCollect):
    """nbgrader's own would follow a student's link with the grader's rights, and trust any name."""

    def start(self) -> None:
        self.fail("Run in a terminal: autograder collect EXCHANGE/inbound --format nbgrader --assignment ASSIGNMENT")


class ReleaseFeedback(ExchangeReleaseFeedback):
    """nbgrader's own looks for students' secrets in folders that hold only the notebooks copied by the grader."""

    def start(self) -> None:
        self.fail("Run: autograder return grades --format nbgrader --assignment ASSIGNMENT --to EXCHANGE/feedback")


c.ExchangeFactory.collect = Collect
c.ExchangeFactory.release_feedback = ReleaseFeedback
