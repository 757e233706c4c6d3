"""autograder post"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def run(a: argparse.Namespace) -> None:
    from autograder.adapters import database, late, lms, lti, posting  # nbgrader: not in the students' bundle
    from autograder.grading import private
    from autograder.release.generate import load_config
    from ddpm_tools.outputs import json_text

    settings = lti.read(a.platform)
    if a.public_key:
        print(json_text(lti.public_key(settings), indent=1))
        return
    platform, config = lti.Platform(settings), load_config(a.course)
    url = database.in_folder(a.out, a.course, a.gradebook)
    database.must_exist(url)
    with database.open_gradebook(url, config.CourseDirectory.get("course_id", "default_course")) as gb:
        late.assign_all(gb, late.rule(config))  # there may be new marks by hand
        totals = lms.totals(gb, [a.assignment])
    done = posting.post(platform, totals, a.assignment, a.out)
    if config.CourseDirectory.get("groupshared", False):
        private.share(a.out)
    if done.absent:
        print(f"not in the course on the platform, so left out: {', '.join(done.absent)}", file=sys.stderr)
    if none := [s for s, scores in totals.scores.items() if scores.get(a.assignment) is None]:
        print(f"no score yet, so left out: {', '.join(none)}", file=sys.stderr)
    for student, why in done.refused.items():
        print(f"{student}: the platform refused the score ({why})", file=sys.stderr)
    print(f"{len(done.posted)} score(s) posted, {len(done.already)} already there")
    if done.left:
        raise ValueError(done.left)
    if done.refused:
        raise SystemExit(1)


def register(command: Callable[..., argparse.ArgumentParser]) -> None:
    about = "Post scores to an LMS over LTI 1.3, each of them once. Run the same command again to resume."
    p = command("post", run, about, "build/grades --assignment 5_2_guidance --platform lti.json")
    p.add_argument("out", type=Path, help="the folder that `autograder grade` wrote")
    p.add_argument("--assignment", required=True)
    p.add_argument("--platform", type=Path, required=True, metavar="FILE", help="the LMS's addresses, client_id, key")
    p.add_argument(
        "--public-key", action="store_true", help=("print the public key to register with the LMS, and post nothing")
    )
    p.add_argument("--gradebook", help="database URL; default: nbgrader_config.py's db_url, else OUT/gradebook.db")
