"""Is it my training or my sampling? Measurements, rules in order, and one sentence that names the fault."""

from ddpm_tools.diagnosis.evidence import Evidence, Settings
from ddpm_tools.diagnosis.reference import reference_curve
from ddpm_tools.diagnosis.report import Report, diagnose
from ddpm_tools.diagnosis.rules import RULES
from ddpm_tools.diagnosis.verdict import Verdict

__all__ = ["RULES", "Evidence", "Report", "Settings", "Verdict", "diagnose", "reference_curve"]
