"""When a gate's run may stop: as soon as more training cannot change what is right to say of it.

The limits are the same at every look, as in a sequential test with fixed boundaries (Wald 1945, "Sequential Tests of
Statistical Hypotheses", Ann. Math. Stat. 16). A run that is looked at several times has several chances to pass, and
Lan & DeMets (1983, Biometrika 70) spend the error on the looks for that reason. Here nothing is left to spend: a full
limit lies below the *best* value that a control showed at *any* look (bands.py), so what is calibrated is the union
over all looks itself. The best of m runs is a tolerance limit of its distribution whatever that is (Wilks 1941, Ann.
Math. Stat. 12): one more run of a control is better than all of them with probability 1 / (m + 1) at most, and must
come as much nearer again, on a logarithmic scale, as the references are. A right design passes at the first look at
which it is within all limits, so it can only gain by looks: at the last one it is as far within as the references'
worst *last* value says. Half credit is for the last look alone.

A run ends early without credit where it is beyond a half limit and there is no hope of more: its label has no effect
on the denoising of held-out digits by the second look, or, without labels, its held-out loss has stopped falling or a
network of the answer's own makes no use of its timestep. A design that learns slowly has hope long before it has good
samples. Where slow learners need many more steps than references (harness.Gate.enough), the references' worst value is
that of an earlier look, which can only widen the limits, and a control's looks end where it is given up.
"""

import math

from autograder.gate.bands import Band, judge_run
from autograder.gate.harness import Harness
from autograder.gate.looking import Look

LABEL_Z = 5.0  # standard errors of label_gain; wrong labels reach 2.5, slow learners 14 by the first look
FALL = 0.01  # of the held-out loss since the look before; the references' falls by 0.03 and more


def hopeless(look: Look, labels: bool) -> bool:
    """Whether this look shows nothing that more training would build on; never at the first one."""
    return not math.isinf(look.hope) and look.hope < (LABEL_Z if labels else FALL)


def at(step: int, harness: Harness) -> str:
    """At which look a run ended, in words: "after 200 training steps, at look 2 of 4"."""
    ends = harness.ends
    which = f", at look {ends.index(step) + 1} of {len(ends)}" if len(ends) > 1 else ""
    return f"after {step} training steps{which}"


def decided(look: Look, limits: dict[str, Band], harness: Harness, judge: str = "judge") -> bool:
    """Whether the run may stop here: its verdict is then that of this look's metrics (bands.judge_run)."""
    share = judge_run(look.metrics[judge], limits).share
    return share == 1 or (share == 0 and hopeless(look, harness.labels))
