"""The leaderboard: what was submitted, our known designs, and the published figures beside them, as rows and CSV.

Two sets of columns that never mix: the quick tier's (8×8 digits, features of the digits classifier) and the published
FIDs (CIFAR-10, Inception). Ranks go by the quick tier's Fréchet distance, which is what a test measures.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.adapters.table import harmless
from autograder.challenges import attempts, figures, published, record
from autograder.challenges.figures import Runs
from autograder.challenges.tracks import EXTRACTOR, METRICS, PROTOCOL, Track
from autograder.grading.provenance import sha256
from ddpm_core.checkpoint import write_text
from ddpm_tools.evaluation.estimates import Estimate

SAMPLES = figures.RUNS.parent / "samples"  # of the known designs


@dataclass(frozen=True)
class Row:
    """One design: what the quick tier says of it, if it was run there, and what was published, if it was."""

    entry: str
    kind: str  # submitted, baseline, on record, ours; or published: vanilla, agent
    seeds: int
    means: dict[str, Estimate]
    difference: Estimate | None  # of the Fréchet distance, from the track's baseline
    against: str  # better, worse, not resolved, or nothing to compare with
    published: published.Published | None
    samples: Path | None

    def fid(self, scale: str) -> str:
        return self.published.shown(scale) if self.published else "–"


def submitted(track: Track, entries: Sequence[dict], folder: Path) -> dict[str, tuple[Runs, Path | None]]:
    """The submitted tests' runs and samples by challenger; those made with the present harness and judge."""
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
    """The picture, where it is there; record.Damaged where it is not the one that the log knows."""
    if not picture.is_file():
        return None
    if sha256(picture.read_bytes()) != known:
        raise record.Damaged(f"{picture} is not the picture that the test drew; restore it from a backup, or delete it")
    return picture


def rows(
    track: Track, entries: Sequence[dict] = (), folder: Path = Path("."), known_in: Path = figures.RUNS
) -> list[Row]:
    """The quick tier's designs from best to worst, then what is published and was not run here."""
    known = figures.known_runs(track, known_in)
    mine = submitted(track, entries, folder)
    base, out = known.get(track.baseline, {}), []
    names = published.figures(track.name)
    for name, (runs, picture) in mine.items():
        out.append(_row(track, name, "submitted", runs, known, base, None, picture))
    for name, runs in known.items():
        example = figures.example_of(track, name)
        picture = SAMPLES / f"{track.name}-{name}.png"
        kind = example.kind if example else "reference"
        out.append(_row(track, name, kind, runs, known, base, names.get(name), picture if picture.is_file() else None))
    out.sort(key=lambda r: r.means["distance"].value)
    here = {r.entry for r in out if r.published}
    rest = [p for p in published.table(track.name) if p.entry not in here]
    return out + [Row(p.entry, f"published: {p.kind}", 0, {}, None, "", p, None) for p in rest]


def _row(
    track: Track,
    name: str,
    kind: str,
    runs: Runs,
    known: Mapping[str, Runs],
    base: Runs,
    row: published.Published | None,
    picture: Path | None,
) -> Row:
    means = {m: e for m in track.metrics if (e := figures.mean_of(runs, m, known))}
    d = figures.difference(runs, base, "distance", list(known.values())) if name != track.baseline else None
    against = "the baseline" if name == track.baseline else figures.verdict("distance", d) if d else "no common seed"
    return Row(name, kind, len(runs), means, d, against, row, picture)


def waiting(track: Track, entries: Sequence[dict]) -> list[str]:
    """Challengers who have tested and not submitted."""
    mine = [w for w in attempts.challengers(entries) if w.track == track.name and not w.submitted]
    return [f"{w.name}: {w.used} of {attempts.LIMIT} tests used" for w in mine]


def text(track: Track, table: Sequence[Row]) -> str:
    """For the terminal: the quick tier to the left, the published figures to the right."""
    shown = [m for m in ("distance", "adherence", "heldout_loss") if m in track.metrics]
    head = ["", "entry", "kind", "seeds", *(METRICS[m].title for m in shown), f"Δ from {track.baseline}", "|"]
    lines = [[*head, *(f"FID {s}" for s in published.SCALES)]]
    for i, r in enumerate(table):
        own = [figures.shown(r.means.get(m), m) for m in shown]
        told = figures.shown(r.difference, "distance") + f" {r.against}" if r.difference else r.against or "–"
        lines.append([str(i + 1) if r.means else "", r.entry, r.kind, str(r.seeds or "–"), *own, told, "|"])
        lines[-1] += [r.fid(s) for s in published.SCALES]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    body = "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)
    return f"{track.name}\n{body}\n{notes()}"


def notes() -> str:
    """What the two sets of columns are."""
    return (
        f"left of the bar: the quick tier ({PROTOCOL}; distances in {EXTRACTOR}), mean over seeds with its 95 % "
        "interval, Δ paired by seed\n"
        f"right of it: published ({published.PROTOCOL}; {published.EXTRACTOR}); the two do not compare"
    )


def csv_text(tables: Mapping[str, Sequence[Row]]) -> str:
    """One line a design; the quick tier's columns and the published ones have names of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    parts = [f"quick_{m}{end}" for m in METRICS for end in ("", "_low", "_high")]
    rest = ["quick_difference", "quick_difference_low", "quick_difference_high", "quick_against_baseline"]
    head = ["track", "rank", "entry", "kind", "quick_extractor", "quick_seeds", *parts, *rest]
    writer.writerow([*head, "published_extractor", *(f"published_fid_{s}" for s in published.SCALES)])
    for name, table in tables.items():
        for i, r in enumerate(table):
            quick = [EXTRACTOR if r.means else "", r.seeds or ""]
            for e in (*(r.means.get(m) for m in METRICS), r.difference):
                quick += [f"{e.value:.6g}", *(f"{x:.6g}" for x in (e.low, e.high))] if e else ["", "", ""]
            fids = [r.published.fid.get(s, "") if r.published else "" for s in published.SCALES]
            far = published.EXTRACTOR if r.published else ""
            line = [name, i + 1 if r.means else "", harmless(r.entry), r.kind, *quick, r.against, far, *fids]
            writer.writerow(line)
    return file.getvalue()


def write_csv(tables: Mapping[str, Sequence[Row]], out: Path) -> Path:
    write_text(out / "leaderboard.csv", csv_text(tables))
    return out / "leaderboard.csv"
