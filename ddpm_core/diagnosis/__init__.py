"""Is it my training or my sampling? Evidence (denoising, labels, weights, sampler), rules in order, one sentence."""

from ddpm_core.diagnosis.evidence import Evidence, Settings
from ddpm_core.diagnosis.report import Report, diagnose
from ddpm_core.diagnosis.rules import RULES, Verdict

__all__ = ["RULES", "Evidence", "Report", "Settings", "Verdict", "diagnose"]
