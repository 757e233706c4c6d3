"""Kinds of rewrites that change statements: returns, branches, hints, decorators (rewrites.py)."""

import random
from collections.abc import Callable

import libcst as cst
from libcst.helpers import parse_template_statement as template

from autograder.authoring.operators import enclosed

HINTS = ("torch.Tensor", "object", '"Tensor"', "int | None")  # right or wrong: a hint has no effect
DECORATOR = """
def passed_on(function):
    import functools

    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner
"""
Body = list[cst.BaseStatement]


class Blocks(cst.CSTTransformer):
    """Applies `change` to every block of statements in a function."""

    def __init__(self, change: Callable[[Body], Body]) -> None:
        super().__init__()
        self.change, self.scopes = change, []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self.scopes.append(isinstance(node, cst.FunctionDef))
        return True

    def on_leave(self, original: cst.CSTNode, updated: cst.CSTNode) -> cst.CSTNode:
        if isinstance(updated, (cst.FunctionDef, cst.ClassDef)):
            self.scopes.pop()
        if isinstance(updated, cst.IndentedBlock) and self.scopes and self.scopes[-1]:
            return updated.with_changes(body=self.change([*updated.body]))
        return updated


def in_blocks(change: Callable[[Body], Body]) -> Callable[[cst.Module, random.Random], cst.Module]:
    return lambda module, rng: module.visit(Blocks(change))


def single(statement: cst.CSTNode, kind: type | tuple[type, ...]) -> cst.BaseSmallStatement | None:
    """Return the only small statement of a line if it is of this kind, otherwise None."""
    line = isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1
    return statement.body[0] if line and isinstance(statement.body[0], kind) else None


def at_the_top(module: cst.Module, new: Body) -> cst.Module:
    """Insert statements before the first function or class of a cell."""
    first = next((i for i, s in enumerate(module.body) if isinstance(s, (cst.FunctionDef, cst.ClassDef))), 0)
    return module.with_changes(body=[*module.body[:first], *new, *module.body[first:]])


def code(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def named_results(body: Body) -> Body:
    """return a + b  ->  result_ = a + b; return result_"""
    last = single(body[-1], cst.Return)
    if last is None or last.value is None or isinstance(last.value, cst.Name):
        return body
    return [*body[:-1], template("result_ = {value}", value=last.value), template("return result_")]


def early_returns(body: Body) -> Body:
    """if c: ...; return r  ->  if not c: return r; ...; return r. An expression with `if` becomes two returns."""
    last = single(body[-1], cst.Return)
    if last is not None and isinstance(last.value, cst.IfExp):
        test, one, two = last.value.test, enclosed(last.value.body), enclosed(last.value.orelse)
        return [*body[:-1], template("if {t}:\n    return {a}\nelse:\n    return {b}\n", t=test, a=one, b=two)]
    before = body[-2] if len(body) > 1 else None
    if (
        last is None
        or not isinstance(before, cst.If)
        or before.orelse
        or not isinstance(before.body, cst.IndentedBlock)
    ):
        return body
    early = cst.If(cst.UnaryOperation(cst.Not(), enclosed(before.test)), cst.IndentedBlock([body[-1]]))
    return [*body[:-2], early, *before.body.body, body[-1]]


def branches(body: Body) -> Body:
    """x = a if c else b  ->  if c: x = a; else: x = b"""
    new: Body = []
    for s in body:
        assign = single(s, cst.Assign)
        if assign is not None and isinstance(assign.value, cst.IfExp) and len(assign.targets) == 1:
            v, target = assign.value, code(assign.targets[0].target)
            text = f"if {{t}}:\n    {target} = {{a}}\nelse:\n    {target} = {{b}}\n"
            new.append(template(text, t=v.test, a=enclosed(v.body), b=enclosed(v.orelse)))
        else:
            new.append(s)
    return new


class Hints(cst.CSTTransformer):
    """Removes all hints of parameters and results, or adds some where there are none."""

    def __init__(self, rng: random.Random, away: bool) -> None:
        super().__init__()
        self.rng, self.away = rng, away

    def visit_Lambda(self, node: cst.Lambda) -> bool:
        return False

    def hint(self, there: cst.Annotation | None) -> cst.Annotation | None:
        if self.away or there is not None or self.rng.random() < 0.3:
            return None if self.away else there
        return cst.Annotation(cst.parse_expression(self.rng.choice(HINTS)))

    def leave_Param(self, original: cst.Param, updated: cst.Param) -> cst.Param:
        plain = original.name.value in ("self", "cls") or updated.star in ("*", "**")
        return updated if plain else updated.with_changes(annotation=self.hint(updated.annotation))

    def leave_FunctionDef(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
        return updated.with_changes(returns=self.hint(updated.returns))


class Decorators(cst.CSTTransformer):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng = rng

    def leave_FunctionDef(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> cst.FunctionDef:
        if updated.decorators or self.rng.random() < 0.3:
            return updated
        return updated.with_changes(decorators=[cst.Decorator(cst.Name("passed_on"))])


def decorators(module: cst.Module, rng: random.Random) -> cst.Module:
    new = module.visit(Decorators(rng))
    return module if new.deep_equals(module) else at_the_top(new, [*cst.parse_module(DECORATOR).body])


KINDS = {
    **{f.__name__.replace("_", " "): in_blocks(f) for f in (named_results, early_returns, branches)},
    "decorators": decorators,
    "hints": lambda module, rng: module.visit(Hints(rng, away=rng.random() < 0.3)),
}
