"""Kinds of rewrites that write an expression in another way (rewrites.py)."""

import random
from collections.abc import Callable

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.helpers import parse_template_expression as template

from autograder.authoring.operators import PLACES, enclosed

Rule = Callable[[cst.BaseExpression, random.Random], cst.BaseExpression | None]
# Tensor methods that torch also offers as functions.
AS_FUNCTIONS = {"sqrt", "clamp", "chunk", "transpose", "flatten", "softmax", "masked_fill", "square", "unbind"}
MODULES = {"silu": "SiLU", "gelu": "GELU", "relu": "ReLU", "sigmoid": "Sigmoid"}  # of F, and of nn
FLIPPED = {
    cst.LessThan: cst.GreaterThan, cst.GreaterThan: cst.LessThan, cst.LessThanEqual: cst.GreaterThanEqual,
    cst.GreaterThanEqual: cst.LessThanEqual, cst.Equal: cst.Equal, cst.NotEqual: cst.NotEqual,
}  # fmt: skip
MODULE_NAMES = {*PLACES, "np", "numpy", "functools", "copy"} - {"self"}
SEQUENCES = (cst.List, cst.Tuple, cst.ListComp, cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)

LEFT_ALONE = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator, cst.AssignTarget, cst.FormattedString)


class Rewriter(cst.CSTTransformer):
    """Applies a rule to expressions, to about `share` of those that it can change."""

    def __init__(self, rule: Rule, rng: random.Random, share: float) -> None:
        super().__init__()
        self.rule, self.rng, self.share = rule, rng, share

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, LEFT_ALONE)

    def on_leave(self, original: cst.CSTNode, updated: cst.CSTNode) -> cst.CSTNode:
        if isinstance(updated, cst.BaseExpression) and (new := self.rule(updated, self.rng)) is not None:
            new = new if isinstance(new, (cst.Call, cst.Attribute)) else enclosed(new)
            return new if self.rng.random() < self.share else updated
        return updated


def everywhere(rule: Rule) -> Callable[[cst.Module, random.Random], cst.Module]:
    def kind(module: cst.Module, rng: random.Random) -> cst.Module:
        new = module.visit(Rewriter(rule, rng, 0.5))
        return new if not new.deep_equals(module) else module.visit(Rewriter(rule, rng, 1.0))

    return kind


def form(text: str, **parts: cst.BaseExpression) -> cst.BaseExpression:
    return template(text, **{name: enclosed(part) for name, part in parts.items()})


def called(n: cst.CSTNode, place: str | None = None) -> str | None:
    """Return the name of the function called from the module `place`, or of the method called on anything else.

    None if the node is not such a call.
    """
    if not (isinstance(n, cst.Call) and isinstance(n.func, cst.Attribute)):
        return None
    text = get_full_name_for_node(n.func.value) or ""
    return n.func.attr.value if (text if text.split(".")[0] in MODULE_NAMES else None) == place else None


def plain(n: cst.BaseExpression) -> bool:
    """Whether it contains no sequence, as far as can be seen. The sum of sequences depends on their order."""
    if isinstance(n, cst.BinaryOperation):
        return plain(n.left) and plain(n.right)
    tolist = isinstance(n, cst.Call) and isinstance(n.func, cst.Attribute) and n.func.attr.value in ("tolist", "split")
    slices = isinstance(n, cst.Subscript) and isinstance(n.slice[0].slice, cst.Slice)
    return not (isinstance(n, (*SEQUENCES, cst.IfExp)) or tolist or slices)


def draws(n: cst.CSTNode) -> bool:
    """Whether it might draw random numbers or change something, so that the order matters."""
    return any(word in cst.Module([]).code_for_node(n) for word in ("rand", "next(", "pop(", ":=", "normal"))


def commuted(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    if not (isinstance(n, cst.BinaryOperation) and isinstance(n.operator, (cst.Add, cst.Multiply))):
        return None
    if (isinstance(n.operator, cst.Add) and not plain(n)) or (draws(n.left) and draws(n.right)):
        return None
    return n.with_changes(left=enclosed(n.right), right=enclosed(n.left))


def differences(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    """a - b as a sum; a square as a product."""
    if not isinstance(n, cst.BinaryOperation):
        return None
    if isinstance(n.operator, cst.Subtract) and not (draws(n.left) and draws(n.right)):
        return form(rng.choice(("{a} + (-{b})", "-{b} + {a}", "-({b} - {a})")), a=n.left, b=n.right)
    if isinstance(n.operator, cst.Power) and isinstance(n.right, cst.Integer) and n.right.value == "2":
        return None if draws(n.left) else form("{a} * {a}", a=n.left)
    return None


def products(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    """The operator for matrix products as the function or the method, or as einsum if both factors are matrices."""
    if not (isinstance(n, cst.BinaryOperation) and isinstance(n.operator, cst.MatrixMultiply)):
        return None
    text = cst.Module([]).code_for_node(n)
    if any(word in text for word in ("transpose", ".mT", "weights", "softmax")):  # attention: both are matrices
        return form('torch.einsum("...ij,...jk->...ik", {a}, {b})', a=n.left, b=n.right)
    return form(rng.choice(("torch.matmul({a}, {b})", "{a}.matmul({b})")), a=n.left, b=n.right)


def functions(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    """Tensor methods as functions of torch, and vice versa; a square root as a power."""
    if (name := called(n)) in AS_FUNCTIONS and not (
        isinstance(n.func.value, cst.Name) and n.func.value.value == "self"
    ):
        if name == "sqrt" and not n.args and rng.random() < 0.5:
            return form("{a} ** 0.5", a=n.func.value)
        func = cst.parse_expression(f"torch.{name}")
        return n.with_changes(func=func, args=[cst.Arg(n.func.value), *n.args])
    if (name := called(n, "torch")) in AS_FUNCTIONS and n.args and not (n.args[0].keyword or n.args[0].star):
        func = cst.Attribute(enclosed(n.args[0].value), cst.Name(name))
        return n.with_changes(func=func, args=n.args[1:])
    return None


def activations(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    """F.silu(x) as a call of a module, or written out; and a called module as a function."""
    name = called(n, "F")
    if name in MODULES and len(n.args) == 1:
        ways = [f"nn.{MODULES[name]}()({{x}})"] + ["{x} * torch.sigmoid({x})"] * (name == "silu" and not draws(n))
        return form(rng.choice(ways), x=n.args[0].value)
    inner = n.func if isinstance(n, cst.Call) and isinstance(n.func, cst.Call) else None
    names = {module: function for function, module in MODULES.items()}
    if inner is not None and called(inner, "nn") in names and not inner.args and len(n.args) == 1:
        return form(f"F.{names[called(inner, 'nn')]}({{x}})", x=n.args[0].value)
    return None


def comparisons(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    if not isinstance(n, cst.Comparison) or len(n.comparisons) != 1:
        return None
    (target,) = n.comparisons
    if (other := FLIPPED.get(type(target.operator))) is None:
        return None
    return cst.Comparison(enclosed(target.comparator), [cst.ComparisonTarget(other(), enclosed(n.left))])


def long_names(n: cst.BaseExpression, rng: random.Random) -> cst.BaseExpression | None:
    if isinstance(n, cst.Attribute) and isinstance(n.value, cst.Name) and n.value.value in ("F", "nn"):
        return n.with_changes(value=cst.parse_expression({"F": "torch.nn.functional", "nn": "torch.nn"}[n.value.value]))
    return None


RULES = (commuted, differences, products, functions, activations, comparisons, long_names)
KINDS = {rule.__name__.replace("_", " "): everywhere(rule) for rule in RULES}
