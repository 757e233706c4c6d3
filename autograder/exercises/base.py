"""What an exercise is: its answer cells, what the child may use, and checks that judge the child's outputs."""

import builtins
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from autograder.child.protocol import Message, Serve, Tensors
from autograder.exercises import raised
from autograder.sandbox.limits import Failure

OWN = "questions"  # the module of an exercise's folder that asks its own questions
# The type of each field of a reply's header, in any exercise; for a list, the type of its elements.
FIELDS = {
    **dict.fromkeys(("kind", "kinds", "left", "shares", "devices"), str),
    **dict.fromkeys(("parameters", "reached"), int),
    **dict.fromkeys(("drew", "elsewhere", "finite", "grad"), bool),
}
LISTS = ("kinds", "left", "shares", "devices")
TYPES = (  # that answers return instead of a tensor
    *(name for name, value in vars(builtins).items() if isinstance(value, type)),
    *("Tensor", "Parameter", "ndarray", "Size", "dtype", "device", "generator", "function", "method", "module"),
    *("SimpleNamespace", "OrderedDict", "Linear", "Embedding", "Sequential", "ModuleList", "Identity", "partial"),
)

MOST_NOTES = 20


class Failed(Exception):
    """A property does not hold; the text is for the student and never holds an expected value."""


class AnswerError(Failed):
    """The answer raised an exception of class `kind`; `hidden` if it tried to import the answer itself.

    `kind` and `text` are the child's own words, for checks to look at; only str(self) may be shown.
    """

    def __init__(self, error: dict[str, Any], answer: str | None = None, beside: tuple[str, ...] = ()):
        self.kind, self.text = str(error.get("kind"))[:80], str(error.get("text"))[:500]
        refused = raised.refused(error, beside)
        self.hidden = refused is not None
        super().__init__(refused or raised.told(error, answer, beside))


class Asks(Protocol):
    """A child, or anything that answers like one."""

    def ask(
        self, header: dict, tensors: Tensors | None = None, timeout_s: float = 20.0, serve: Serve | None = None
    ) -> Message: ...


def well_formed(name: str, value: Any) -> bool:
    """Does a field of a reply's header have its type? A check would trip over any other."""
    if name in LISTS:
        return isinstance(value, list) and all(type(v) is FIELDS[name] for v in value)
    return type(value) is FIELDS[name]


@dataclass(frozen=True)
class Probe:
    """Asks the child for one operation and accepts only the expected names and types in the reply."""

    child: Asks
    timeout_s: float = 20.0
    answer: str | None = None  # the one being judged; None: several
    beside: tuple[str, ...] = ()  # cells whose model solutions are in the child, where student code can read them
    notes: list[str] = field(default_factory=list, compare=False)  # the child's own words (grading/remarks.py)
    stops: list[str] = field(default_factory=list, compare=False)  # where a cell stopped after defining its answer

    def __call__(self, op: str, tensors: Tensors | None = None, **header: Any) -> Tensors:
        return self.both(op, tensors, **header)[1]

    def both(self, op: str, tensors: Tensors | None = None, serve: Serve | None = None, **header: Any) -> Message:
        """The whole reply. `serve` answers what the child asks of a model before that."""
        more = {} if serve is None else {"serve": serve}
        asked = {"op": op, **header} | ({"served": True} if more else {})
        reply, out = self.child.ask(asked, tensors, timeout_s=self.timeout_s, **more)
        self._keep(reply.pop("notes", None), stopped=op == "load")
        if wrong := next((name for name in FIELDS if name in reply and not well_formed(name, reply[name])), None):
            kind = f"{'a list of' if wrong in LISTS else 'of type'} {FIELDS[wrong].__name__}"
            was = f"`{wrong}` in its report is not {kind}"
            raise Failure("invalid_output", f"The answer's process sent a malformed result: {was}.")
        if isinstance(reply.get("error"), dict):
            raise AnswerError(reply["error"], self.answer, self.beside)
        return reply, out

    def _keep(self, notes: Any, stopped: bool) -> None:
        """Take a few notes; where a cell stopped is noted once, when it is loaded."""
        notes = notes if isinstance(notes, list) else []
        new = [note for note in notes if isinstance(note, str) and note not in self.notes]
        self.notes.extend(new[: max(0, MOST_NOTES - len(self.notes))])
        self.stops.extend([raised.told(n, self.answer, self.beside) for n in notes if stopped and type(n) is dict][:1])


Run = Callable[[Probe, Generator], None]  # a check: raises Failed if its property does not hold


@dataclass(frozen=True)
class Check:
    """One property. `fatal`: if it fails, running the reference gate would waste time."""

    name: str  # unique within the exercise
    points: float
    run: Run
    fatal: bool = False
    answer: str | None = None  # the answer cell it judges; None: all of them together
    lesson: str = ""  # where to reread: "lesson 5.1, “The forward process”"


def check_of(answer: str, lesson: str, what: str, points: float, run: Run, fatal: bool = False) -> Check:
    """A check of one answer, named after it."""
    return Check(f"{answer}: {what}", points, run, fatal, answer, lesson)


@dataclass(frozen=True)
class Exercise:
    """One notebook with its answer cells.

    Its answers are judged one by one (grading/judging.py), so one error is not punished twice. With `judged_as_pair`
    they all share one namespace instead, as a gate needs.
    """

    assignment: str
    position: int  # among the exercises of its assignment
    name: str  # of its folder and its notebook
    answers: tuple[str, ...]  # grade_ids, in the order the cells run
    library: tuple[str, ...]  # modules of ddpm_core that the child gets
    hidden: tuple[str, ...]  # modules of ddpm_core that hold the answer: importing from them has its own outcome
    checks: tuple[Check, ...]
    operations: str = OWN  # the module that asks the child's questions: this folder's, or one of autograder/child
    checks_cell: str | None = None  # grade_id of the cell that carries the points of checks on all answers together
    gate_cell: str | None = None
    gate_points: float = 0.0
    judged_as_pair: bool = False  # judged together: neither can be supplied from the reference
    written: tuple[str, ...] = field(default=())  # manually graded
    packages: tuple[str, ...] = ()  # allowed imports among those that hold answers (autograder/sandbox/staging.py)
    # The answers an answer may build on. They are supplied from the model solution, in a separate child: code that can
    # read the reference for one cell must not be able to hand it in as its own.
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def questions(self) -> str:
        """Dotted name of the module that asks the child's questions."""
        folder = f"autograder.exercises.{self.name}" if self.operations == OWN else "autograder.child"
        return f"{folder}.{self.operations}"

    @property
    def max_score(self) -> float:
        return sum(c.points for c in self.checks) + self.gate_points

    def cell_of(self, check: Check) -> str | None:
        """grade_id of the cell that carries a check's points."""
        return f"{check.answer}_checks" if check.answer else self.checks_cell

    def checks_of(self, answer: str) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if c.answer == answer)


def tensor(out: Tensors, name: str, shape: tuple[int, ...], what: str, dtype: Any = torch.float32) -> Tensor:
    """The reply's tensor, if it has the shape and dtype of the contract."""
    x = out.get(name)
    if x is None:
        raise Failed(f"{what} returned nothing that could be read as a tensor")
    if tuple(x.shape) != shape:
        raise Failed(f"{what} has shape {sizes(x)}, but this input should give {shape}")
    if dtype is not None and x.dtype != dtype:
        raise Failed(f"{what} has dtype {x.dtype}, but the inputs are {dtype}")
    return x


def finite(x: Tensor, what: str) -> Tensor:
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise Failed(f"{what} is not finite: {bad} of {x.numel()} values are nan or infinite")
    return x


def sizes(x: Tensor) -> str:
    """Its shape, with too few digits to smuggle out text."""
    shape = str(tuple(x.shape))
    return shape if x.numel() and len(shape) < 25 else f"({x.dim()} numbers{'' if x.numel() else ', one of them 0'})"


def returned(about: dict[str, Any]) -> str:
    """What an answer returns instead of a tensor, according to the child: a name that we know, or none."""
    kind = about.get("kind")
    if kind in ("NoneType", "None"):
        return "nothing (is the return missing?)"
    return f"a {kind}" if kind in TYPES else "an object of another class"


def relative_change(a: Tensor, b: Tensor) -> Tensor:
    """How much each sample of a differs from b's, in units of a's spread, (B,)."""
    a, b = a.double(), b.double()
    return (a - b).abs().flatten(1).amax(1) / a.std().clamp(min=1e-12)
