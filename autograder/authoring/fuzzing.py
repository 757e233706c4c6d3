"""Runs checks and gates on changed replies, and reports the result of each run."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autograder.authoring.mutations import MUTATIONS, changing
from autograder.authoring.replay import Replay, Scene, judged
from autograder.sandbox.limits import Failure


@dataclass(frozen=True)
class Run:
    """One check or gate, judged on changed replies."""

    scene: Scene
    mutation: str
    frames: int  # how many replies were changed
    outcome: str  # full, partial, none, stopped (by an exception that is not a verdict), or a child's failure
    gain: float  # points beyond those for the honest replies
    detail: str


def run(scene: Scene, mutation: str, rng: random.Random, honest: float) -> Run:
    counted: list[int] = []
    replay = Replay(scene.frames, changing(rng, MUTATIONS[mutation], scene.frames, counted))
    try:
        result = judged(scene, replay)
    except Failure as e:
        return Run(scene, mutation, len(counted), e.outcome, 0.0, e.message)
    except Exception as e:  # as in grading/submission.py
        return Run(scene, mutation, len(counted), "infrastructure_error", 0.0, repr(e))
    score = result.score or 0.0
    gain = score - honest if math.isfinite(score) else math.inf
    outcome = "full" if score == scene.points else "partial" if score > 0 else "none"
    detail = result.tests[-1].output if result.tests else ""
    if traces := result.instructor.get("unexpected"):
        outcome, detail = "stopped", str(traces[-1]).rstrip().rsplit("\n", 1)[-1]
    return Run(scene, mutation, len(counted), outcome, gain, detail)


def fuzz(scenes: Sequence[Scene], frames: int, rng: random.Random) -> Iterator[Run]:
    """Yield runs of all scenes in turn, cycling through the mutations, until at least `frames` replies were changed."""
    honest = {s.name: judged(s, Replay(s.frames, lambda n, frame: frame)).score for s in scenes}
    done, i = 0, 0
    while done < frames:
        for k, scene in enumerate(scenes):
            kind = list(MUTATIONS)[(i + k) % len(MUTATIONS)]
            made = run(scene, kind, rng, honest[scene.name])
            done += made.frames
            yield made
        i += 1
