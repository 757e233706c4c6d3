"""Makes first-order mutants of an answer, each with one change, by the operators of mutmut and cosmic-ray and our own.

The general operators change numbers, comparisons, arithmetic, boolean operators, keywords, arguments, statements and
return values. Our own are specific to the field: drop what a call does to its input (a norm, an activation, a clamp, a
root), drop one side of a sum or product (a residual, a factor), exchange halves, axes or easily confused names, and put
zeros in place of a condition.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst
import libcst.metadata as meta

ARITHMETIC = {
    cst.Add: (cst.Subtract, cst.Multiply), cst.Subtract: (cst.Add, cst.Multiply), cst.Multiply: (cst.Divide, cst.Add),
    cst.Divide: (cst.Multiply, cst.Subtract), cst.FloorDivide: (cst.Divide, cst.Multiply),
    cst.Modulo: (cst.FloorDivide,), cst.Power: (cst.Multiply,), cst.BitAnd: (cst.BitOr,), cst.BitOr: (cst.BitAnd,),
}  # fmt: skip
COMPARISON = {
    cst.LessThan: (cst.LessThanEqual, cst.GreaterThanEqual), cst.LessThanEqual: (cst.LessThan, cst.GreaterThan),
    cst.GreaterThan: (cst.GreaterThanEqual, cst.LessThanEqual), cst.GreaterThanEqual: (cst.GreaterThan, cst.LessThan),
    cst.Equal: (cst.NotEqual,), cst.NotEqual: (cst.Equal,), cst.Is: (cst.IsNot,), cst.IsNot: (cst.Is,),
    cst.In: (cst.NotIn,), cst.NotIn: (cst.In,),
}  # fmt: skip
AUGMENTED = {cst.AddAssign: cst.SubtractAssign, cst.SubtractAssign: cst.AddAssign, cst.MultiplyAssign: cst.DivideAssign}
CONFUSED = [  # pairs of names, one of which may be written for the other
    ("t", "time"), ("t", "step"), ("t", "i"), ("time", "following"), ("t", "after"), ("abar", "abar_next"), ("a", "b"),
    ("abar_t", "abar_next"), ("eps", "noise"), ("eps_c", "eps_u"), ("scale", "shift"), ("q", "k"), ("k", "v"),
    ("x_0", "noise"), ("x", "x_0"), ("x_t", "x_0"), ("in_ch", "out_ch"), ("image_dim", "text_dim"), ("x", "h"),
    ("x", "context"), ("class_a", "class_b"), ("labels", "nulls"), ("time_emb", "class_emb"), ("start", "end"),
    ("channels", "cond_dim"), ("model_output", "x_t"), ("num_steps", "num_timesteps"), ("num_channels", "cond_dim"),
]  # fmt: skip
CONDITIONS = {"cond", "class_emb", "time_emb", "context", "labels", "t", "time", "both", "emb"}
PLACES = {"torch", "F", "nn", "math", "self", "os"}  # their attributes are not methods of a value
Change = tuple[str, cst.CSTNode, cst.CSTNode]  # the operator, the old node, the new node


@dataclass(frozen=True)
class Mutant:
    operator: str
    change: str  # the line before and after
    source: str

    @property
    def digest(self) -> str:
        """Identifies the mutated source in stored records."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:12]


def numbers(n: cst.Integer | cst.Float) -> Iterator[Change]:
    value = ast.literal_eval(n.value)
    for other in (value + 1, value - 1) if isinstance(value, int) else (value * 2, value + 1):
        text = cst.parse_expression(f"({other})" if other < 0 else repr(other))
        yield "number", n, text


def calls(n: cst.Call) -> Iterator[Change]:
    for i, arg in enumerate(n.args):
        less = n.args[:i] + n.args[i + 1 :]
        yield "keyword removed" if arg.keyword else "argument removed", n, n.with_changes(args=less)
        if isinstance(arg.value, cst.Name) and arg.value.value in CONDITIONS:
            zero = arg.with_changes(value=cst.parse_expression(f"torch.zeros_like({arg.value.value})"))
            yield "zeros for a condition", n, n.with_changes(args=[*n.args[:i], zero, *n.args[i + 1 :]])
    for i, (p, q) in enumerate(zip(n.args, n.args[1:])):
        if not (p.keyword or q.keyword or p.star or q.star):
            both = [p.with_changes(value=q.value), q.with_changes(value=p.value)]
            yield "arguments exchanged", n, n.with_changes(args=[*n.args[:i], *both, *n.args[i + 2 :]])
    if n.args and not n.args[0].star:
        yield "call dropped", n, n.args[0].value
    if isinstance(n.func, cst.Attribute) and not (isinstance(n.func.value, cst.Name) and n.func.value.value in PLACES):
        yield "method dropped", n, n.func.value


def binaries(n: cst.BinaryOperation) -> Iterator[Change]:
    for other in ARITHMETIC.get(type(n.operator), ()):
        yield "arithmetic", n, n.with_changes(operator=other())
    for side in (n.left, n.right):
        yield "operand dropped", n, side
    if not isinstance(n.operator, (cst.Add, cst.Multiply, cst.BitAnd, cst.BitOr)):
        yield "operands exchanged", n, n.with_changes(left=n.right, right=n.left)


def exchanged(n: cst.Tuple | cst.List) -> Iterator[Change]:
    """Exchange neighbouring elements: halves, axes, sizes."""
    for i, (p, q) in enumerate(zip(n.elements, n.elements[1:])):
        if not (isinstance(p, cst.StarredElement) or isinstance(q, cst.StarredElement)):
            both = [p.with_changes(value=q.value), q.with_changes(value=p.value)]
            yield "elements exchanged", n, n.with_changes(elements=[*n.elements[:i], *both, *n.elements[i + 2 :]])


def conditions(n: cst.If | cst.IfExp | cst.While) -> Iterator[Change]:
    yield "condition negated", n.test, cst.UnaryOperation(cst.Not(), enclosed(n.test))
    for word in ("True", "False"):
        yield "condition fixed", n.test, cst.Name(word)


def statements(n: cst.SimpleStatementLine) -> Iterator[Change]:
    (small, *more) = n.body
    docstring = isinstance(small, cst.Expr) and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString))
    if more or docstring or isinstance(small, (cst.Pass, cst.Import, cst.ImportFrom)):
        return
    yield "statement removed", n, n.with_changes(body=[cst.Pass()])
    if isinstance(small, cst.Return) and small.value:
        yield "return value", n, n.with_changes(body=[small.with_changes(value=cst.Name("None"))])
    if isinstance(small, cst.Assign):
        yield "value to None", n, n.with_changes(body=[small.with_changes(value=cst.Name("None"))])


def changes(n: cst.CSTNode) -> Iterator[Change]:
    """Yield every change at one node."""
    match n:
        case cst.Integer() | cst.Float():
            yield from numbers(n)
        case cst.Call():
            yield from calls(n)
        case cst.BinaryOperation():
            yield from binaries(n)
        case cst.UnaryOperation():
            yield "sign or not dropped", n, n.expression
        case cst.BooleanOperation():
            yield "boolean", n, n.with_changes(operator=cst.Or() if isinstance(n.operator, cst.And) else cst.And())
            yield from (("operand dropped", n, side) for side in (n.left, n.right))
        case cst.ComparisonTarget():
            for other in COMPARISON.get(type(n.operator), ()):
                yield "comparison", n, n.with_changes(operator=other())
        case cst.Tuple() | cst.List():
            yield from exchanged(n)
        case cst.If() | cst.IfExp() | cst.While():
            yield from conditions(n)
        case cst.For():
            yield "loop never runs", n, n.with_changes(iter=cst.parse_expression("()"))
        case cst.AugAssign() if type(n.operator) in AUGMENTED:
            yield "arithmetic", n, n.with_changes(operator=AUGMENTED[type(n.operator)]())
        case cst.Decorator():
            yield "decorator removed", n, cst.RemoveFromParent()
        case cst.Slice():
            for end in ("lower", "upper", "step"):
                if getattr(n, end) is not None:
                    yield "end of a slice removed", n, n.with_changes(**{end: None})
        case cst.SimpleString() if not n.value.startswith(('"""', "'''", 'f"')):
            yield "text", n, n.with_changes(value=f'"XX{n.raw_value}"')
        case cst.Name(value="True" | "False"):
            yield "boolean", n, cst.Name("False" if n.value == "True" else "True")
        case cst.Name():
            for one, other in CONFUSED:
                if n.value in (one, other):
                    yield "name confused", n, cst.Name(other if n.value == one else one)
        case cst.SimpleStatementLine():
            yield from statements(n)


class Sites(cst.CSTVisitor):
    """Collects all changes of a module. Annotations, imports and assigned names stay."""

    METADATA_DEPENDENCIES = (meta.ExpressionContextProvider,)

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names, self.found = names, []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Import, cst.ImportFrom)):
            return False
        context = self.get_metadata(meta.ExpressionContextProvider, node, None)
        if not isinstance(node, cst.Name) or context is meta.ExpressionContext.LOAD:
            self.found += (c for c in changes(node) if c[0] != "name confused" or c[2].value in self.names)
        return True


def line_of(before: str, after: str) -> str:
    """Return the first line that differs, before and after."""
    for one, two in zip(before.splitlines(), after.splitlines()):
        if one != two:
            return f"{one.split('  #')[0].strip()}  ->  {two.split('  #')[0].strip()}"
    return "lines are gone"


def enclosed(n: cst.BaseExpression) -> cst.BaseExpression:
    """Add parentheses, so that it stays a single operand wherever it is put."""
    return n if n.lpar else n.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def mutants(source: str) -> list[Mutant]:
    """Return all mutants that are valid Python and differ from the source and each other in more than layout."""
    wrapper = meta.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    tree = ast.parse(source)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)
    }
    sites = Sites(names)
    wrapper.visit(sites)
    known, made = {ast.dump(tree)}, []
    for operator, old, new in sites.found:
        if isinstance(old, cst.BaseExpression) and isinstance(new, cst.BaseExpression):
            new = enclosed(new)
        code = cst.ensure_type(wrapper.module.deep_replace(old, new), cst.Module).code
        try:
            shape = ast.dump(ast.parse(code))
        except SyntaxError:
            continue
        if shape not in known:
            known.add(shape)
            made.append(Mutant(operator, line_of(source, code), code))
    return made
