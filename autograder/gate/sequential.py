"""Decides when a gate's run can stop: as soon as more training cannot change the right verdict.

The limits are the same at every look, as in a sequential test with fixed boundaries (Wald 1945, "Sequential Tests of
Statistical Hypotheses", Ann. Math. Stat. 16). A run with several looks has several chances to pass, which is why
Lan & DeMets (1983, Biometrika 70) spread the error over the looks. Here there is nothing to spread: a full limit lies
below the *best* value that a control showed at *any* look (bands.py), so the union over all looks is what is
calibrated. The best of m runs is a tolerance limit of their distribution, whatever that is (Wilks 1941, Ann. Math.
Stat. 12): one more run of a control beats all of them with probability 1 / (m + 1) at most. To pass, it must then still
cover half the distance to the worst reference, on a logarithmic scale. A correct design passes at the first look at
which it is within all limits, so more looks can only help it. At the last one, its margin is that of the references'
worst *last* value. Half credit is given only at the last look.

A run ends early without credit if it is beyond a half limit and there is no hope of more: by the second look, its label
has no effect on the denoising of held-out digits; or, without labels, its held-out loss has stopped falling, or a
network that is wholly the answer's makes no use of its timestep. A design that learns slowly shows hope long before it
has good samples. If slow learners need many more steps than references (harness.Gate.enough), the references' worst
value is taken from an earlier look, which can only widen the limits, and a control's looks end where it is given up.
"""

import math

from autograder.gate.bands import Band, judge_run
from autograder.gate.harness import Harness
from autograder.gate.looking import Look

LABEL_Z = 5.0  # standard errors of label_gain; wrong labels reach 2.5, slow learners 14 by the first look
FALL = 0.01  # relative fall of the held-out loss since the look before; the references' falls by 0.03 or more


def hopeless(look: Look, labels: bool) -> bool:
    """Whether this look shows nothing that more training could build on; never at the first one."""
    return not math.isinf(look.hope) and look.hope < (LABEL_Z if labels else FALL)


def at(step: int, harness: Harness) -> str:
    """Return when a run ended, in words: "after 200 training steps, at look 2 of 4"."""
    ends = harness.ends
    which = f", at look {ends.index(step) + 1} of {len(ends)}" if len(ends) > 1 else ""
    return f"after {step} training steps{which}"


def decided(look: Look, limits: dict[str, Band], harness: Harness, judge: str = "judge") -> bool:
    """Whether the run can stop here, with the verdict on this look's metrics (bands.judge_run)."""
    share = judge_run(look.metrics[judge], limits).share
    return share == 1 or (share == 0 and hopeless(look, harness.labels))
