"""What a track is: which functions are open, on what they are judged, and what a challenger should know of them."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.exercises import EXERCISES
from autograder.exercises.base import Exercise


@dataclass(frozen=True)
class Metric:
    """A figure of the quick tier. `low` and `top` are where no value can lie."""

    title: str
    better: str
    low: float = 0.0
    top: float = float("inf")
    digits: int = 2


METRICS = {
    "distance": Metric("Fréchet distance", "lower"),
    "kid": Metric("KID", "lower", low=float("-inf"), digits=3),
    "precision": Metric("precision", "higher", top=1.0),
    "recall": Metric("recall", "higher", top=1.0),
    "adherence": Metric("adherence", "higher", top=1.0, digits=3),
    "heldout_loss": Metric("held-out loss", "lower", digits=4),
    "copies": Metric("copies", "lower", top=1.0, digits=3),
}
EXTRACTOR = "64 features of a digits classifier"
PROTOCOL = "8×8 handwritten digits, 200 to 250 training steps on a CPU, 20 DDIM steps, all 1,797 digits as reference"


@dataclass(frozen=True)
class Track:
    """One of the three. Its exercise lends the child's questions, most of the checks and the harness."""

    name: str
    exercise: Exercise
    baseline: str  # what differences are taken against: the known design that the others are variations of
    labels: bool  # whether samples are asked for by class
    open: str  # in words: what may change
    contract: str  # in words, as Markdown
    stub: dict[str, str]  # the open cells of the starter notebook

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(m for m in METRICS if self.labels or m != "adherence")


def exercise(name: str) -> Exercise:
    return next(e for e in EXERCISES.values() if e.name == name)


TODO = "# YOUR CODE HERE\n    raise NotImplementedError()\n"

CONDITIONING = Track(
    name="conditioning",
    exercise=exercise("conditioner"),
    baseline="concat-film",
    labels=True,
    open="how the class enters the network: `prepare_conditioning` and `ClassConditioner`",
    contract="""\
* `prepare_conditioning(time_emb, class_emb)`: (B, D), (B, D) -> (B, D), what modulates every residual block;
* `ClassConditioner(channels, cond_dim)`, an `nn.Module`: `forward(h, class_emb)`: (B, C, H, W), (B, D) -> (B, C, H, W),
  applied after every residual block; at full scale after each of the nine down, mid and up blocks;
* float32 in, float32 out (under bfloat16 autocast, what autocast makes of it); inputs are not changed in place; two
  calls in eval mode agree; sample i depends on sample i alone; label, time and gradient go through;
* at most 1.5 times the network's own parameters here, and 4.5 million at the published small scale (8.95 million);
* a training step takes at most 12 times as long as without any conditioner.

The set-up cell's `CrossAttentionLayer(channels, cond_dim)` and `AdaLNBlock(channels, cond_dim)` may be used.""",
    stub={
        "prepare_conditioning": f"def prepare_conditioning(time_emb, class_emb):\n    {TODO}",
        "ClassConditioner": (
            "class ClassConditioner(nn.Module):\n    def __init__(self, channels, cond_dim):\n"
            f"        super().__init__()\n\n    def forward(self, h, class_emb):\n    {TODO}"
        ).replace("\n    # YOUR", "\n        # YOUR").replace("\n    raise", "\n        raise"),
    },
)  # fmt: skip

PREDICTION = Track(
    name="prediction",
    exercise=exercise("prediction"),
    baseline="epsilon",
    labels=False,
    open="what the network is asked for: `compute_training_target` and `predict_x0`",
    contract="""\
* `compute_training_target(x_0, noise, timesteps, schedule)`: (B, C, H, W), (B, C, H, W), (B,), dict -> (B, C, H, W);
* `predict_x0(model_output, x_t, timesteps, schedule)`: the image back from such an output, (B, C, H, W);
* `schedule` holds `alphas_cumprod`, `sqrt_alpha` and `sqrt_one_minus_alpha`, each (T,);
* the pair is **consistent**: for x_t = sqrt(abar)·x_0 + sqrt(1 - abar)·noise, at every t and for any schedule,
  `predict_x0(compute_training_target(x_0, noise, t, schedule), x_t, t, schedule)` is x_0, up to rounding;
* each pixel and each image is worked on alone, with its image's own timestep; the arguments alone decide the result;
* float32 in, float32 out, and float64 in, float64 out; inputs are not changed; no parameters; the two calls take less
  time than two training steps of the network.

Any consistent pair is welcome: it need not be one of the known ones, nor linear.""",
    stub={
        "compute_training_target": f"def compute_training_target(x_0, noise, timesteps, schedule):\n    {TODO}",
        "predict_x0": f"def predict_x0(model_output, x_t, timesteps, schedule):\n    {TODO}",
    },
)

ARCHITECTURE = Track(
    name="architecture",
    exercise=exercise("architecture"),
    baseline="standard",
    labels=False,
    open="the network: `build_model(device)`",
    contract="""\
* `build_model(device)` returns an `nn.Module`, called as `model(x, timestep)`: x (B, C, H, W), timestep an int, a 0-d
  tensor or (B,) -> an object whose attribute `sample` is the predicted noise, (B, C, H, W);
* it reads `BLOCK_OUT_CHANNELS` (such as `64,128,128,128`) and `LAYERS_PER_BLOCK` (default 2) with `os.environ`, each
  time that it is called, and `IMAGE_CHANNELS` and `IMAGE_SIZE` (1 and 8 in a test, 3 and 32 at full scale); wider and
  deeper give more parameters;
* float32 in, float32 out; finite; two calls in eval mode agree; sample i depends on sample i alone; the output depends
  on image and timestep; gradient reaches the parameters;
* at most 4 million parameters at `64,64,64,64` and one layer, and 18 million at the published small scale, which is
  twice diffusers' `UNet2DModel`;
* a training step takes at most 8 times as long as one of 14 plain convolutions of 64 channels.

torch, diffusers, `ddpm_core.layers` and `ddpm_core.attention` may be imported; `ddpm_core.unet` is not there.""",
    stub={"build_model": f"def build_model(device):\n    {TODO}"},
)

TRACKS = {t.name: t for t in (CONDITIONING, PREDICTION, ARCHITECTURE)}


def track(name: str) -> Track:
    """A track by name; ValueError lists the known ones."""
    if name not in TRACKS:
        raise ValueError(f"unknown track '{name}'; known: {', '.join(TRACKS)}")
    return TRACKS[name]
