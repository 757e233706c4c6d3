"""Records honest replies of the model solutions and replays them with some changed, to see how checks and gates handle
data that no honest answer sends.

No process is started, so thousands of changed replies take a minute.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from unittest.mock import patch

from autograder.authoring.mutants import InProcess
from autograder.child import protocol
from autograder.child.protocol import Message, Serve, Tensors
from autograder.exercises import EXERCISES
from autograder.exercises.base import Check, Exercise
from autograder.grading import checking, gating
from autograder.grading.checking import Judging, child_of, run_checks
from autograder.grading.grader import Grader, make_grader
from autograder.grading.results import NotebookResult
from autograder.intake import model_solutions
from autograder.sandbox.limits import Failure, Limits

Frame = tuple[bytes, bytes]  # the JSON and the tensors of one reply, as they are sent
Change = Callable[[int, Frame], Frame]  # changes the n-th reply
SEED = 7
SHORT = {"samples": 20, "batch": 20, "sample_steps": 2, "probes": 4, "chunk": 2}  # only the gate's requests matter here
SHORT_TRAINING = {"steps": 2, "warmup": 1, "batch_size": 8}


@dataclass(frozen=True)
class Scene:
    """One check, or the gate, of an exercise, with what an honest child sends: replies, and calls of a served model."""

    exercise: Exercise
    check: Check | None  # None: the gate
    cells: dict[str, str]
    grader: Grader
    frames: tuple[Frame, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.exercise.name}: {self.check.name if self.check else 'gate'}"

    @property
    def points(self) -> float:
        return self.check.points if self.check else self.exercise.gate_points


def frame_of(header: dict, tensors: Tensors) -> Frame:
    whole = protocol.encode(header, tensors)
    start, size = protocol.PREFIX.size, protocol.PREFIX.unpack_from(whole)[0]
    return whole[start : start + size], whole[start + size :]


@dataclass
class Recorder:
    """Passes requests on to a child, and keeps what it sends."""

    child: InProcess
    frames: list[Frame] = field(default_factory=list)
    printed = ""
    peak_bytes = 0

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message:
        def kept(given: Tensors) -> Message:
            self.frames.append(frame_of({protocol.EVALUATE: True}, given))
            return serve(given)

        reply = self.child.ask(header, tensors, timeout_s, serve and kept)
        if header["op"] != "load":
            self.frames.append(frame_of(*reply))
        return reply

    def renew(self) -> None:
        self.child.renew()

    @contextmanager
    def beside(self) -> Iterator["Recorder"]:
        """Yield another one, whose replies are kept together with these, in the order in which they come."""
        with self.child.beside() as other:
            yield Recorder(other, self.frames)


@dataclass
class Replay:
    """Gives the recorded replies in order, each changed by `change`, and repeats the last one forever."""

    frames: tuple[Frame, ...]
    change: Change
    asked: int = 0
    printed = ""
    peak_bytes = 0

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message:
        protocol.encode(header, tensors)  # a request must be valid, whatever the replies before it
        if header["op"] == "load":
            return {}, {}
        message = self._next()
        while protocol.EVALUATE in message[0]:
            if serve is None:
                raise Failure("invalid_output", "The answer's process called a model that this question does not have.")
            protocol.encode(*serve(message[1]))
            message = self._next()
        return message

    def _next(self) -> Message:
        n, self.asked = self.asked, self.asked + 1
        frame = self.change(n, self.frames[min(n, len(self.frames) - 1)])
        try:
            return protocol.decode(*frame)
        except Exception as e:  # as in sandbox/child_process.py
            raise Failure("invalid_output", "The answer's process sent a malformed result.") from e

    def renew(self) -> None:
        """Do nothing: the replies of the next process follow in the same sequence."""

    def beside(self) -> AbstractContextManager["Replay"]:
        """Return itself: the replies of both processes form one sequence."""
        return nullcontext(self)


def judged(scene: Scene, child: Recorder | Replay) -> NotebookResult:
    """Return the result of one check or gate with this child. Exceptions are passed on."""
    checks = (scene.check,) if scene.check else ()
    result = NotebookResult(replace(scene.exercise, checks=checks), "graded", "")
    j = Judging(scene.grader, result, SEED, lambda what, share: None)

    @contextmanager
    def session(*_: object, **__: object) -> Iterator[Recorder | Replay]:
        yield child

    with patch.object(checking, "session", session):
        if scene.check is None:
            gating.in_fresh_child(j, scene.cells)
        else:
            with child_of(j) as probe:
                run_checks(j, checks, probe)
    return result


def grader_of(exercise: Exercise) -> Grader:
    """Return the grader of record, but with a very short gate."""
    grader = make_grader(exercise, SEED, sandboxed=False, limits=Limits())
    if grader.run is None:
        return grader
    return replace(grader, run=replace(grader.run, train={**grader.run.train, **SHORT_TRAINING}, **SHORT))


def scenes(*names: str) -> Iterator[Scene]:
    """Yield every check and gate of some exercises, or of all, with the model solution's replies.

    ValueError if the model solution loses points in a check, or a check or gate fails unexpectedly.
    """
    for exercise in EXERCISES.values():
        if names and exercise.name not in names:
            continue
        cells, grader = model_solutions.reference(exercise, exercise.answers), grader_of(exercise)
        child = InProcess(import_module(exercise.questions))
        child.ask({"op": "load", "cells": cells}, {})
        for check in (*exercise.checks, *((None,) if exercise.gate_cell else ())):
            scene, recorder = Scene(exercise, check, cells, grader), Recorder(child)
            result = judged(scene, recorder)
            if check and result.score != check.points:
                raise ValueError(f"{scene.name}: the model solution loses points: {result.tests[-1].output}")
            if "unexpected" in result.instructor:
                raise ValueError(f"{scene.name}: {result.instructor['unexpected']}")
            yield replace(scene, frames=tuple(recorder.frames))
