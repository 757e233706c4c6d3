"""Questions of the dit_block exercise: those of plain functions for the patches, those of modules for the block."""

from autograder.child.blocks import forward, gradient, parameters
from autograder.child.functions import call

__all__ = ["call", "forward", "gradient", "parameters"]
