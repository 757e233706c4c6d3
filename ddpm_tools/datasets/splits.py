"""A held-out part for data without one."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from ddpm_tools.datasets.layouts import Index

SPLITS = ("train", "heldout", "all")
SHARE = 10  # one picture in ten is held out


def held_out(names: Sequence[str], labels: Sequence[int]) -> list[bool]:
    """A tenth of each class, rounded to nearest, chosen by a hash of the name. The choice is the same on every machine
    and in any order of files, and changes little when files are added. A class of fewer than five pictures gives
    none."""
    order = sorted(range(len(names)), key=lambda i: hashlib.blake2b(names[i].encode()).digest())
    left = {label: (n + SHARE // 2) // SHARE for label, n in Counter(labels).items()}
    chosen = [False] * len(names)
    for i in order:
        if left[labels[i]]:
            chosen[i], left[labels[i]] = True, left[labels[i]] - 1
    return chosen


def positions(index: Index, split: str) -> list[int]:
    """Which pictures belong to `train`, `heldout` or `all`; ValueError if there are none."""
    if split == "all":
        return list(range(len(index.names)))
    heldout = [part == "heldout" for part in index.parts] if index.parts else held_out(index.names, index.labels)
    found = [i for i, h in enumerate(heldout) if h == (split == "heldout")]
    if not found:
        raise ValueError("too few pictures for a held-out part: a class needs at least five")
    return found
