"""From evidence to one sentence: a few rules in order; the first that fires names the fault.

The order follows the pipeline. Weights that are not finite explain everything after them; the average comes before the
conventions, since a stale average fits none; training comes before sampling, since no sampler repairs weights.
"""

from ddpm_tools.diagnosis import sampling_rules, training_rules
from ddpm_tools.diagnosis.evidence import Evidence
from ddpm_tools.diagnosis.verdict import Verdict

RULES = (
    training_rules.broken,
    training_rules.stale_average,
    training_rules.other_convention,
    training_rules.restless,
    training_rules.time_unused,
    training_rules.unlearnt,
    training_rules.labels_unused,
    training_rules.labels_swapped,
    sampling_rules.sampler_broken,
    sampling_rules.sampler_times,
    sampling_rules.sampler_noise,
    sampling_rules.sampler_output,
    sampling_rules.sampler_schedule,
    sampling_rules.sampler_step,
    sampling_rules.sampler_labels,
    training_rules.behind,  # last: it names no cause
)


def reasons() -> list[str]:
    """The reason for each rule, in order."""
    return [" ".join(rule.__doc__.split()) for rule in RULES]


def judge(e: Evidence) -> Verdict:
    """The verdict of the first rule that fires, or that none does."""
    for rule in RULES:
        if verdict := rule(e):
            return verdict
    if e.sampler:
        where, remedy = "training or the sampler", "If the images still disappoint: train longer, or guide with w > 1."
    else:
        where, remedy = ("training", "If the images still look wrong, pass your own sampler to `diagnose` next.")
    return Verdict("none", "none", f"No fault was found in the {where}.", remedy)
