"""Rules about the sampler, in order. Each docstring gives the rule's reason and threshold."""

from ddpm_tools.diagnosis.evidence import Evidence
from ddpm_tools.diagnosis.sampling import SamplerEvidence
from ddpm_tools.diagnosis.training_rules import RENAMED, SAME_SCHEDULE
from ddpm_tools.diagnosis.verdict import Verdict, pairs, rule

WORSE = 1.5  # energy distance to real images / the reference sampler's
EXPLAINED = 0.5  # what a mistake leaves unexplained of the steps / what the right step leaves
SHOWN = 0.7  # share of samples that show their class / share of real images that the network recognises


def failing(e: Evidence) -> SamplerEvidence | None:
    """The sampler's evidence if its images are at least 1.5 times as far from real ones as the reference sampler's. A
    sampler that does as well as the reference is not questioned, however it works."""
    return e.sampler if e.sampler and not e.sampler.ratio < WORSE else None


@rule(
    "sampler not finite", "sampling",
    "Look for a division by zero, such as by 1 - abar or abar at the ends of the schedule, or the root of a negative.",
)  # fmt: skip
def sampler_broken(e: Evidence) -> str | None:
    """Images that are not finite cannot be compared with anything. Here the network's own output is finite."""
    if e.sampler is None or e.sampler.images.isfinite().all():
        return None
    bad = int((~e.sampler.images.isfinite().flatten(1).all(1)).sum())
    return f"The sampler returns NaN or infinite values in {bad} of its {len(e.sampler.images)} images."


@rule(
    "sampling time", "sampling",
    "Pass the network the integer timestep itself, in descending order: not t / T, and not the index of the step.",
)  # fmt: skip
def sampler_times(e: Evidence) -> str | None:
    """The images are worse than the reference sampler's, and the timesteps do not descend from about T - 1. A list that
    starts below three quarters of that skips most of the noise."""
    s, last = failing(e), e.how.schedule.timesteps - 1
    if s is None or len(s.times) < 2 or (0.75 * last <= s.times[0] <= last and s.times[-1] <= s.times[0]):
        return None
    return f"The sampler calls the network at t = {s.times[0]:g} ... {s.times[-1]:g} instead of {last} ... 0."


@rule("initial noise", "sampling", "Start from torch.randn.")
def sampler_noise(e: Evidence) -> str | None:
    """The images are worse, and the first xt is not standard normal noise, whose standard deviation over hundreds of
    pixels is 1 to within a few per cent."""
    s = failing(e)
    if s is None or not s.times or 0.9 < s.noise_std < 1.1:
        return None
    return f"The sampler starts from noise of standard deviation {s.noise_std:.2f} instead of 1."


@rule("output range", "sampling", "Rescale images once, where they are displayed or saved: (x + 1) · 127.5.")
def sampler_output(e: Evidence) -> str | None:
    """The images are worse, and their pixels are a linear function of the last step's result that is off by a tenth or
    more, while nothing else is wrong with the steps."""
    s = failing(e)
    if s is None or not s.times or s.mistake.names or (0.9 < s.gain < 1.1 and abs(s.offset) < 0.1) or s.unfit > 0.05:
        return None
    low, high = round(s.offset - s.gain, 3) + 0.0, round(s.offset + s.gain, 3) + 0.0
    return f"The sampler's steps are right, but its images are returned in [{low:g}, {high:g}] instead of [-1, 1]."


@rule("sampling schedule", "sampling", SAME_SCHEDULE)
def sampler_schedule(e: Evidence) -> str | None:
    """Each step is repeated with each known mistake. Another schedule is certain if it lands exactly (to 1e-5) where
    the sampler did and the right one does not (1e-4), even if the images look fine. If fresh noise hides an exact
    match, the images must be worse, and the mistake must leave less than half as much unexplained as the right step."""
    s = e.sampler
    if s is None or s.mistake is None or not s.mistake.names or s.mistake.names[0] == "clamp":
        return None
    exact = s.residual < 1e-5 and s.right_residual > 1e-4
    if not exact and not (failing(e) and s.residual < EXPLAINED * s.right_residual):
        return None
    return f"The sampler steps with the {s.mistake.names[0]} schedule, not that of the training: {shares(s)}."


def shares(s: SamplerEvidence) -> str:
    return f"this leaves {s.residual:.2%} of its steps unexplained, the right step {s.right_residual:.2%}"


def sampler_step(e: Evidence) -> Verdict | None:
    """The images are worse, and steps without the clamp leave less than half as much unexplained as the right step.
    Otherwise the sampler's fault is not a known one."""
    s = failing(e)
    if s is None:
        return None
    if s.mistake and "clamp" in s.mistake.names and s.residual < EXPLAINED * s.right_residual:
        return Verdict(
            "clamp", "sampling", f"The sampler does not clamp x0 to [-1, 1]: {shares(s)}.",
            "Clamp x0_hat to [-1, 1] in every step, and re-derive the noise from the clamped x0_hat.",
        )  # fmt: skip
    return Verdict(
        "sampler", "sampling",
        f"The network is sound, but the sampler's images are {s.ratio:.1f} times as far from real ones as the "
        "reference sampler's from the same weights; none of the known mistakes explains its steps.",
        "Compare one of its steps with ddpm_core.samplers.ddim from the same xt and the same network output.",
    )  # fmt: skip


@rule(
    "sampling labels", "sampling",
    "Check the labels that the sampler passes on, and the sign in eps_u + w·(eps_c - eps_u): w = 1 is conditional.",
)  # fmt: skip
def sampler_labels(e: Evidence) -> str | None:
    """The network knows the classes, but the images do not show them: their accuracy is below 0.7 times that on real
    images. Guidance can only raise it."""
    d, s = e.drawn, e.seen
    if d is None or s is None or d.accuracy > SHOWN * s.accuracy:
        return None
    how = pairs(e, d.moved) if d.moved and d.renamed_accuracy > d.accuracy + RENAMED else "at random"
    shown = f"only {d.accuracy:.0%} of the sampler's images show the requested class ({how})"
    return f"The network knows its labels ({s.accuracy:.0%}), but {shown}."


RULES = (sampler_broken, sampler_times, sampler_noise, sampler_output, sampler_schedule, sampler_step, sampler_labels)
