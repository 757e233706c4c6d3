"""The reference gate: train an answer briefly, sample from it, compare with calibrated limits."""
