"""Files and answer cells as students hand them in: how each is made, and its right value."""

from __future__ import annotations

import copy
import json
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TASK, NOTEBOOK, ANSWER = "5_2_guidance", "label_dropout", "drop_labels"
SOLVED = json.loads((ROOT / f"solutions/{TASK}/{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
RELEASED = json.loads((ROOT / f"exercises/{TASK}/{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))
ASKED = f"{NOTEBOOK}.ipynb"


def cell(nb: dict, name: str = ANSWER) -> dict:
    return next(c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name)


STUB = "".join(cell(RELEASED)["source"])
RIGHT = """def drop_labels(labels, p_uncond, null_class, generator=None):
    coins = torch.rand(labels.shape, generator=generator, device=labels.device)

    return torch.where(coins < p_uncond, null_class, labels)
"""
HEAD, TAIL = RIGHT.split("\n\n")
NONE_DROPPED = "def drop_labels(labels, p_uncond, null_class, generator=None):\n    return labels.clone()\n"
CALLS = """def drop_labels(labels, p_uncond, null_class, generator=None):
    return torch.where(tossed(labels, generator) < p_uncond, null_class, labels)
"""
HELPER = """def tossed(labels, generator):
    return torch.rand(labels.shape, generator=generator, device=labels.device)
"""
TRIED = "seen_elsewhere(drop_labels(some_labels, 0.5, 10))"  # works in the notebook, where other cells ran before

# Pieces of the answer cell, top to bottom, each with the metadata of the whole; whether they answer; what is remarked.
PIECES = {
    "one": ([RIGHT], True, ""),
    "split within the function": ([HEAD, TAIL], True, "its pieces were graded together, in order"),
    "split within a line": ([*RIGHT.rsplit("null_class", 1)], False, ""),  # replaced below: the cut joins anew
    "split after the signature": ([*RIGHT.split("\n", 1)], True, "together, in order"),
    "split in three": ([RIGHT.split("\n", 1)[0], RIGHT.splitlines()[1], TAIL], True, "together, in order"),
    "split below a decorator": (["@torch.no_grad()", RIGHT], True, "together, in order"),
    "a helper above": ([HELPER, CALLS], True, "together, in order"),
    "a helper below": ([CALLS, HELPER], True, "together, in order"),
    "an import apart": (["import numpy as np", RIGHT.replace("torch.where", "np and torch.where")], True, "together"),
    "copied": ([RIGHT, RIGHT], True, "the last one was graded"),
    "pasted twice": ([RIGHT, RIGHT, RIGHT], True, "the last one was graded"),
    "the stub below": ([RIGHT, STUB], True, "the answered one was graded"),
    "the stub above": ([STUB, RIGHT], True, "the answered one was graded"),
    "the stub between pieces": ([HEAD, STUB, TAIL], True, "together, in order"),
    "an empty piece below": ([RIGHT, "\n"], True, ""),
    "a trial below": ([RIGHT, TRIED], True, "without what it does not need"),
    "a broken draft above": (["def drop_labels(labels", RIGHT], True, "without a piece that is not Python by itself"),
    "a wrong draft above": ([NONE_DROPPED, RIGHT], True, "they define it differently, and the last one that does"),
    "a wrong one below": ([RIGHT, NONE_DROPPED], False, "they define it differently, and the last one that does"),
    "wrapped below": ([RIGHT, "drop_labels = torch.no_grad()(drop_labels)"], True, "together, in order"),
    "a magic in a piece": (["%matplotlib inline\n" + HELPER, CALLS], True, "together, in order"),
    "the future below": ([HELPER, "from __future__ import annotations\n" + CALLS], True, "together, in order"),
    "only a helper": ([HELPER, STUB], False, ""),
    "the end above its beginning": ([TAIL, HEAD], False, "without a piece that is not Python by itself"),
}
cut = RIGHT.index("null_class, labels)")
PIECES["split within a line"] = ([RIGHT[:cut], RIGHT[cut:]], True, "its pieces were graded together, in order")


def notebook(pieces: list[str], start: dict = SOLVED, ids: str = ANSWER) -> dict:
    """A notebook whose answer cell is in pieces; another cell lies between any two."""
    nb = copy.deepcopy(start)
    whole, made = cell(nb), []
    for i, source in enumerate(pieces):
        made.append(copy.deepcopy(whole) | {"source": source})
        made[-1]["metadata"]["nbgrader"]["grade_id"] = ids if i else ANSWER
        made.append({"cell_type": "markdown", "metadata": {}, "source": "between", "id": f"between-{i}"})
    at = nb["cells"].index(whole)
    nb["cells"][at : at + 1] = made
    return nb


def _write(path: Path, nb: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb), encoding="utf-8")


def _zip(path: Path, files: dict[str, dict]) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, nb in files.items():
            file.writestr(name, json.dumps(nb))


@dataclass(frozen=True)
class Case:
    """What one student handed in: files by name, and what is right: the points, and words of the sentence."""

    files: dict[str, object]  # a notebook, or None for a file of some other kind
    points: float
    says: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.write_bytes(b"Rar!")
            elif name.endswith(".zip"):
                _zip(path, content)
            elif name.endswith(".tar.gz"):
                with tarfile.open(path, "w:gz"):
                    pass
            else:
                _write(path, content)


def taken(name: str) -> tuple[str, str]:
    return (f"{name} was used as {ASKED}", "hand it in under this name")


WRONG = notebook([NONE_DROPPED])
# Graded by the real command, each in a process of its own: so one case holds a kind of file and a kind of cell.
GRADED = {
    "browser": Case({f"{NOTEBOOK} (1).ipynb": notebook([HEAD, TAIL])}, 10, taken(f"{NOTEBOOK} (1).ipynb")),
    "zipped": Case(
        {
            "my homework.zip": {
                f"hw/{ASKED}": notebook([CALLS, HELPER]),
                f"__MACOSX/hw/._{ASKED}": WRONG,
                f"hw/.ipynb_checkpoints/{NOTEBOOK}-checkpoint.ipynb": WRONG,
            }
        },
        10,
        taken(f"my homework.zip/hw/{ASKED}"),
    ),
    "both": Case(  # the released one was downloaded twice, and the second one answered
        {ASKED: RELEASED, f"{NOTEBOOK} (1).ipynb": notebook([RIGHT, STUB], ids=f"{ANSWER}-copy")},
        10,
        (f"since {ASKED} is not answered", "occurs more than once; the answered one was graded"),
    ),
    "as asked": Case({ASKED: notebook([RIGHT, TRIED]), f"{NOTEBOOK}-Copy1.ipynb": WRONG}, 10),
}
# Where only the file that is looked at is at stake.
FOUND = {
    "jupyter": ({f"{NOTEBOOK}-Copy1.ipynb": SOLVED}, f"{NOTEBOOK}-Copy1.ipynb"),
    "text": ({f"{NOTEBOOK}.ipynb.txt": SOLVED}, f"{NOTEBOOK}.ipynb.txt"),
    "json": ({f"{NOTEBOOK}.ipynb.json": SOLVED}, f"{NOTEBOOK}.ipynb.json"),
    "only json": ({f"{NOTEBOOK}.json": SOLVED}, f"{NOTEBOOK}.json"),
    "only text": ({f"{NOTEBOOK}.txt": SOLVED, "notes.txt": {}}, f"{NOTEBOOK}.txt"),
    "no ending": ({NOTEBOOK: SOLVED}, NOTEBOOK),
    "hyphen": ({"label-dropout.ipynb": SOLVED}, "label-dropout.ipynb"),
    "named zip": ({f"{ASKED}.zip": {ASKED: SOLVED}}, f"{ASKED}.zip/{ASKED}"),
    "zip beside": ({"hw.zip": {ASKED: WRONG}, ASKED: SOLVED}, ASKED),
    "shouted": ({"LABEL_DROPOUT.IPYNB": SOLVED}, "LABEL_DROPOUT.IPYNB"),
    "spaces": ({"label_dropout ada .ipynb": SOLVED}, "label_dropout ada .ipynb"),
    "nested": ({f"5_2_guidance/hw/{ASKED}": SOLVED}, f"5_2_guidance/hw/{ASKED}"),
    "own name": ({"Homework 2.ipynb": SOLVED, "guided_sampling.ipynb": RELEASED}, "Homework 2.ipynb"),
    "twice the same": ({f"{NOTEBOOK} (1).ipynb": SOLVED, f"a/{NOTEBOOK}.ipynb.txt": SOLVED}, f"{NOTEBOOK} (1).ipynb"),
    "one answered": ({f"{NOTEBOOK} (1).ipynb": RELEASED, f"{NOTEBOOK} (2).ipynb": SOLVED}, f"{NOTEBOOK} (2).ipynb"),
    "zip of zips": ({"hw.zip": {f"a/b/{ASKED}": SOLVED, "readme.txt": {}}}, f"hw.zip/a/b/{ASKED}"),
    "checkpoints": ({f".ipynb_checkpoints/{NOTEBOOK}-checkpoint.ipynb": SOLVED, ASKED: RELEASED}, ASKED),
}
NAMED = {
    "rar": Case({"homework.rar": None}, 0, ("but homework.rar (an archive that is not opened)",)),
    "7z": Case({f"{NOTEBOOK}.7z": None}, 0, (f"but {NOTEBOOK}.7z (an archive that is not opened)",)),
    "tar": Case({"hw.tar.gz": {}}, 0, ("but hw.tar.gz (an archive that is not opened)",)),
    "html": Case(
        {f"{NOTEBOOK}.html": None, f"{NOTEBOOK}.ipynb.html": None}, 0, ("(an export, not the notebook)", f"as {ASKED}")
    ),
    "script": Case({f"{NOTEBOOK}.py": None}, 0, ("(an export, not the notebook)",)),
    "colab": Case({"Colab.url": None}, 0, ("but Colab.url (a link, not the notebook)",)),
    "empty zip": Case({"hw.zip": {"notes.txt": {}}}, 0, ("but hw.zip (a zip in which it is not)",)),
    "two answers": Case(
        {f"{NOTEBOOK} (1).ipynb": SOLVED, f"{NOTEBOOK} (2).ipynb": WRONG},
        0,
        (f"{NOTEBOOK} (1).ipynb, {NOTEBOOK} (2).ipynb differ", "hand in one"),
    ),
    "nothing": Case({}, 0, (f"there is no file {ASKED}; hand in the notebook under this name",)),
    "stub": Case({ASKED: RELEASED}, 0, ("not answered",)),
}
