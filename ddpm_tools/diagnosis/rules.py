"""From evidence to one sentence: a few rules in order; the first that fires names the fault. The order follows the
pipeline. Weights that are not finite explain everything after them. The average comes before the conventions, because a
stale average fits none. Training comes before sampling, because no sampler repairs weights."""

from ddpm_tools.diagnosis import sampling_rules, training_rules
from ddpm_tools.diagnosis.evidence import Evidence
from ddpm_tools.diagnosis.verdict import Verdict

RULES = (*training_rules.RULES, *sampling_rules.RULES, training_rules.behind)  # the last one names no cause


def reasons() -> list[str]:
    """The reason for each rule, in order."""
    return [" ".join(rule.__doc__.split()) for rule in RULES]


def judge(e: Evidence) -> Verdict:
    """The verdict of the first rule that fires, or the verdict that no fault was found."""
    if found := next(filter(None, (rule(e) for rule in RULES)), None):
        return found
    where, remedy = "training", "If the images still look wrong, pass your own sampler to `diagnose` next."
    if e.sampler:
        where, remedy = "training or the sampler", "If the images still disappoint, train longer, or guide with w > 1."
    return Verdict("none", "none", f"No fault was found in the {where}.", remedy)
