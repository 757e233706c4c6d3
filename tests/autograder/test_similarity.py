"""Copies are found however they were renamed and moved about; answers of one's own, and the stub, are not."""

import csv
import json
import re
import time
from pathlib import Path

import pytest

from autograder.adapters import similarity
from autograder.adapters.similarity.compare import Match, Source, fingerprints, matches
from autograder.adapters.similarity.groups import groups
from autograder.adapters.similarity.tokens import tokens
from autograder.authoring import mutants
from autograder.authoring.mutants import banks
from autograder.cli.main import main
from autograder.exercises import EXERCISES, HERE
from autograder.intake.extract import grade_id

ROOT = Path(__file__).resolve().parents[2]
ASSIGNMENT = "5_3_conditioning"

ORIGINAL = {
    "AdaGroupNorm": '''class AdaGroupNorm(nn.Module):
    def __init__(self, num_channels, cond_dim, num_groups=8):
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, num_channels, affine=False)
        self.proj = nn.Sequential(nn.SiLU(), nn.Linear(cond_dim, 2 * num_channels))
        nn.init.zeros_(self.proj[1].weight)
        nn.init.zeros_(self.proj[1].bias)

    def forward(self, x, cond):
        scale, shift = self.proj(cond)[:, :, None, None].chunk(2, dim=1)
        return self.norm(x) * (1 + scale) + shift
''',
    "AdaResBlock": '''class AdaResBlock(nn.Module):
    def __init__(self, in_ch, out_ch, cond_dim):
        super().__init__()
        self.norm1 = AdaGroupNorm(in_ch, cond_dim)
        self.norm2 = AdaGroupNorm(out_ch, cond_dim)
        self.conv1 = nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.conv2 = nn.Conv2d(out_ch, out_ch, 3, padding=1)
        self.skip = nn.Identity() if in_ch == out_ch else nn.Conv2d(in_ch, out_ch, 1)

    def forward(self, x, cond):
        h = self.conv1(F.silu(self.norm1(x, cond)))
        h = self.conv2(F.silu(self.norm2(h, cond)))
        return self.skip(x) + h
''',
}  # fmt: skip
# The same thoughts in other words: every own name, the methods' and statements' order, comments, layout, the cells.
COPY = {
    "AdaGroupNorm": '''class AdaGroupNorm(nn.Module):
    """My very own layer."""

    def forward(self, features, embedding):  # apply
        gamma, beta = self.mlp(embedding)[:, :, None, None].chunk(
            2, dim=1)

        return self.gn(features) * (1 + gamma) + beta

    def __init__(self, num_channels, cond_dim, num_groups=8):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(cond_dim, 2 * num_channels))
        nn.init.zeros_(self.mlp[1].weight)
        nn.init.zeros_(self.mlp[1].bias)
        self.gn = nn.GroupNorm(num_groups, num_channels, affine=False)
''',
    "AdaResBlock": '''class AdaResBlock(nn.Module):
    def forward(self, image, c):
        out = self.first(F.silu(self.a(image, c)))
        out = self.second(F.silu(self.b(out, c)))
        # shortcut
        return self.shortcut(image) + out

    def __init__(self, in_ch, out_ch, cond_dim):
        super().__init__()
        self.first = nn.Conv2d(in_ch, out_ch, 3, padding=1)
        self.second = nn.Conv2d(out_ch, out_ch, 3, padding=1)
        self.shortcut = nn.Identity() if in_ch == out_ch else nn.Conv2d(in_ch, out_ch, 1)
        self.a = AdaGroupNorm(in_ch, cond_dim)
        self.b = AdaGroupNorm(out_ch, cond_dim)
''',
}  # fmt: skip


def hand_in(submitted, student, answers, exercise="adagn", assignment=ASSIGNMENT, backwards=False):
    nb = json.loads((ROOT / "exercises" / assignment / f"{exercise}.ipynb").read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        if grade_id(cell) in answers:
            cell["source"] = answers[grade_id(cell)]
    if backwards:
        nb["cells"].reverse()
    path = submitted / student / assignment / f"{exercise}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb), encoding="utf-8")


def own_answers(bank):
    """Right answers of a bank that are no edits of the first one: written on their own."""
    part = next(p for p in (HERE / bank.exercise.name / "mutants.txt").read_text(encoding="utf-8").split("\n=== ")[1:]
                if p.split("\n", 1)[0].strip() == bank.answer)  # fmt: skip
    whole = re.findall(r"^--- right: (.*)\n(?!- )", part, re.M)
    return [bank.right[name] for name in whole]


def independent(exercise):
    """Notebooks of which no two share an answer: the i-th right answer of every cell."""
    columns = [own_answers(b) for b in banks(exercise)]
    return list(zip(*columns))


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("similarity")
    submitted = folder / "submitted"
    for i, cells in enumerate(independent("adagn")):
        hand_in(submitted, f"own-{i}", dict(zip(("AdaGroupNorm", "AdaResBlock"), cells)))
    hand_in(submitted, "ada", ORIGINAL)
    hand_in(submitted, "<b>mallory", COPY, backwards=True)
    hand_in(submitted, "stub-1", {})
    hand_in(submitted, "stub-2", {})
    solution = similarity.answers(ROOT / f"solutions/{ASSIGNMENT}/adagn.ipynb", EXERCISES[ASSIGNMENT, "adagn"])
    first, second = solution.split("class AdaResBlock")
    hand_in(
        submitted, "sol", {"AdaGroupNorm": first.replace("self.", "me."), "AdaResBlock": f"class AdaResBlock{second}"}
    )
    main(
        ["similarity", str(submitted), "--assignment", ASSIGNMENT, "--out", str(folder / "out"), "--course", str(ROOT)]
    )
    lines = list(csv.DictReader((folder / "out/similarity.csv").open(encoding="utf-8")))
    return lines, (folder / "out/similarity.html").read_text(encoding="utf-8")


def test_a_renamed_and_reordered_copy_is_found_and_nobody_else(reported):
    lines, _ = reported
    students = [(x["a"], x["b"]) for x in lines if not x["b"].startswith("course: ")]
    assert students == [("<b>mallory", "ada")]
    assert float(lines[0]["similarity"]) > 0.8


def test_our_own_solution_is_recognised(reported):
    lines, _ = reported
    assert "course: the solution" in {x["b"] for x in lines if x["a"] == "sol"}
    assert not [x for x in lines if x["a"].startswith("stub") or x["b"].startswith("stub")]


def test_the_page_shows_both_texts_and_escapes_them(reported):
    _, html = reported
    assert "<b>mallory" not in html and "&lt;b&gt;mallory" in html
    assert "<mark>" in html and "My very own layer." in html
    marked = "".join(re.findall(r"<mark>(.*?)</mark>", html, re.S))
    assert "self.shortcut(image) + out" in marked and "self.skip(x) + h" in marked
    assert "YOUR CODE HERE" not in marked


@pytest.mark.parametrize("exercise", mutants.NAMES)
def test_independent_right_answers_do_not_match(exercise):
    released = next(ROOT.glob(f"exercises/*/{exercise}.ipynb"))
    sources = [Source(f"s{i}", "\n\n".join(cells)) for i, cells in enumerate(independent(exercise))]
    fingerprints(sources, similarity.notebook_code(released))
    assert len(sources) > 1 or exercise in ("architecture", "flow_matching")  # of eps - x0 there is no second text
    assert [(m.a.name, m.b.name, m.similarity) for m in matches(sources, 0.8)] == []


def test_an_edit_of_an_answer_matches_it():
    """The sensitivity beside the specificity above: what is an edit of the first answer is found."""
    bank = next(b for b in banks("guided_sampling") if b.answer == "sample_conditional")
    whole = own_answers(bank)
    edits = [s for s in bank.right.values() if s not in whole]
    sources = [Source("base", whole[0]), *(Source(f"edit {i}", s) for i, s in enumerate(edits))]
    fingerprints(sources, [])
    assert {m.b.name for m in matches(sources, 0.8) if m.a.name == "base"} == {s.name for s in sources[1:]}


def test_what_most_of_a_class_has_counts_for_nothing():
    given = "def helper(x, t):\n    return x.view(-1, 1).mul(t).clamp(-1, 1).sum(dim=1).sqrt().add(1e-5).reciprocal()\n"
    tails = [
        f"def g{i}(a):\n    return a{'.exp().log()' * (i + 1)}{'.sin().cos()' * (14 - i)}.floor()\n" for i in range(12)
    ]
    for count, expected in ((3, 1), (12, 0)):
        sources = [Source(f"s{i}", given + (tails[i] if i else "")) for i in range(count)]
        fingerprints(sources, [])
        shared = [m for m in matches(sources, 0.01) if "helper" in m.a.text[m.spans_a[0][0] : m.spans_a[0][1]]]
        assert bool(shared) == bool(expected)


def test_floods_of_tokens_cost_their_own_comparison_alone(tmp_path, capsys):
    """More different tokens than there are characters to stand for them; and answers that only cost time."""
    submitted = tmp_path / "submitted"
    hand_in(submitted, "ada", ORIGINAL)
    hand_in(submitted, "bo", COPY, backwards=True)
    floods = {
        "mallory": [f"a = [{','.join(map(str, range(i * 20_000, (i + 1) * 20_000)))}]\n" for i in (0, 1)],
        "trudy": [f"a = [{','.join(map(str, range(i * 20_000, (i + 1) * 20_000)))}]\n" for i in (2, 3)],
        "eve": ["x;" * 90_000, "(" * 190_000],
    }
    for name, (one, two) in floods.items():
        hand_in(submitted, name, {"AdaGroupNorm": one, "AdaResBlock": two})
    start = time.monotonic()
    words = ["--assignment", ASSIGNMENT, "--out", str(tmp_path / "out"), "--course", str(ROOT)]
    main(["similarity", str(submitted), *words])
    assert time.monotonic() - start < 60
    lines = list(csv.DictReader((tmp_path / "out/similarity.csv").open(encoding="utf-8")))
    assert {(x["a"], x["b"]) for x in lines if not x["b"].startswith("course: ")} == {("ada", "bo")}
    named = "eve (adagn), mallory (adagn), trudy (adagn)"
    assert f"not compared, since the answers have more than 50,000 characters: {named}" in capsys.readouterr().out
    assert named in (tmp_path / "out/similarity.html").read_text(encoding="utf-8")
    many = [Source(str(i), f"a = [{','.join(map(str, range(i * 70_000, (i + 1) * 70_000)))}]") for i in (0, 1)]
    fingerprints(many, [])  # by itself
    assert matches(many, 0.8) == []


def test_tokens_survive_renaming_and_broken_code():
    def words(text):
        return [t for t, _, _ in tokens(text)]

    assert words("def f(x):\n    return torch.sin(x)  # y\n") == words("def g(yy):\n\n    return torch.sin( yy )\n")
    assert words("torch.sin(x)") != words("torch.cos(x)")
    broken = words("def f(:\n  '''never closed\n return x.exp()")
    assert "exp" in broken
    text = "a = torch.sin(b)\nc = 'é'\n"
    assert [text[i:j] for t, i, j in tokens(text) if t in ("sin", "text")] == ["sin", "'é'"]
    tokens("(" * 20_000)  # must neither hang nor end the interpreter


def test_pairs_become_groups():
    """Three who share one text, two who share another, and who is in no pair; by exercise."""

    def found(exercise, a, b, share=0.9, ours=False):
        return "5_2", exercise, Match(Source(a, ""), Source(b, "", ours=ours), share, share, (), ())

    pairs = [("ema", "a", "b"), ("ema", "d", "c", 0.81), ("ema", "b", "c"), ("ema", "x", "y"), ("adagn", "a", "x")]
    sources = [found("ema", who, "course: ema.py", ours=True) for who in ("a", "b", "x", "alone")]
    made = groups([found(*p) for p in pairs] + sources)
    assert [(g.name, g.students, g.pairs, g.lowest, g.highest, g.course) for g in made] == [
        ("ema 1", ("a", "b", "c", "d"), 3, 0.81, 0.9, {"course: ema.py": 2}),
        ("adagn 1", ("a", "x"), 1, 0.9, 0.9, {}),
        ("ema 2", ("x", "y"), 1, 0.9, 0.9, {"course: ema.py": 1}),
    ]


def test_one_answer_from_the_library_is_told_with_its_place(tmp_path):
    library = (ROOT / "ddpm_core/layers.py").read_text(encoding="utf-8")
    stolen = re.search(r"^class AdaResBlock.*?(?=^class )", library, re.M | re.S)[0]
    own = independent("adagn")[2][0]
    submitted = tmp_path / "s"
    hand_in(submitted, "ada", {"AdaGroupNorm": own, "AdaResBlock": stolen.replace("cond", "c").replace("self.", "me.")})
    hand_in(submitted, "ben", ORIGINAL)
    hand_in(submitted, "cy", COPY)
    hand_in(submitted, "di", COPY, backwards=True)
    told = similarity.report(submitted, tmp_path / "out", ASSIGNMENT, ROOT)
    lines = list(csv.DictReader((tmp_path / "out/similarity.csv").open(encoding="utf-8")))
    row = next(x for x in lines if x["a"] == "ada" and x["b"] == "course: ddpm_core/layers.py")
    first = library[: library.index(stolen)].count("\n") + 1
    last = first + stolen.rstrip().count("\n")
    begin, end = (int(n) for n in re.search(r"\(lines (\d+)–(\d+)\)", row["where"]).groups())
    assert row["answer"] == "AdaResBlock" and row["where"].startswith("AdaResBlock")
    assert first <= begin <= first + 5 and last - 5 <= end <= last + 5
    assert {(x["a"], x["b"], x["group"]) for x in lines if not x["b"].startswith("course")} == {
        ("ben", "cy", "adagn 1"), ("ben", "di", "adagn 1"), ("cy", "di", "adagn 1"),
    }  # fmt: skip
    assert re.search(r"adagn 1 +3 +3 .*ben, cy, di", told) and re.search(
        r"ada +AdaResBlock .*ddpm_core/layers.py", told
    )
    page = (tmp_path / "out/similarity.html").read_text(encoding="utf-8")
    assert page.index("ben, cy, di") < page.index("Among students")
