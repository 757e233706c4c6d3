"""The quick tier: the gate's training, sampling and scoring, on as many seeds as two minutes on two cores allow.

Every seed runs in its own process, which owns everything except the answer, which runs in a sandboxed child.
"""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from autograder.challenges import few_steps
from autograder.challenges.figures import judge_name, seed_of
from autograder.challenges.tracks import METRICS, Track, track
from autograder.exercises.base import Failed, Probe
from autograder.gate import looking
from autograder.gate.harness import Harness
from autograder.gate.judge import Judge
from autograder.grading.blame import of_the_answer
from autograder.grading.grader import TRAIN_S
from autograder.grading.messages import sentence
from autograder.grading.provenance import JUDGES
from autograder.sandbox.limits import Failure, Limits
from autograder.sandbox.session import session
from ddpm_core.data import digits, to_uint8
from ddpm_core.metrics.adherence import classify
from ddpm_tools.evaluation.kernel import kid
from ddpm_tools.evaluation.manifold import Manifold
from ddpm_tools.evaluation.plain_classifier import load_classifier

NEIGHBOURS = 3  # precision and recall as published (Kynkäänniemi et al. 2019)
SUBSETS = 10  # of KID; its spread is estimated from the seeds, not from the subsets
CLOSING_S = 5.0  # to close a child; killing a process takes less than one second


@dataclass(frozen=True)
class Tier:
    """How long a test may last, and the least and greatest number of its seeds."""

    seconds: float = 120.0  # on two idle cores; a round begins only if one as long as the last would still fit
    at_least: int = 2  # even if a slow machine then takes longer: fewer seeds give no spread
    at_most: int = 6
    jobs: int = 2  # seeds at a time
    harness: Harness | few_steps.Harness | None = None  # None: the track's; others are for testing this program


@dataclass(frozen=True)
class Job:
    """One seed of one design, as plain values that can be sent to another process."""

    track: str
    cells: dict[str, str]
    seed: int
    judge: str = "judge"
    sandboxed: bool = True
    harness: Harness | few_steps.Harness | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one seed: metrics and images, or the reason why there are none, and whether the fault is ours."""

    seed: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    images: np.ndarray | None = None  # (N, 1, 8, 8) uint8: an array's memory outlives the process that made it
    reason: str = ""
    ours: bool = False
    trace: str = ""  # for the log: the traceback if judging stopped at what the answer returned


def run(job: Job) -> Outcome:
    """Train (if the track trains), sample and score one seed."""
    torch.set_num_threads(1)
    t, start = track(job.track), time.monotonic()
    harness, measured = job.harness or t.harness, few_steps.run if t.evaluations else looking.run
    judge, traces = Judge.of(load_classifier(JUDGES[job.judge])), []
    try:
        with session(t.exercise, Limits(), sandboxed=job.sandboxed) as child, of_the_answer(traces.append):
            probe = Probe(child, TRAIN_S)
            probe("load", cells=job.cells, operations=t.exercise.operations)
            scores, images = measured(probe, {job.judge: judge}, harness, job.seed)
            metrics = {**scores[job.judge], **by_features(judge, images)}
            kept = {name: round(float(metrics[name]), 6) for name in t.metrics}
            if wrong := [METRICS[name].title for name, value in kept.items() if not math.isfinite(value)]:
                raise Failed(f"the {wrong[0]} of the samples is not finite")
    except Failed as e:
        reason, ours = str(e), False
    except Failure as e:
        reason, ours = e.message, e.outcome == "infrastructure_error"
    except OSError as e:
        reason, ours = f"the machine failed: {e}", True
    else:
        return Outcome(job.seed, round(time.monotonic() - start, 1), kept, to_uint8(images).numpy())
    return Outcome(job.seed, time.monotonic() - start, reason=sentence(reason), ours=ours, trace="".join(traces))


def by_features(judge: Judge, images: Tensor) -> dict[str, float]:
    """Return KID, precision and recall in the classifier's features, against all digits."""
    _, real = classify(judge.classifier, digits("all").floats())
    _, own = classify(judge.classifier, images)
    manifold = Manifold.of(own, real)
    return {
        "kid": kid(own, real, subsets=SUBSETS),
        "precision": float(manifold.precision(NEIGHBOURS).mean()),
        "recall": manifold.recall(NEIGHBOURS)(torch.arange(len(manifold.own))),
    }


def seeds(
    t: Track, cells: dict[str, str], tier: Tier, sandboxed: bool, spent: float, tell: Callable[[str], None]
) -> Iterator[Outcome]:
    """Yield the outcome of each seed, in order, up to the first without metrics. `spent`: the test's seconds so far."""
    begin, done, at_least = time.monotonic() - spent, 0, min(max(tier.at_least, t.at_least), tier.at_most)
    with worker(tier.jobs) as work:
        while done < tier.at_most:
            round_ = range(done, min(done + tier.jobs, tier.at_most))
            start = time.monotonic()
            tell(f"seeds {round_[0] + 1} to {round_[-1] + 1} of {at_least} to {tier.at_most}")
            jobs = [Job(t.name, cells, seed_of(t, i), judge_name(), sandboxed, tier.harness) for i in round_]
            for outcome in work(jobs):
                yield outcome
                if not outcome.metrics:
                    return
            done += len(jobs)
            now = time.monotonic()
            if done >= at_least and now + (now - start) > begin + tier.seconds:
                return


@contextmanager
def worker(jobs: int) -> Iterator[Callable[[list[Job]], Iterator[Outcome]]]:
    """Yield a function that runs jobs in processes of their own, or in this one if `jobs` is 1."""
    if jobs == 1:
        yield lambda some: map(run, some)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=end_with_parent) as pool:

        def work(some: list[Job]) -> Iterator[Outcome]:
            try:
                yield from pool.map(run, some)
            except BrokenProcessPool:
                yield Outcome(some[0].seed, 0.0, reason="A process of the grader was killed.", ours=True)

        try:
            yield work
        except BaseException:  # raised by the caller, which no longer needs the outcomes
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def end_with_parent() -> None:
    """Make SIGTERM interrupt this process, and end this process soon after its parent, however that ends.

    Soon rather than at once: an interrupted seed first closes its child, which nobody else would do. Further signals
    are ignored meanwhile.
    """

    def once(number: int, frame: object) -> None:
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, signal.SIG_IGN)
        raise KeyboardInterrupt

    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, once)

    def wait() -> None:
        multiprocessing.parent_process().join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(CLOSING_S)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
