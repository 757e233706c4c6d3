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
)
