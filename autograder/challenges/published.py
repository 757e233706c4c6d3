"""The published results, unchanged: clean-fid on CIFAR-10. They are shown beside ours, never in the same column."""

import csv
from dataclasses import dataclass
from pathlib import Path

from autograder.challenges.tracks import TRACKS
from ddpm_core.config import DATA_DIR

FOLDER = DATA_DIR / "published"
SCALES = ("small", "medium", "large")
EXTRACTOR = "2,048 features of Inception-v3, by clean-fid"
PROTOCOL = "CIFAR-10 against its 50,000 training images, 35,000 steps, 50 DDIM steps"


@dataclass(frozen=True)
class Published:
    """One row of a track's file."""

    entry: str
    kind: str  # baseline, vanilla or agent
    fid: dict[str, float]  # by scale; only those published

    def shown(self, scale: str) -> str:
        return f"{self.fid[scale]:.2f}" if scale in self.fid else "–"


def table(track: str, folder: Path = FOLDER) -> list[Published]:
    """Return all rows of a track, in the file's order; ValueError if the file is missing.

    The few-steps tracks have none, since nothing published uses their network.
    """
    if track in TRACKS and TRACKS[track].evaluations:
        return []
    file = folder / f"{track}.csv"
    if not file.is_file():
        raise ValueError(f"the published figures {file.name} are missing in {folder}")
    with file.open(encoding="utf-8", newline="") as f:
        fids = {s: f"fid_{s}" for s in SCALES}  # columns
        rows = list(csv.DictReader(f))
    return [Published(r["entry"], r["type"], {s: float(r[c]) for s, c in fids.items() if r[c]}) for r in rows]


def figures(track: str) -> dict[str, Published]:
    """Return the baselines by name."""
    return {p.entry: p for p in table(track) if p.kind == "baseline"}
