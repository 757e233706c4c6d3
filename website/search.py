"""The search index without TeX, listings and marks of code: a formula becomes what one would type, "abar_t" for
\\bar\\alpha_t.

Every page fetches the index, and listings were the larger half of it; their names stand in headings and texts as well.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FORMULA = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S)
LISTING = re.compile(r"<pre>.*?</pre>", re.S)
CODE = re.compile(r"</?code>")  # one in eight bytes, and finds nothing
SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η", "theta": "θ",
    "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "psi": "ψ",
    "omega": "ω", "Delta": "Δ", "Sigma": "Σ", "Omega": "Ω", "nabla": "∇", "partial": "∂", "infty": "∞", "ell": "ℓ",
    "varnothing": "∅", "emptyset": "∅", "cdot": "·", "times": "×", "pm": "±", "le": "≤", "leq": "≤", "ge": "≥",
    "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "sim": "~", "propto": "∝", "in": "∈", "to": "→", "sum": "∑",
    "leftarrow": "←", "prod": "∏", "int": "∫", "odot": "⊙", "otimes": "⊗", "mid": "|", "vert": "|", "lVert": "|",
    "rVert": "|", "ldots": "…", "cdots": "…", "dots": "…", "log": "log ", "exp": "exp ", "min": "min ", "max": "max ",
    "sin": "sin ", "cos": "cos ", "sqrt": "√",
}  # fmt: skip
# Tried again and again, the innermost braces first.
PLAIN = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"(\1)/(\2)"),
    (re.compile(r"\\sqrt\s*\{([^{}]*)\}"), r"√(\1)"),
    (re.compile(r"\\bar\s*(?:\\alpha|\{\\alpha\})"), "abar"),
    (re.compile(r"\\(?:text\w*|math\w+|operatorname)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"([_^])\{([^{}]*)\}"), r"\1\2"),
)


def spoken(tex: str) -> str:
    """A formula as plain text: signs for their names, a/b for fractions, nothing that only lays it out."""
    tex, before = re.sub(r"\\(?:begin|end)\{\w+\*?\}|&(?:amp;)?|\\\\|\\[,;:!> ]", " ", tex), ""
    while tex != before:
        before = tex
        for pattern, plain in PLAIN:
            tex = pattern.sub(plain, tex)
    tex = re.sub(r"\\([A-Za-z]+)", lambda m: SIGNS.get(m[1], " "), tex)
    return re.sub(r"\s+", " ", re.sub(r"[{}]|\\.", "", tex)).strip()


def on_post_build(config: Any) -> None:
    """Called by mkdocs once everything is written."""
    file = Path(config.site_dir) / "search/search_index.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    for entry in index["docs"]:
        for field in ("title", "text"):
            if not entry["location"].startswith("docs/"):  # there listings are commands
                entry[field] = LISTING.sub("", entry[field])
            entry[field] = CODE.sub("", FORMULA.sub(lambda m: spoken(m[1] or m[2]), entry[field]))
    file.write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
