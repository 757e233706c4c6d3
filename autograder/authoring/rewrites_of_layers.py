"""Kinds of rewrites that build, initialise or call layers differently (rewrites.py)."""

import random
import re

import libcst as cst
from libcst.helpers import get_full_name_for_node

from autograder.authoring.rewrites_of_expressions import called, draws, form
from autograder.authoring.rewrites_of_statements import Blocks, Body, at_the_top, code, single

FUNCTIONAL = {  # the function behind each layer
    "Linear": "F.linear({{x}}, self.{n}.weight, self.{n}.bias)",
    "Conv2d": "F.conv2d({{x}}, self.{n}.weight, self.{n}.bias, self.{n}.stride, self.{n}.padding, "
    "self.{n}.dilation, self.{n}.groups)",
    "GroupNorm": "F.group_norm({{x}}, self.{n}.num_groups, self.{n}.weight, self.{n}.bias, self.{n}.eps)",
    "LayerNorm": "F.layer_norm({{x}}, self.{n}.normalized_shape, self.{n}.weight, self.{n}.bias, self.{n}.eps)",
}
WEIGHTS = ("xavier_uniform_({w})", "xavier_normal_({w})", "kaiming_uniform_({w}, a=5**0.5)", "orthogonal_({w})",
           "trunc_normal_({w}, std=0.02)", "kaiming_normal_({w}, nonlinearity='linear')")  # fmt: skip
ZEROS = ("nn.init.constant_({w}, 0.0)", "{w}.data.zero_()", "{w}.data.fill_(0)", "{w}.detach().zero_()")
WRAPPER = """
class Wrapped(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)
"""


def layers(module: cst.Module, *names: str) -> dict[str, cst.Call]:
    """Return the layers of nn that a cell assigns to an attribute of self, once and in a separate statement."""
    found: dict[str, cst.Call] = {}

    def look(body: Body) -> Body:
        for assign in (a for s in body if (a := single(s, cst.Assign)) is not None):
            target = code(assign.targets[0].target)
            if target.startswith("self.") and called(assign.value, "nn") in names:
                found[target[5:]] = assign.value
        return body

    module.visit(Blocks(look))
    return {n: call for n, call in found.items() if len(re.findall(rf"\.{n}\b\s*(=|,[^()\n]*=)[^=]", module.code)) == 1}


def only_called(module: cst.Module, name: str) -> bool:
    """Whether the attribute is only used as self.NAME(x)."""
    uses = re.findall(rf"(\w*)\.{name}\b(\()?", module.code)
    return all(of == "self" for of, _ in uses) and [call for _, call in uses].count("") == 1


class Calls(cst.CSTTransformer):
    """self.NAME(x)  ->  the template in `ways` for NAME, filled with {x}; `odd` counts calls of another form."""

    def __init__(self, ways: dict[str, str]) -> None:
        super().__init__()
        self.ways, self.odd = ways, 0

    def leave_Call(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        of, _, name = (get_full_name_for_node(updated.func) or "").partition(".")
        if of != "self" or name not in self.ways:
            return updated
        if len(updated.args) != 1 or updated.args[0].keyword or updated.args[0].star or draws(updated):
            self.odd += 1
            return updated
        return form(self.ways[name], x=updated.args[0].value)


def functional(module: cst.Module, rng: random.Random) -> cst.Module:
    """Call layers as functions of F with their weights, and a Sequential layer by layer."""
    ways = {}
    for name, call in layers(module, *FUNCTIONAL, "Sequential").items():
        kind = called(call, "nn")
        if kind == "Sequential" and not any(a.star for a in call.args) and only_called(module, name):
            ways[name] = "{x}"
            for i in range(len(call.args)):
                ways[name] = f"self.{name}[{i}]({ways[name]})"
        elif kind in FUNCTIONAL and "padding_mode" not in code(call):
            ways[name] = FUNCTIONAL[kind].format(n=name)
    return module.visit(Calls({n: w for n, w in ways.items() if rng.random() < 0.7}))


def reassigned(module: cst.Module, new: dict[str, list[str]]) -> cst.Module:
    """Replace each statement self.NAME = ... with the lines in `new`."""

    def change(body: Body) -> Body:
        out: Body = []
        for s in body:
            assign = single(s, cst.Assign)
            of, _, name = (code(assign.targets[0].target) if assign is not None else "").partition(".")
            lines = new.get(name) if of == "self" else None
            out += [s] if lines is None else cst.parse_module("".join(f"{line}\n" for line in lines)).body
        return out

    return module.visit(Blocks(change))


def split_projections(module: cst.Module, rng: random.Random) -> cst.Module:
    """nn.Linear(a, 2 * b)  ->  two nn.Linear(a, b), whose results are concatenated."""
    for name, call in layers(module, "Linear").items():
        found = re.fullmatch(r"nn\.Linear\((\w+), (?:(\d) \* (\w+)|(\w+) \* (\d))(, bias=False)?\)", code(call))
        if not found:
            continue
        inside, times, one, rest = found[1], found[2] or found[5], found[3] or found[4], found[6] or ""
        zeros = re.compile(rf"(?:torch\.)?nn\.init\.zeros_\(self\.{name}\.(weight|bias)\)")
        text = zeros.sub(rf"[nn.init.zeros_(part.\1) for part in self.{name}]", module.code)
        if not only_called(cst.parse_module(zeros.sub("None", module.code)), name):
            continue
        parts = f"nn.ModuleList([nn.Linear({inside}, {one}{rest}) for _ in range({times})])"
        calls = Calls({name: f"torch.cat([part({{x}}) for part in self.{name}], dim=-1)"})
        new = cst.parse_module(text).visit(calls)
        if not calls.odd:
            return reassigned(new, {name: [f"self.{name} = {parts}"]})
    return module


def merged_projections(module: cst.Module, rng: random.Random) -> cst.Module:
    """Two equal nn.Linear(a, b)  ->  one nn.Linear(a, 2 * b), split into halves."""
    found = {n: code(c) for n, c in layers(module, "Linear").items() if only_called(module, n)}
    pairs = [(m, n) for m in found for n in found if m < n and found[m] == found[n]]
    if not pairs or len(re.findall(r"^ *class ", module.code, re.M)) > 1:  # they might belong to two classes
        return module
    (m, n) = rng.choice(pairs)
    wide = re.sub(r"^nn\.Linear\((\w+), (\w+)", r"nn.Linear(\1, 2 * \2", found[m])
    if wide == found[m]:
        return module
    calls = Calls({name: f"self.{m}_{n}({{x}}).chunk(2, dim=-1)[{i}]" for i, name in enumerate((m, n))})
    new = module.visit(calls)
    return module if calls.odd else reassigned(new, {m: [f"self.{m}_{n} = {wide}"], n: []})


def other_initialisation(module: cst.Module, rng: random.Random) -> cst.Module:
    """Initialise layers that the answer leaves alone, sometimes with zero biases, and write zeroing differently."""
    new = {}
    for name, call in layers(module, "Linear", "Conv2d").items():
        if not re.search(rf"\.{name}\.(weight|bias)", module.code) and rng.random() < 0.7:
            weights = rng.choice(WEIGHTS).format(w=f"self.{name}.weight")
            new[name] = [f"self.{name} = {code(call)}", f"nn.init.{weights}"]
            if rng.random() < 0.5 and "bias" not in code(call):
                new[name].append(f"nn.init.zeros_(self.{name}.bias)")
    zero = re.compile(r"(?:torch\.)?nn\.init\.zeros_\((self(?:\.\w+)+)\)")
    text = zero.sub(lambda m: rng.choice(ZEROS).format(w=m[1]), module.code)
    return reassigned(cst.parse_module(text), new)


def wrapped_layers(module: cst.Module, rng: random.Random) -> cst.Module:
    """Wrap layers in a helper class that only calls them."""
    found = {n: c for n, c in layers(module, *FUNCTIONAL, "Sequential").items() if only_called(module, n)}
    new = {n: [f"self.{n} = Wrapped({code(c)})"] for n, c in found.items() if rng.random() < 0.7}
    return at_the_top(reassigned(module, new), [*cst.parse_module(WRAPPER).body]) if new else module


RULES = (functional, split_projections, merged_projections, other_initialisation, wrapped_layers)
KINDS = {rule.__name__.replace("_", " "): rule for rule in RULES}
