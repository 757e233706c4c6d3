"""Questions of the dit_block exercise: those for functions for the patches, those for modules for the block."""

from autograder.child.blocks import forward, gradient, parameters
from autograder.child.functions import call

__all__ = ["call", "forward", "gradient", "parameters"]
