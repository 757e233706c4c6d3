"""autograder challenge init, test, submit, confirm, leaderboard"""

import argparse
import signal
from collections.abc import Callable
from pathlib import Path

from ddpm_tools import outputs
from ddpm_tools.cli.arguments import json_option

TRACKS = ("conditioning", "prediction", "architecture", "few-steps-1", "few-steps-2", "few-steps-4")
RECORD = Path("build/challenges")


def known(folder: Path) -> Path:
    """The folder of a log; the default one may be missing before the first test, any other must exist."""
    if folder != RECORD and not folder.is_dir():
        raise ValueError(f"there is no folder {folder} with a log; give the folder of the tests with --record")
    return folder


def init(a: argparse.Namespace) -> None:
    from autograder.challenges import starter
    from autograder.challenges.tracks import track

    out = a.out or Path(f"{a.track}.ipynb")
    if out.exists():
        raise ValueError(f"{out} already exists and may hold your work; choose another file with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(starter.notebook(track(a.track)), encoding="utf-8")
    print(f"{out}: open it in Jupyter; its last cell explains how to test")


def test(a: argparse.Namespace) -> None:
    from autograder.challenges import record, testing
    from autograder.challenges.quick import Tier
    from autograder.challenges.tracks import track
    from autograder.sandbox import child_process

    if not a.unsandboxed and (why := child_process.available()):
        raise ValueError(f"{why} Or test with --unsandboxed: the log will say so.")
    if not a.notebook.is_file():
        raise ValueError(f"there is no notebook {a.notebook}; `autograder challenge init {a.track}` creates one")
    t, folder = track(a.track), outputs.made(a.record, "--record")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # logged like Ctrl-C
    tested = testing.run(t, a.name, a.notebook, folder, Tier(), not a.unsandboxed, lambda line: print(line, flush=True))
    print("\n".join(testing.lines(t, tested)))
    if tested.outcome == "finished":
        print(f"to submit it: autograder challenge submit --track {t.name} --name {a.name!r} -n {tested.number}")
    print(f"head of the log: {record.head(a.record)}  (keep it: it proves later that the log was not changed)")
    raise SystemExit(0 if tested.outcome == "finished" else 1)


def submit(a: argparse.Namespace) -> None:
    from autograder.challenges import attempts, record

    who = attempts.submit(known(a.record), a.track, a.name, a.number)
    print(f"{who.name} has submitted test {who.submitted} in {who.track}")
    print(f"head of the log: {record.head(a.record)}")


def confirm(a: argparse.Namespace) -> None:
    from autograder.challenges import record, remarkable

    who = remarkable.confirm(known(a.record), a.track, a.name)
    print(f"test {who.submitted} of {who.name} in {who.track} is confirmed and now has a rank on the leaderboard")
    print(f"head of the log: {record.head(a.record)}")


def leaderboard(a: argparse.Namespace) -> None:
    from autograder.challenges import leaderboard as board
    from autograder.challenges import leaderboard_formats as formats
    from autograder.challenges import record
    from autograder.challenges.tracks import track

    entries = record.entries(known(a.record))
    if a.head:
        record.check_head(a.record, a.head)
    chosen = [track(name) for name in ((a.track,) if a.track else TRACKS)]
    tables = {t.name: board.rows(t, entries, a.record) for t in chosen}
    waiting = {t.name: board.waiting(t, entries) for t in chosen}
    out = outputs.made(a.out or a.record, "--out")
    made = formats.write_csv(tables, out), formats.write_html(tables, out, waiting, record.head(a.record))
    if a.json:
        print(formats.as_json(tables, waiting))
        return
    print("\n\n".join(formats.text(t, tables[t.name]) for t in chosen))
    for name, lines in waiting.items():
        for line in lines:
            print(f"not submitted in {name}: {line}")
    print(f"\n{made[0]}, {made[1]}")


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Challenge tracks for your own designs: start, test at most three times, submit one, compare."
    p = command("challenge", init, about, "init conditioning --out mine.ipynb", course=False)
    sub = p.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable, about: str) -> argparse.ArgumentParser:
        q = sub.add_parser(name, help=about, description=about)
        q.set_defaults(run=run)
        if run is not init:
            log = f"the log's folder (default: {RECORD})"
            q.add_argument("--record", type=Path, default=RECORD, metavar="DIR", help=log)
        if run in (test, submit, confirm):
            q.add_argument("--track", choices=TRACKS, required=True)
            q.add_argument("--name", required=True, metavar="CHALLENGER")
        return q

    q = action("init", init, "Write a starter notebook in which only the track's functions can be edited.")
    q.add_argument("track", choices=TRACKS)
    q.add_argument("--out", type=Path, metavar="FILE", help="default: TRACK.ipynb")

    q = action(
        "test",
        test,
        "Check the contract, then train (except few-steps) and sample with several seeds. At most three times.",
    )
    q.add_argument("notebook", type=Path)
    q.add_argument("--unsandboxed", action="store_true", help="run the design without a sandbox; the log says so")

    q = action("submit", submit, "Submit one of the finished tests, once.")
    q.add_argument("-n", type=int, required=True, dest="number", metavar="K", help="the test's number")

    about = "Confirm that you have looked at a submission far better than any reference; until then it has no rank."
    action("confirm", confirm, about)

    q = action("leaderboard", leaderboard, "Show the ranking, and write it as CSV and as a page with samples.")
    json_option(q)
    q.add_argument("--track", choices=TRACKS, help="default: all")
    q.add_argument("--out", type=Path, metavar="DIR", help="default: the log's folder")
    q.add_argument("--head", metavar="HASH", help="a head kept from an earlier command; reject a log that lacks it")
