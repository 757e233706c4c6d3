"""Kinds of rewrites that rename variables, or move parts into helper functions (rewrites.py)."""

import ast
import builtins
import random
import symtable
from collections.abc import Iterator

import libcst as cst
from libcst.helpers import parse_template_statement as template

from autograder.authoring.operators import enclosed
from autograder.authoring.rewrites_of_statements import Blocks, Body, at_the_top, single

WORDS = ("val", "out", "tmp", "cur", "res", "arr", "part", "item", "aux", "buf", "foo", "my_value", "tensor_")


def tables(source: str) -> Iterator[symtable.SymbolTable]:
    waiting = [symtable.symtable(source, "cell", "exec")]
    while waiting:
        waiting += (table := waiting.pop()).get_children()
        yield table


def own_names(source: str) -> set[str]:
    """Return names that are only used for functions' own variables, anywhere in the source."""
    own, other = set(), set(dir(builtins))
    for table in tables(source):
        inside = table.get_type() == "function"
        for s in table.get_symbols():
            bound = s.is_free() or (s.is_local() and not s.is_parameter() and not s.is_imported())
            (own if inside and bound else other).add(s.get_name())
    return {n for n in own - other if not n.startswith(("_", "."))}


class Renamer(cst.CSTTransformer):
    """Renames names, but neither attributes nor keywords."""

    def __init__(self, new: dict[str, str]) -> None:
        super().__init__()
        self.new = new

    def leave_Attribute(self, original: cst.Attribute, updated: cst.Attribute) -> cst.Attribute:
        return updated.with_changes(attr=original.attr)

    def leave_Arg(self, original: cst.Arg, updated: cst.Arg) -> cst.Arg:
        return updated.with_changes(keyword=original.keyword)

    def leave_Name(self, original: cst.Name, updated: cst.Name) -> cst.Name:
        return updated.with_changes(value=self.new.get(updated.value, updated.value))


def renamed_locals(module: cst.Module, rng: random.Random) -> cst.Module:
    names = sorted(own_names(module.code))
    chosen = rng.sample(names, rng.randint(1, len(names))) if names else []
    return module.visit(Renamer({n: f"{rng.choice(WORDS)}{i}" for i, n in enumerate(chosen)}))


def helpers(module: cst.Module, rng: random.Random) -> cst.Module:
    """Compute what is returned or assigned in helper functions, defined in the cell or inside the same function."""
    inside = [t for t in tables(module.code) if t.get_type() == "function"]
    variables = {s.get_name() for t in inside for s in t.get_symbols() if not s.is_global()}
    outside: Body = []

    def change(body: Body) -> Body:
        new: Body = []
        for s in body:
            small = single(s, (cst.Return, cst.Assign))
            value = small.value if small is not None else None
            text = module.code_for_node(value) if value is not None else ""
            known = any(word in text for word in ("super", ":=", "yield", "await", "lambda", "__"))
            if known or not isinstance(value, (cst.BinaryOperation, cst.Call, cst.Tuple)) or rng.random() < 0.5:
                new.append(s)
                continue
            names = [n for n in ast.walk(ast.parse(f"({text})")) if isinstance(n, ast.Name)]
            bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
            name, near = f"helper_{rng.randrange(10**6)}", rng.random() < 0.5
            arguments = "" if near else ", ".join(sorted(({n.id for n in names} & variables) - bound))
            function = template(f"def {name}({arguments}):\n    return {{value}}\n", value=enclosed(value))
            (new if near else outside).append(function)
            new.append(s.with_changes(body=[small.with_changes(value=cst.parse_expression(f"{name}({arguments})"))]))
        return new

    changed = module.visit(Blocks(change))
    return at_the_top(changed, outside)


KINDS = {"renamed locals": renamed_locals, "helper functions": helpers}
