"""nbgrader for the account that grades: two of formgrader's buttons name the command that takes their place."""

from nbgrader.exchange.default import ExchangeCollect, ExchangeReleaseFeedback

c = get_config()  # noqa: F821  (traitlets puts it there)


class Collect(ExchangeCollect):
    """nbgrader's would follow a link that a student put there, with the grader's rights, and take any name's word."""

    def start(self) -> None:
        self.fail("Type in a terminal: autograder collect EXCHANGE/inbound --format nbgrader --assignment ASSIGNMENT")


class ReleaseFeedback(ExchangeReleaseFeedback):
    """nbgrader's looks for students' secrets in folders to which the grader copies nothing but notebooks."""

    def start(self) -> None:
        self.fail("Type: autograder return grades --format nbgrader --assignment ASSIGNMENT --to EXCHANGE/feedback")


c.ExchangeFactory.collect = Collect
c.ExchangeFactory.release_feedback = ReleaseFeedback
