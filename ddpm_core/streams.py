"""Named random streams, each a function of (seed, name, step): no state to save, and no draw shifts another."""

import hashlib

import torch


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any parts: the same parts give the same seed on every machine."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def stream(seed: int, name: str, step: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose at one step, so a resumed run draws the same as an unbroken one."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, name, step))
