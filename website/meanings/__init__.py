"""What parameters mean, so that docstrings need not repeat it: everywhere (`everywhere.py`), or below one module, class
or function. The nearest place comes first, `everywhere.py` last.
"""

from __future__ import annotations

from website.meanings.core import CORE
from website.meanings.data import DATA
from website.meanings.evaluation import EVALUATION
from website.meanings.everywhere import EVERYWHERE
from website.meanings.reports import REPORTS
from website.meanings.training import TRAINING

TOOLS = TRAINING | DATA | REPORTS | {f"evaluation.{place}": known for place, known in EVALUATION.items()}
PLACES = CORE | {f"ddpm_tools.{place}": known for place, known in TOOLS.items()}


def here(name: str, path: str) -> tuple[str, str] | None:
    """(place, meaning) of the nearest place around `path` that knows the name."""
    parts = path.split(".")
    places = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next(((p, PLACES[p][name]) for p in places if name in PLACES.get(p, {})), None)


def everywhere(name: str, annotation: str) -> tuple[str, str] | None:
    """(how the type begins, meaning) of a name of such a type, before that of the name whatever its type."""
    kinds = [kind for (n, kind) in EVERYWHERE if n == name and annotation.startswith(kind)]
    return max(((kind, EVERYWHERE[name, kind]) for kind in kinds), default=None)
