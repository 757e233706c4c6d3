"""All known designs of every track, by their published names.

Their code is in the exercises' references.txt, or in designs.py for the few-steps tracks, which belong to no exercise.
The students' bundle has no reference answers, so this list only gives names there.
"""

from dataclasses import dataclass

from autograder.challenges import designs
from autograder.challenges.tracks import track


@dataclass(frozen=True)
class Example:
    """A known design: one that works, or one that must be rejected."""

    track: str
    name: str
    file: str  # in autograder/exercises/EXERCISE/references.txt, or the function in designs.py
    kind: str  # baseline, on record, ours; reference: only in the gate; wrong: must be rejected
    about: str

    def cells(self) -> dict[str, str]:
        """Return the answer cells; ValueError in the students' bundle, which has none of an exercise."""
        if track(self.track).evaluations:
            return designs.cells(getattr(designs, self.file))
        try:
            from autograder.authoring.references import cells
        except ImportError:
            raise ValueError(f"the code of '{self.name}' is not in the students' bundle") from None
        return cells(track(self.track).exercise.name, self.file)


KNOWN = {  # by track and kind: name, file, about
    ("conditioning", "baseline"): (
        ("concat-film", "add", "the class is added to the time: FiLM in every residual block"),
        ("cross-attn", "cross_attn", "the class as the one key and value, after every block"),
        ("adanorm", "adaln_zero", "AdaLN-Zero after every block: scale, shift and gate from the class"),
    ),
    ("conditioning", "on record"): (
        ("gated-fusion", "gated_fusion", "time·(1 + 0.1·sigmoid(class)) + class, and AdaLN-Zero"),
        ("film-cross-attention", "film_one_token", "FiLM, and cross-attention to the class"),
        ("film-4-tokens", "film_tokens", "FiLM, and cross-attention to four tokens projected from the class"),
        ("film-sigmoid-gate", "gated_modulation", "FiLM, and a modulation behind a sigmoid gate whose bias is -3"),
    ),
    ("prediction", "baseline"): (
        ("epsilon", "epsilon", "the noise"),
        ("vpred", "v", "the velocity sqrt(abar)·eps - sqrt(1 - abar)·x0"),
        ("x0pred", "x0", "the image"),
    ),
    ("prediction", "on record"): (("blend", "blend", "(1 - abar)·eps + abar·v"),),
    ("architecture", "baseline"): (
        ("standard", "standard", "diffusers' U-Net with attention at its second level"),
        ("full-attn", "full_attn", "diffusers' U-Net with attention at every level"),
        ("no-attn", "no_attn", "diffusers' U-Net without attention"),
    ),
    ("architecture", "ours"): (
        ("gain-unet", "gain_unet", "the standard one, with AdaGN time and a gated way past it for the input"),
        ("ada-unet", "ada_unet", "AdaGN time, blocks that begin at zero, attention on small maps"),
    ),
    ("conditioning", "reference"): (("tokens-alone", "cross_attention", "four tokens, and no FiLM from the class"),),
    ("architecture", "reference"): (
        ("own-unet", "own_unet", "a small U-Net of the gate's references"),
        ("flat", "flat", "residual convolutions at full size"),
    ),
    ("conditioning", "wrong"): (
        ("ignored", "ignored", "the label does not enter"),
        ("shared-label", "shared_label", "the first image's label for all"),
        ("nan", "nan", "not a number"),
    ),
    ("prediction", "wrong"): (
        ("inconsistent", "inconsistent", "trained on the noise, read as the velocity"),
        ("wrong-sign", "wrong_sign", "a plus in the target, a minus in the inverse"),
        ("ignores-time", "ignores_time", "one noise level for all timesteps"),
        ("first-timestep", "first_timestep", "the first image's timestep for all"),
        ("constant", "constant", "says nothing of the image"),
    ),
    ("architecture", "wrong"): (
        ("ignores-time", "ignores_time", "the timestep does not enter"),
        ("constant", "constant", "says nothing of the image"),
    ),
}
JUMP = ("jump", "jump", "one evaluation, which takes the noise for a noisy image at t = 850")
LOG_SNR = ("log-snr", "log_snr", "DDIM at timesteps evenly spaced in log-SNR")
for n, more in (
    (1, ()),
    (2, (LOG_SNR,)),
    (4, (LOG_SNR, ("dpm-solver", "dpm_solver", "DPM-Solver++(2M) at evenly spaced timesteps"))),
):
    KNOWN[f"few-steps-{n}", "baseline"] = (("ddim", "ddim", "DDIM at evenly spaced timesteps"),)
    KNOWN[f"few-steps-{n}", "on record"] = (JUMP, *more)
EXAMPLES = [Example(t, name, file, kind, about) for (t, kind), rows in KNOWN.items() for name, file, about in rows]


def examples(track: str, *kinds: str) -> list[Example]:
    """Return a track's correct designs, or those of the given kinds."""
    kinds = kinds or ("baseline", "on record", "ours")
    return [e for e in EXAMPLES if e.track == track and e.kind in kinds]
