"""Checkpoints for other programs: diffusers, ONNX."""
