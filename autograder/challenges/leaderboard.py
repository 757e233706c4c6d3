"""The rows of the leaderboard: submitted designs and our known ones, with the published results beside them.

Two sets of columns are kept apart: the quick tier's (8×8 digits, features of the digits classifier) and the published
FIDs (CIFAR-10, Inception). Designs are ranked by the quick tier's Fréchet distance, which is what a test measures. A
submission that is far better than any reference has no rank until an instructor has confirmed it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.challenges import attempts, figures, published, record, remarkable
from autograder.challenges.examples import EXAMPLES
from autograder.challenges.figures import Runs
from autograder.challenges.tracks import Track
from autograder.grading.provenance import sha256
from ddpm_tools.evaluation.estimates import Estimate

WAITS = "submitted, far better than any reference: to be confirmed"
SAMPLES = figures.RUNS.parent / "samples"  # of the known designs


@dataclass(frozen=True)
class Row:
    """One design: its results in the quick tier, if it was run there, and the published ones, if any."""

    entry: str
    kind: str  # submitted or WAITS; baseline, on record, ours, reference; or published: vanilla, agent
    seeds: int
    means: dict[str, Estimate]
    difference: Estimate | None  # of the Fréchet distance, from the track's baseline
    against: str  # better, worse, not resolved, or nothing to compare with
    published: published.Published | None
    samples: Path | None
    rank: int | None = None  # None: published only, or waiting for confirmation

    def fid(self, scale: str) -> str:
        return self.published.shown(scale) if self.published else "–"


def submitted(track: Track, entries: Sequence[dict], folder: Path) -> dict[str, tuple[Runs, Path | None]]:
    """Return runs and samples of the submitted tests, by challenger; only those with the current harness and judge."""
    found = {}
    for who in attempts.challengers(entries):
        if who.track == track.name and who.submitted:
            test = who.test(who.submitted)
            result = test.result
            made_with = result["harness"], test.start["judge"]
            if made_with == (figures.harness_digest(track), figures.judge_name()):
                runs = {r["seed"]: r["metrics"] for r in result["runs"]}
                found[who.name] = runs, _samples(folder / record.TESTS / result["samples"], result["samples_hash"])
    return found


def _samples(picture: Path, known: str) -> Path | None:
    """Return the picture, or None if there is none; record.Damaged if it is not the one in the log."""
    if not picture.is_file():
        return None
    if sha256(picture.read_bytes()) != known:
        raise record.Damaged(f"{picture} is not the picture that the test drew; restore it from a backup, or delete it")
    return picture


def rows(
    track: Track, entries: Sequence[dict] = (), folder: Path = Path("."), known_in: Path = figures.RUNS
) -> list[Row]:
    """Return the quick tier's designs from best to worst, then the published ones that were not run here."""
    known = figures.known_runs(track, known_in)
    mine = submitted(track, entries, folder)
    base = known.get(track.baseline, {})
    kinds = {e.name: e.kind for e in EXAMPLES if e.track == track.name and e.kind != "wrong"}
    names = published.figures(track.name)

    def row(name: str, kind: str, runs: Runs, beside: published.Published | None, picture: Path | None) -> Row:
        means = {m: e for m in track.metrics if (e := figures.mean_of(runs, m, known))}
        d = figures.difference(runs, base, "distance", list(known.values())) if name != track.baseline else None
        told = "the baseline" if name == track.baseline else figures.verdict("distance", d) if d else "no common seed"
        return Row(name, kind, len(runs), means, d, told, beside, picture)

    seen = remarkable.confirmed(entries, track.name)
    waits = {n for n, (runs, _) in mine.items() if n not in seen and remarkable.look(track, runs)}
    out = [
        row(name, WAITS if name in waits else "submitted", runs, None, picture)
        for name, (runs, picture) in mine.items()
    ]
    for name, runs in known.items():
        picture = SAMPLES / f"{track.name}-{name}.png"
        there = picture if picture.is_file() else None
        out.append(row(name, kinds.get(name, "reference"), runs, names.get(name), there))
    out.sort(key=lambda r: (r.kind == WAITS, r.means["distance"].value))
    out = [r if r.kind == WAITS else replace(r, rank=i + 1) for i, r in enumerate(out)]
    here = {r.entry for r in out if r.published}
    rest = [p for p in published.table(track.name) if p.entry not in here]
    return out + [Row(p.entry, f"published: {p.kind}", 0, {}, None, "", p, None) for p in rest]


def waiting(track: Track, entries: Sequence[dict]) -> list[str]:
    """Return a line for each challenger who has tested but not submitted."""
    mine = [w for w in attempts.challengers(entries) if w.track == track.name and not w.submitted]
    return [f"{w.name}: {w.used} of {attempts.LIMIT} tests used" for w in mine]
