"""The conditioner exercise's gate: the pair is trained in the course's network, with labels."""

from autograder.gate.harness import Gate
from autograder.gate.learning import PairInNetwork

GATE = Gate(
    PairInNetwork(),
    controls={
        "error": ("ignored", "shared_label", "shuffled"),
        "distance": ("ignored", "shared_label"),
        "heldout_loss": ("memoriser",),
        "copies": ("memoriser",),
    },
    # The learning rate falls slowly, to half at the end, so that the averaged weights are worth judging on the way.
    sequential=PairInNetwork(
        train={"steps": 900, "lr": 3e-3, "batch_size": 32, "warmup": 25, "ema_decay": 0.98},
        looks=(120, 200, 300, 450),
        **{"samples": 400, "batch": 400, "sample_steps": 10, "sampler": "dpm++"},
    ),
    # An ignored label shows in the error; its pooled distance depends only on the length of the training.
    decisive={
        "error": ("ignored", "shared_label", "shuffled"),
        "distance": ("shared_label",),
        "heldout_loss": ("memoriser",),
        "copies": ("memoriser",),
    },
)
