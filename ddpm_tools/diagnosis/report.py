"""`diagnose`: measure, apply the rules, and report a table that ends in one sentence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.diffusion import Network
from ddpm_core.parameterization import EPSILON, Parameterization
from ddpm_core.plots import save
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools.diagnosis import training_rules as limits
from ddpm_tools.diagnosis.denoising import Convention
from ddpm_tools.diagnosis.evidence import Evidence, Known, Settings, of_network, with_sampler
from ddpm_tools.diagnosis.figure import draw
from ddpm_tools.diagnosis.rules import judge as judged
from ddpm_tools.diagnosis.rules import reasons
from ddpm_tools.diagnosis.sampling import Sampler
from ddpm_tools.diagnosis.sampling_rules import WORSE
from ddpm_tools.diagnosis.verdict import Verdict, pairs
from ddpm_tools.reports import html
from ddpm_tools.tables import aligned

Row = tuple[str, str, str]  # what was measured, its value, the value of a sound model
HEADER: Row = ("measured", "value", "of a sound model")


@dataclass(frozen=True)
class Report:
    """The evidence and the verdict; `print(report)` shows the table, then the verdict."""

    evidence: Evidence  # what was measured
    verdict: Verdict  # what follows from it
    network: Network

    def rows(self) -> list[Row]:
        return training_rows(self.evidence) + label_rows(self.evidence) + sampler_rows(self.evidence)

    def __str__(self) -> str:
        lines = aligned([HEADER, *self.rows()])
        return "\n".join([*lines, "", f"next: {self.verdict.remedy}", self.verdict.sentence])

    def as_dict(self) -> dict:
        """Plain values: the verdict, the table and the curves."""
        e = self.evidence
        curves = {"times": e.times, "error": e.error, "null_error": e.null_error, "pixel_bound": e.bound}
        curves |= {k: v for k, v in (("raw_error", e.raw_error), ("reference", e.reference)) if v is not None}
        plain = {k: v.tolist() if isinstance(v, Tensor) else v for k, v in curves.items()}
        return {"verdict": vars(self.verdict), "rows": [list(r) for r in self.rows()], "curves": plain}

    def write(self, out: Path) -> list[Path]:
        """Write out/diagnosis.html and its picture, out/diagnosis.png; returns both paths."""
        picture = save(draw(self.evidence, self.verdict, self.network), out / "diagnosis.png")
        page = html.write(
            out / "diagnosis.html", html.TEMPLATES / "diagnosis.html", title="Is it my training or my sampling?",
            verdict=self.verdict, picture=picture.name, header=HEADER, rows=self.rows(), reasons=reasons(),
        )  # fmt: skip
        return [page, picture]


def row(name: str, value: float | None, spec: str, sound: str) -> list[Row]:
    """One row, or none if nothing was measured."""
    return [] if value is None else [(name, f"{value:{spec}}", sound)]


def training_rows(e: Evidence) -> list[Row]:
    best, how = e.best
    condition, limit = "own labels" if e.used == "label" else "without labels", limits.BEHIND * (e.reference_score or 0)
    moves = f"{limits.MIN_RELATIVE_MOVE} to {limits.MAX_RELATIVE_MOVE:g}"
    return [
        *row(f"denoising score ({condition}): error / pixel bound", e.score, ".2f", f"below {limits.LEARNT}"),
        ("best convention (score)", f"{how.aspect} {how.value} ({best:.2f})".strip(), "as stated"),
        *row("score of the reference at these noise levels", e.reference_score, ".2f", f"own below {limit:.2f}"),
        *row("score of the raw weights", e.raw_score, ".2f", f"averaged below {limits.EMA_LAG} times that"),
        *row("distance the weights moved / initial norm", e.moved, ".2f", moves),
        *row("the same for the averaged weights", e.ema_moved, ".2f", "about the same"),
        *row("loss: worst rise / best so far", e.spikes or None, ".2f", f"below {limits.JUMP:g}"),
        *row("change of the output when t becomes T - 1 - t", e.time_change, ".1%", "above 0.1%"),
    ]


def label_rows(e: Evidence) -> list[Row]:
    if e.seen is None:
        return [("labels", "none expected", "")]
    gap = 1 - float((e.error.log() - e.null_error.log()).mean().exp())
    return [
        ("error saved by the true label", f"{gap:.1%}", "above 0%"),
        ("change of the output, with and without label", f"{e.label_change:.1%}", "above 0.1%"),
        ("images denoised best with their own label", f"{e.seen.accuracy:.0%}", f"above {limits.guessed(e):.0%}"),
        ("the same after the best renaming of labels", f"{e.seen.renamed_accuracy:.0%}", "the same"),
        ("classes that fit another label best", pairs(e, e.seen.moved) or "none", "none"),
    ]


def sampler_rows(e: Evidence) -> list[Row]:
    s = e.sampler
    if s is None:
        return [("sampler", "none given", "")]
    low, high, steps = float(s.images.min()), float(s.images.max()), []
    if s.times:
        mistake = f"{' and '.join(s.mistake.names) or 'none'} ({s.residual:.1%} left)"
        times = f"{s.times[0]:g} ... {s.times[-1]:g}"
        steps = [
            ("timesteps passed to the network", times, f"{e.how.schedule.timesteps - 1} ... 0"),
            ("standard deviation of its initial noise", f"{s.noise_std:.2f}", "1"),
            ("mistake that explains its steps best", mistake, f"none ({s.right_residual:.1%} left)"),
            ("images as a function of the last step's result", f"{s.gain:.2f}·x + {s.offset:.2f}", "1·x + 0"),
        ]
    shown = f"samples that show their class, according to {e.judge}"
    return [
        ("energy distance to real images: sampler / reference sampler", f"{s.ratio:.2f}", f"below {WORSE}"),
        ("range of its images", f"[{low:.2g}, {high:.2g}]", "[-1, 1]"),
        *steps,
        *row(shown, e.drawn and e.drawn.accuracy, ".0%", "like its accuracy above"),
    ]


def diagnose(
    network: Network, schedule: DiffusionSchedule, data: ImageData, sampler: Sampler | None = None,
    *, parameterization: Parameterization = EPSILON, judge: Network | None = None, settings: Settings | None = None,
    **known: Any,
) -> Report:  # fmt: skip
    """Is it my training or my sampling? network(xt, t, y) is the network you sample with, in eval mode; `schedule` and
    `parameterization` are what you believe it was trained with, and `data` are real images, preferably held out, with
    labels. The rest is optional and makes more diagnoses possible: `sampler(network, y) -> images (B, C, H, W)` in
    [-1, 1], your own sampling code, which must call the network passed to it; `judge(images) -> logits`, a classifier;
    and the fields of `Known`, such as `raw=` and `losses=`. ValueError if shapes do not fit."""
    settings = settings or Settings()
    how = Convention(schedule.to(settings.device), parameterization)
    e = of_network(network, how, data, Known(**known), settings)
    e = with_sampler(e, network, sampler, judge) if sampler else e
    return Report(e, judged(e), network)
