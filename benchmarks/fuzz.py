"""What happens to a grade if an answer's process sends what no honest one would?

    python benchmarks/fuzz.py [--frames 20000] [--seed 0] [--exercise schedules] [--quick]

Every check and gate of every exercise judges changed replies, in this process (autograder/authoring/replay.py,
mutations.py). None may end as an infrastructure error, which would give no score instead of a low one, and none may
gain points over the honest replies. `stopped` counts checks that stopped at data they should have refused with a
sentence of their own. That does not affect the grade, but should be fixed. --quick changes 4,000 replies. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter

import torch
from tqdm.auto import tqdm

from autograder.authoring.fuzzing import fuzz
from autograder.authoring.mutants import NAMES
from autograder.authoring.replay import scenes


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--frames", type=int, default=20_000, help="changed replies, over all exercises")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--exercise", choices=NAMES, action="append", help="default: all")
    p.add_argument("--quick", action="store_true", help="4,000 changed replies")
    a = p.parse_args()
    torch.set_num_threads(1)
    found = list(tqdm(scenes(*(a.exercise or ())), unit="scene", disable=not sys.stderr.isatty()))
    most, start = 4_000 if a.quick else a.frames, time.monotonic()
    outcomes, by_exercise, stopped, bad = Counter(), Counter(), Counter(), []
    with tqdm(total=most, unit="frame", disable=not sys.stderr.isatty()) as bar:
        for run in fuzz(found, most, random.Random(a.seed)):
            outcomes[run.outcome] += 1
            by_exercise[run.scene.exercise.name] += run.frames
            bar.update(run.frames)
            if run.outcome == "stopped":
                stopped[f"{run.scene.name}: {run.detail}"] += 1
            if run.outcome == "infrastructure_error" or run.gain > 0:
                bad.append(f"{run.scene.name}, {run.mutation}: {run.outcome}, {run.gain:+g} points, {run.detail}")
    for line, count in stopped.most_common():
        print(f"stopped {count} times: {line}")
    print("\n".join(bad))
    figures = {"frames": sum(by_exercise.values()), "scenes": len(found), "runs": sum(outcomes.values())}
    figures |= {
        "seconds": round(time.monotonic() - start, 1),
        "outcomes": dict(outcomes),
        "frames_by_exercise": by_exercise,
    }
    print(json.dumps({**figures, "infrastructure_errors": outcomes["infrastructure_error"], "bad": len(bad)}))


if __name__ == "__main__":
    main()
