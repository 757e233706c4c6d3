"""The architecture exercise's gate: the answer's network, trained where none of its code runs."""

from autograder.exercises.architecture.asking import environment
from autograder.gate.harness import Gate
from autograder.gate.learning import RecordedNetwork

# Four levels, since answers for the published scales name four kinds of block. Below a width of 64, diffusers'
# GroupNorm of 32 groups would remove the timestep that its blocks add.
NETWORK = environment("64,64,64,64", layers=1, channels=1, size=8)
CONTROLS = {
    "distance": ("constant", "no_skips"),
    "heldout_loss": ("constant", "no_skips", "ignores_time"),
    "copies": ("memoriser",),
}
GATE = Gate(
    RecordedNetwork(
        network=NETWORK,
        train={
            **{"steps": 200, "lr": 3e-3, "batch_size": 64, "warmup": 20},
            **{"ema_decay": 0.99, "weight_decay": 1e-4, "grad_clip": 1.0},
        },
    ),
    controls=CONTROLS,
    # A U-Net is within the limits after 100 to 250 steps. A transformer on patches denoises like a linear filter until
    # about 1,200 steps, while its loss keeps falling; each of its steps costs a sixth of a U-Net's.
    sequential=RecordedNetwork(
        network=NETWORK,
        train={
            **{"steps": 4000, "lr": 4e-3, "batch_size": 32, "warmup": 25},
            **{"ema_decay": 0.98, "weight_decay": 1e-4, "grad_clip": 1.0},
        },
        looks=(100, 150, 250, 400, 700, 1200, 1600, 2000),
        **{"samples": 300, "batch": 300, "sample_steps": 10, "sampler": "dpm++"},
    ),
    decisive=CONTROLS,
    enough=150,
)
