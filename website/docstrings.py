"""The library's docstrings, which are plain prose, with tables of parameters, returns and raises for the reference.

An extension of griffe, which reads the sources for mkdocstrings. Types come from annotations; meanings from the
docstring of the function, its class or its module, then from `meanings`; those of fields from the comments behind.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

from website.fingerprint import ROOT
from website.formulas import FORMULAS
from website.meanings import everywhere, here
from website.public import shown

RAISES = re.compile(
    r"\b((?:[A-Z]\w*Error|Incomparable)\b(?:(?:, | or )[A-Z]\w*Error\b)*),? ?((?:[^.]|\.\w|\.\.\.)*)\.?"
)
SHAPE = r"\((?:\w+|\.\.\.)(?:, ?(?:[\w/·]+|\.\.\.)?)*\)"


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> list[str]:
    """Sentences, and what semicolons part; lists and code are no prose."""
    prose = re.sub(r"(?m)^(?: {4}|[-*] ).*$", "", text)
    return [words(s) for s in re.split(r"(?<=[^.][.;])\s+|\n\n", prose) if s.strip()]


def about(name: str, text: str) -> str:
    """What a docstring says of a parameter in a sentence that begins with it, such as "w is a number, or ..."."""
    start = re.compile(
        rf"`?{name}`?(?P<shape> {SHAPE})?(?P<verb>:| is| are| may| says| in| has| names| makes)(?= )(.*)", re.S
    )
    for sentence in sentences(text):
        if found := start.fullmatch(sentence.rstrip(".;")):
            verb, rest = found["verb"].strip(" :"), found[3].strip()
            said = rest if verb in ("", "is", "are") else f"{verb} {rest}"
            return words(f"{found['shape'] or ''} {said}")
    return ""


def meaning(name: str, annotation: str, texts: list[str], path: str) -> str:
    """Of a parameter of what is at `path`; texts are docstrings, the nearest first. "" where nothing says it."""
    place = here(name, path)
    if said := next((s for text in texts[: 1 if place else None] if (s := about(name, text))), ""):
        return said
    if place:
        return place[1]
    known = (everywhere(name, annotation) or ("", ""))[1]
    shape = re.search(rf"(?<![\w.`]){name}`? ({SHAPE})", texts[0]) if texts else None
    if shape is None:
        return known
    return f"{re.sub(SHAPE, shape[1], known, count=1)}" if re.search(SHAPE, known) else words(f"{known} {shape[1]}")


def raised(text: str) -> tuple[str, list[griffe.DocstringRaise]]:
    """The docstring without its sentences on errors, and these as rows."""
    rows = []

    def taken(match: re.Match) -> str:
        before = text[: match.start()].rstrip()
        rows.extend(
            griffe.DocstringRaise(annotation=name, description=words(match[2]))
            for name in re.split(r", | or ", match[1])
        )
        return "\0" if not before or before.endswith((".", ";")) else match[0]

    rest = re.sub(r";(\s*)\0", r".\1", RAISES.sub(taken, text)).replace("\0", "").strip()
    return re.sub(r"[ \t]+\n", "\n", rest), rows


def returned(function: griffe.Function, text: str) -> griffe.DocstringReturn | None:
    """The row of what a function returns, with the shape or the words that the docstring has for it."""
    annotation = function.returns
    if annotation is None or str(annotation) in ("None", "NoReturn"):
        return None
    what, arrays = "", re.search("Tensor|ndarray", str(annotation))
    if said := re.search(r"[;,.] (?:returns|yields) ([^.;]{4,})", text):
        what = said[1]
    elif arrays and (found := re.match(rf"({SHAPE}(?: \w+(?=[,.]))?)", text.rpartition("-> ")[2])):
        what = found[1]
    return griffe.DocstringReturn("", annotation=annotation, description=words(what))


def comment(attribute: griffe.Attribute) -> str:
    """The comment behind a field."""
    lines = attribute.lines
    return words(lines[-1].partition("  # ")[2]) if lines else ""


def given(parameter: griffe.Parameter) -> tuple[str, Any, Any, str]:
    """Name, type, default, meaning; *args and **options have stars and no default."""
    stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(parameter.kind, "")
    return stars + parameter.name, parameter.annotation, None if stars else parameter.default, ""


def sections(thing: griffe.Function | griffe.Class, texts: list[str]) -> list[griffe.DocstringSection]:
    """A docstring's prose, formula and tables."""
    prose, errors = raised(texts[0])
    if thing.path in FORMULAS:
        prose += f"\n\n$$\n\\begin{{gathered}} {FORMULAS[thing.path]} \\end{{gathered}}\n$$\n"
    parts: list[griffe.DocstringSection] = [griffe.DocstringSectionText(prose)]
    function = thing if isinstance(thing, griffe.Function) else thing.members.get("__init__")
    fields = [m for m in thing.members.values() if m.is_attribute and "property" not in m.labels and m.annotation]
    if isinstance(thing, griffe.Class) and fields and "dataclass" in str([d.value for d in thing.decorators]):
        rows = [
            (f.name, f.annotation, f.value, comment(f))
            for f in fields
            if not f.name.startswith("_") and "instance-attribute" in f.labels
        ]
    elif isinstance(function, griffe.Function):
        rows = [given(p) for p in function.parameters if p.name not in ("self", "cls")]
    else:
        rows = []
    if rows:
        parts.append(
            griffe.DocstringSectionParameters(
                [
                    griffe.DocstringParameter(
                        n,
                        annotation=a,
                        value=None if d is None else str(d),
                        description=said or meaning(n.lstrip("*"), str(a), texts, thing.path),
                    )
                    for n, a, d, said in rows
                ]
            )
        )
    if isinstance(thing, griffe.Function) and (row := returned(thing, words(texts[0]))):
        parts.append(griffe.DocstringSectionReturns([row]))
    if errors:
        parts.append(griffe.DocstringSectionRaises(errors))
    return parts


class Tables(griffe.Extension):
    """Gives every documented function and class its tables."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        if pkg.name == "ddpm_tools":  # the book is shown in full
            self.hide(pkg, shown(pkg, ROOT))
        self.walk(pkg, [])

    def hide(self, module: griffe.Module, public: set[str]) -> None:
        for name, member in list(module.members.items()):
            if isinstance(member, griffe.Module):
                self.hide(member, public)
            elif not member.is_alias and member.path not in public:
                del module[name]

    def walk(self, thing: griffe.Object, outer: list[str]) -> None:
        texts = [thing.docstring.value, *outer] if thing.docstring else outer
        inner = texts if thing.parent else []  # what a whole package says is too far away
        if thing.docstring and isinstance(thing, griffe.Function | griffe.Class):
            thing.docstring.parsed = sections(thing, texts)
        for member in thing.members.values():
            if member.is_alias:
                continue
            if thing.is_module and member.is_attribute and not member.docstring and comment(member):
                member.docstring = griffe.Docstring(comment(member), parent=member)  # a type that has a name
            if member.is_module or member.is_class or member.is_function:
                self.walk(member, inner)
