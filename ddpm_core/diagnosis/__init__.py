"""Is it my training or my sampling? Evidence (denoising, labels, weights, sampler), rules in order, one sentence."""

from ddpm_core.diagnosis.evidence import Evidence, Settings
from ddpm_core.diagnosis.reference import reference_curve
from ddpm_core.diagnosis.report import Report, diagnose
from ddpm_core.diagnosis.rules import RULES
from ddpm_core.diagnosis.verdict import Verdict

__all__ = ["RULES", "Evidence", "Report", "Settings", "Verdict", "diagnose", "reference_curve"]
