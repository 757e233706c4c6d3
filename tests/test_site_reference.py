"""What the site makes of docstrings and formulas: rows of tables, and words that a search can find."""

from __future__ import annotations

from textwrap import dedent

import griffe
import pytest

from website.docstrings import Tables
from website.search import spoken

SOURCE = '''
    """A package. cond is something far away."""

    from collections.abc import Callable
    from dataclasses import dataclass
    from typing import ClassVar

    Pair = Callable[[int], int]  # from a number to the next


    @dataclass
    class Settings:
        """How it is done."""

        kind: ClassVar[str] = "plain"
        steps: int = 50  # fewer are quicker
        share: float = 0.5


    class Average:
        """A mean. decay: what stays of it. ValueError where there is nothing to average."""

        def __init__(self, decay: float, name: str = "a"):
            self.decay = decay


    def drawn(xt: Tensor, w: float | Tensor, cond: Tensor, eta: float = 0.0, keep: bool = True) -> Tensor:
        """(B, C) float32, drawn from xt (B, C). ValueError or KeyError where that cannot be.

        `keep` says whether it stays. w is a number ... or a tensor (B,), one per sample. ValueError for eta > 1.
        """


    def many(*steps: int, **channels: int) -> None:
        """All of them; ValueError outside 0 ... T-1. The others stay."""


    def quiet(x: int) -> None:
        """Nothing (xt -> (A, B))."""


    def silent(x: int) -> int: ...
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> griffe.Module:
    folder = tmp_path_factory.mktemp("source")
    (folder / "pack").mkdir()
    (folder / "pack/__init__.py").write_text(dedent(SOURCE))
    return griffe.load("pack", extensions=griffe.load_extensions(Tables), search_paths=[folder])


def cells(row: griffe.DocstringElement) -> tuple:
    return getattr(row, "name", ""), str(row.annotation), getattr(row, "default", None), row.description


def tables(thing: griffe.Object) -> dict[str, list[tuple]]:
    """Section -> rows as they are shown."""
    rows = {}
    for section in thing.docstring.parsed:
        if section.kind.value == "text":
            rows["text"] = section.value
        else:
            rows[section.kind.value] = [tuple(x for x in cells(r) if x) for r in section.value]
    return rows


def test_a_function_has_tables_of_what_it_takes_gives_and_raises(package: griffe.Module):
    found = tables(package["drawn"])
    assert found["parameters"] == [
        ("xt", "Tensor", "noisy images (B, C) at t"),
        ("w", "float | Tensor", "a number ... or a tensor (B,), one per sample"),
        ("cond", "Tensor", "conditions (B, ...): labels, embeddings or tokens"),  # not what the package says
        ("eta", "float", "0.0", "share of fresh noise in a DDIM step, 0 to 1"),
        ("keep", "bool", "True", "says whether it stays"),
    ]
    assert found["returns"] == [("Tensor", "(B, C) float32")]
    assert found["raises"] == [
        ("ValueError", "where that cannot be"),
        ("KeyError", "where that cannot be"),
        ("ValueError", "for eta > 1"),
    ]
    assert "ValueError" not in found["text"] and "one per sample" in found["text"]


def test_classes_show_fields_or_what_makes_them(package: griffe.Module):
    assert tables(package["Settings"])["parameters"] == [
        ("steps", "int", "50", "fewer are quicker"),
        ("share", "float", "0.5"),
    ]
    average = tables(package["Average"])
    assert average["parameters"] == [("decay", "float", "what stays of it"), ("name", "str", "'a'")]
    assert average["raises"] == [("ValueError", "where there is nothing to average")]


def test_arguments_of_any_number_have_stars_and_no_default(package: griffe.Module):
    found = tables(package["many"])
    assert [row[:2] for row in found["parameters"]] == [("*steps", "int"), ("**channels", "int")]
    assert found["raises"] == [("ValueError", "outside 0 ... T-1")]
    assert " ".join(found["text"].split()) == "All of them. The others stay."


def test_a_named_type_has_its_comment_and_what_returns_nothing_no_row(package: griffe.Module):
    assert package["Pair"].docstring.value == "from a number to the next"
    assert set(tables(package["quiet"])) == {"text", "parameters"} and package["silent"].docstring is None


@pytest.mark.parametrize(
    ("tex", "words"),
    [
        (r"\epsilon_\theta(x_t, t)", "ε_θ(x_t, t)"),
        (r"\frac{x_t - \sqrt{1 - \bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}", "(x_t - √(1 - abar_t) ε)/(√(abar_t))"),
        (r"\begin{cases}\varnothing & \text{with } p_{\mathrm{uncond}}\\ y_i\end{cases}", "∅ with p_uncond y_i"),
        (r"\nabla\log p + w\,\underbrace{\nabla\log p}_{\text{more}}", "∇log p + w ∇log p_more"),
    ],
)
def test_formulas_are_searched_as_they_are_typed(tex: str, words: str):
    assert spoken(tex) == words
