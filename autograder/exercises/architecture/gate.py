"""The architecture exercise's gate: the network is the answer's, and learns where none of its code is."""

from autograder.exercises.architecture.asking import environment
from autograder.gate.harness import Gate
from autograder.gate.learning import RecordedNetwork

GATE = Gate(
    RecordedNetwork(
        # Four levels, since answers for the published scales name four kinds of block. Narrower than 64, diffusers'
        # GroupNorm of 32 groups would take out the time that its blocks add.
        network=environment("64,64,64,64", layers=1, channels=1, size=8),
        train={
            **{"steps": 200, "lr": 3e-3, "batch_size": 64, "warmup": 20},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        },
    ),
    controls={
        "distance": ("constant", "no_skips"),
        "heldout_loss": ("constant", "no_skips", "ignores_time"),
        "copies": ("memoriser",),
    },
)
