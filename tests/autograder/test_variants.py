"""Variants: other numbers for each student, in which the solution is as right; and who handed in somebody else's."""

import contextlib
import io
import itertools
import json
import math
import re
import shutil
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.cli.main import main
from autograder.intake import variants as record
from autograder.intake.submissions import find
from autograder.release import numbers, variants
from autograder.release.generate import load_config

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [p.relative_to(ROOT / "solutions").with_suffix("").as_posix() for p in ROOT.glob("solutions/*/*.ipynb")]
DROPOUT = "5_2_guidance/label_dropout"


def solution(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / f"solutions/{name}.ipynb", as_version=4)


def code(nb: nbformat.NotebookNode, upto: int) -> str:
    """Set-up, answers and one self-check: what runs before the checks of record."""
    kinds = [c.metadata.get("nbgrader", {}) for c in nb.cells]
    needed = [i for i, k in enumerate(kinds[:upto]) if k.get("grade_id") == "setup" or k.get("solution")]
    return "\n".join(nb.cells[i].source for i in [*needed, upto] if nb.cells[i].cell_type == "code")


def draws() -> list:
    """Each marked self-check with each of its draws."""
    found = []
    for name in sorted(NOTEBOOKS):
        nb, at = solution(name), 0
        counts = numbers.alternatives(nb)
        for i, cell in enumerate(nb.cells):
            own = len(numbers.alternatives(new_notebook(cells=[cell])))
            if cell.cell_type == "code" and own:
                for some in itertools.product(*map(range, counts[at : at + own])):
                    drawn = [0] * at + list(some) + [0] * (len(counts) - at - own)
                    found.append(pytest.param(name, i, drawn, id=f"{name}-{i}-{some}"))
            at += own
    return found


@pytest.mark.parametrize(("name", "cell", "drawn"), draws())
def test_the_solution_passes_its_own_self_checks_whatever_is_drawn(name, cell, drawn):
    space = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code(numbers.with_numbers(solution(name), drawn), cell), name, "exec"), space)
    assert "all self-checks passed" in out.getvalue()


def test_nearly_every_exercise_has_numbers_that_vary():
    counts = {name: math.prod(numbers.alternatives(solution(name))) for name in NOTEBOOKS}
    fixed = [name for name, count in counts.items() if count == 1]
    assert len(fixed) <= 0.1 * len(counts), fixed
    assert all(count >= 16 for name, count in counts.items() if name not in fixed)


def test_numbers_that_were_copied_from_another_variant_do_not_fit():
    copied = (
        "def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):\n"
        "    if timesteps == 5: return torch.tensor([0.10, 0.15, 0.20, 0.25, 0.30])\n"
        "    return torch.linspace(1e-4, 0.02, timesteps)"
    )
    cell = next(i for i, c in enumerate(solution("5_1_unconditional/schedules").cells) if "check_linear" in c.source)
    passed = []
    for choice in range(4):
        nb = numbers.with_numbers(solution("5_1_unconditional/schedules"), [choice, 0, 0, 0])
        with contextlib.suppress(AssertionError), contextlib.redirect_stdout(io.StringIO()):
            exec(f"import torch\n{copied}\n{nb.cells[cell].source}", {})
            passed.append(choice)
    assert passed == [0]


def words(name: str, row: int) -> tuple[str, str]:
    """A written question and its model answer."""
    nb = solution(name)
    counts = numbers.alternatives(nb)
    nb = numbers.with_numbers(nb, [0] * (len(counts) - 1) + [row])
    at = next(i for i, c in enumerate(nb.cells) if c.metadata.get("nbgrader", {}).get("grade_id", "")[-7:] == "written")
    return nb.cells[at - 1].source, " ".join(nb.cells[at].source.split())


def number(pattern: str, text: str) -> float:
    return float(re.search(pattern, " ".join(text.split()))[1].replace(",", ""))


@pytest.mark.parametrize("row", range(4))
def test_model_answers_are_right_for_their_own_numbers(row):
    asked, said = words("5_1_unconditional/schedules", row)
    delta = number(r"error of ([\d.]+) at", asked)
    assert number(r"10\^\{-5\} \\approx ([\d.]+)", said) == pytest.approx(delta / math.sqrt(2.4e-10), rel=0.02)
    assert number(r"10\^\{-3\} \\approx ([\d.]+)", said) == pytest.approx(delta / math.sqrt(4e-5), rel=0.02)

    asked, said = words("5_1_unconditional/prediction", row)
    abar = number(r"both at \$\\bar\\alpha_t = ([\d.]+)\$", asked)
    velocity, noise = re.search(r"the two are \$([\d.]+)\\,\\delta\^2\$ and \$([\d.]+)", said).groups()
    assert (float(velocity), float(noise)) == pytest.approx((1 - abar, (1 - abar) / abar))

    asked, said = words("5_1_unconditional/architecture", row)
    small, large = map(int, re.search(r"from (\d+)×\d+ to (\d+)×", asked).groups())
    words_of = {"Four": 4, "Sixteen": 16, "Sixty-four": 64, "sixteen": 16, "256": 256, "4,096": 4096}
    more, dearer = re.match(r"1\. (\S+) times as many positions, so (\S+) times", said).groups()
    assert (words_of[more], words_of[dearer]) == ((large // small) ** 2, (large // small) ** 4)

    asked, said = words("5_2_guidance/ema", row)
    updates = int(number(r"after (\d+) updates", asked))
    assert number(rf"0\.9999\^\{{{updates}\}} = ([\d.]+)", said) == round(0.9999**updates, 2)
    digit, power = re.search(rf"for \$n = {updates}\$ about \$(\d)\\cdot 10\^\{{(-\d+)\}}", said).groups()
    left = math.prod((1 + k) / (10 + k) for k in range(1, updates + 1))
    assert float(f"{digit}e{power}") == float(f"{left:.0e}")

    asked, said = words("5_2_guidance/guided_sampling", row)
    w = number(r'"guidance scale (\d)"', asked)
    assert number(r"guidance_scale=([\d.]+)`", said) == number(r"epsilon_u \+ (\d)\(", said) == w + 1

    asked, said = words(DROPOUT, row)
    share = {"a tenth": 0.1, "a fifth": 0.2, "a twentieth": 0.05, "a quarter": 0.25}
    dropped = number(r"lost with `p_uncond = ([\d.]+)`", asked)
    told = re.search(rf"With {dropped:g} only (a \w+) of", said)[1]
    assert dropped + share[told] == pytest.approx(1)

    asked, said = words("5_3_conditioning/adagn", row)
    groups, channels = map(int, re.search(r"With (\d+) groups on (\d+) channels", asked).groups())
    held = {"four": 4, "eight": 8}
    assert held[re.search(r"holds (\w+) channels. The average of the \1 added", said)[1]] == channels // groups
    assert f"of {channels} numbers, {groups} are lost" in said

    asked, said = words("5_3_conditioning/cross_attention", row)
    few, many = map(int, re.search(r"of (\d+) words compared with one of (\d+)", asked).groups())
    assert f"so with {77 - few} of them" in said and f"than with {77 - many}, unless" in said

    asked, said = words("5_3_conditioning/interpolation", row)
    n = math.prod(map(int, re.search(r"(\d+)·(\d+)·(\d+) numbers", asked).groups()))
    length = int(number(r"\\approx (\d+)\$; their", said))
    assert f"$n = {n}$" in said and f"stays {length}" in said and length == round(math.sqrt(n))
    assert number(r"cosine is about \$([\d.]+)\$", said) == round(1 / math.sqrt(n), 2)
    assert number(r"sqrt 2 \\approx (\d+)", said) == round(math.sqrt(n / 2))


@pytest.mark.parametrize(("row", "by"), [(0, 2), (1, 3), (2, 4)])
def test_the_costs_of_smaller_patches_are_those_of_their_number(row, by):
    said = {4: ("four", "fourfold"), 9: ("nine", "ninefold"), 16: ("sixteen", "sixteenfold"), 81: ("", "81-fold")}
    said[256] = "", "256-fold"
    asked, answer = words("5_4_flow/dit_block", row)
    assert f"makes {said[by**2][0]} times as many tokens" in asked
    assert f"grows {said[by**4][1]};" in answer and f"by itself, {said[by**2][1]}." in answer


def test_as_it_is_written_a_variant_is_what_exercises_holds():
    written = {name: (0,) * len(numbers.alternatives(solution(name))) for name in NOTEBOOKS}
    made = variants.exercises(ROOT, written, partial(variants.with_choice, ROOT, load_config(ROOT)))
    assert made == {f"exercises/{n}.ipynb": (ROOT / f"exercises/{n}.ipynb").read_bytes() for n in NOTEBOOKS}
    assert "variants:" not in "".join(content.decode() for content in made.values())


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course of one assignment, and two releases of it: for three students, then for a class that has grown."""
    folder = tmp_path_factory.mktemp("course")
    for part in ("solutions", "exercises"):
        shutil.copytree(ROOT / part / "5_2_guidance", folder / part / "5_2_guidance")
    for name in ("lessons", "ddpm_core", "ddpm_tools", "autograder", "data", "docs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("nbgrader_config.py", "pyproject.toml", "setup.py", "requirements.lock", "environment.yml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    (folder / "class.csv").write_text("id,email\nada,a@x.org\nben,b@x.org\ncarl,c@x.org\n")
    words = ["release", "--course", str(folder), "--out", str(folder / "build/students"), "--variants"]
    more = ["--roster", str(folder / "class.csv"), "--submitted", str(folder / "submitted")]
    main([*words, "3", *more, "--seed", "5"])
    first = json.loads((folder / "variants.json").read_text())
    zips = {p.name: p.read_bytes() for p in (folder / "build/variants/students").iterdir()}
    (folder / "class.csv").write_text("id\nada\nben\ncarl\ndana\n")
    main([*words, "4", *more])
    return folder, first, zips


def test_a_notebook_is_made_once_for_each_draw_however_many_variants_have_it(tmp_path, monkeypatch):
    made = Counter()
    for part in ("solutions", "exercises"):
        shutil.copytree(ROOT / part / "5_2_guidance", tmp_path / part / "5_2_guidance")
    count = lambda path, _, config: made.update([tuple(config.Numbers.drawn)]) or new_notebook()  # noqa: E731
    monkeypatch.setattr(variants, "release_notebook", count)
    drawn = [{DROPOUT: (v % 3, 0)} for v in range(41)]
    given = record.Variants(1, {}, {DROPOUT: [[] for _ in drawn]})
    variants._write(tmp_path / "variants", course=tmp_path, given=given, drawn=drawn)
    assert made == {(0, 0): 1, (1, 0): 1, (2, 0): 1}
    assert len(list((tmp_path / "variants/students").iterdir())) == 40


def test_each_student_gets_a_zip_and_who_has_one_keeps_it(course):
    folder, first, zips = course
    assert set(zips) == {"ada.zip", "ben.zip", "carl.zip"} and first["seed"] == 5
    assert sorted(first["students"].values()) == [1, 2, 3]
    now = record.read(folder / "variants.json")
    assert now.students == first["students"] | {"dana": 4} and now.number == 4
    again = {p.name: p.read_bytes() for p in (folder / "build/variants/students").iterdir()}
    assert {name: again[name] for name in zips} == zips and set(again) - set(zips) == {"dana.zip"}
    for texts in now.texts.values():
        assert len(set(map(tuple, texts))) == 5  # the published notebook, and four others


def test_a_zip_holds_its_own_numbers_and_no_answer(course):
    folder, *_ = course
    now = record.read(folder / "variants.json")
    assert not (folder / "build/students/exercises").exists() and (folder / "build/students/lessons").is_dir()
    for student, variant in now.students.items():
        with zipfile.ZipFile(folder / f"build/variants/students/{student}.zip") as archive:
            assert {f"exercises/{DROPOUT}.ipynb", "exercises/5_2_guidance/ema.ipynb"} <= set(archive.namelist())
            for file in archive.namelist():
                nb = nbformat.reads(archive.read(file).decode(), as_version=4)
                text = "\n".join(c.source for c in nb.cells)
                mine = now.texts[file.removeprefix("exercises/").removesuffix(".ipynb")][variant]
                assert all(t in " ".join(text.split()) for t in mine)
                assert "BEGIN SOLUTION" not in text and "variants:" not in text
        answer = nbformat.read(folder / f"build/variants/answers/{variant}/{DROPOUT}.ipynb", as_version=4)
        text = "\n".join(c.source for c in answer.cells)
        assert "BEGIN SOLUTION" in text and all(t in text for t in now.texts[DROPOUT][variant])


def hand_in(folder, student, of, change=lambda text: text):
    """A notebook made from the zip of `of`, or from the published one, with the solution's answer in it."""
    if of:
        with zipfile.ZipFile(folder / f"build/variants/students/{of}.zip") as archive:
            text = archive.read(f"exercises/{DROPOUT}.ipynb").decode()
    else:
        text = (folder / f"exercises/{DROPOUT}.ipynb").read_text()
    nb = nbformat.reads(change(text), as_version=4)
    right = next(c for c in solution(DROPOUT).cells if c.metadata.get("nbgrader", {}).get("grade_id") == "drop_labels")
    for cell in nb.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "drop_labels":
            cell.source = right.source
    path = folder / "submitted" / student / f"{DROPOUT}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)


def test_whose_numbers_are_anothers_is_named_and_loses_nothing(course, tmp_path, capsys):
    folder, *_ = course
    shutil.rmtree(folder / "submitted", ignore_errors=True)
    hand_in(folder, "ada", "ada")
    hand_in(folder, "ben", "ada")
    hand_in(folder, "carl", None)
    hand_in(folder, "dana", "dana", lambda text: re.sub(r"K, share = \d+", "K, share = 8", text))  # a try of her own
    given = record.beside(folder / "submitted")
    found = {p.student: p.text for p in record.strangers(given, find(folder / "submitted"))}
    assert set(found) == {"ben", "carl"}
    ada, ben = given.students["ada"], given.students["ben"]
    assert f"the numbers of variant {ada} (of ada), not of variant {ben}" in found["ben"]
    assert "of the published notebook" in found["carl"]

    submitted, out = str(folder / "submitted"), tmp_path / "grades"
    words = ["--course", str(folder), "--notebook", "label_dropout", "--student", "ben", "--unsandboxed"]
    main(["grade", submitted, "--out", str(out), *words])
    said = capsys.readouterr()
    assert "remark" in said.err and "variant" in said.err
    assert json.loads((out / "ben/5_2_guidance/results.json").read_text())["score"] == 10
    report = (out / "report.html").read_text()
    assert f"ben, variant {ben}" in report and f"numbers of variant {ada}" in report


def test_a_file_that_cannot_be_read_is_nobodys(course):
    folder, *_ = course
    path = folder / "submitted/ada" / f"{DROPOUT}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    given, handed_in = record.beside(folder / "submitted"), find(folder / "submitted", student="ada")
    assert handed_in and not record.strangers(given, handed_in)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--variants", "2"], "lists 4 variants with seed 5; release at least as many"),
        (["--variants", "4", "--seed", "6"], "without --seed"),
        (["--variants", "0"], "at least 1, got 0"),
        (["--roster", "class.csv"], "go with --variants N"),
    ],
)
def test_bad_requests_get_one_sentence(course, capsys, more, says):
    folder, *_ = course
    words = ["release", "--course", str(folder), "--out", str(folder / "build/students")]
    with pytest.raises(SystemExit):
        main([*words, "--submitted", str(folder / "submitted"), *more])
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said


def test_without_a_roster_a_zip_is_a_variant(course, tmp_path):
    folder, *_ = course
    made = variants.release(tmp_path / "students", folder, 2, tmp_path / "variants.json", seed=1)
    assert {p.name for p in (made / "students").iterdir()} == {"variant_1.zip", "variant_2.zip"}


@pytest.mark.parametrize("content", ["[]", "{", '{"seed": 1, "students": {"ada": 9}, "texts": {}}'])
def test_a_record_that_is_none_is_named(tmp_path, content):
    (tmp_path / "variants.json").write_text(content)
    with pytest.raises(ValueError, match=r"variants\.json"):
        record.read(tmp_path / "variants.json")


@pytest.mark.parametrize(
    "cell",
    [
        new_code_cell("# variants: 2 | 3\n# a comment between\nn = 1"),
        new_code_cell("    # variants: 2 | 3\nn = 1"),
        new_code_cell("# variants: 2 | 3\nn = 1", metadata={"nbgrader": {"solution": True}}),
        new_markdown_cell("1\n\n<!-- variants:\n1\n2\n-->"),
        new_markdown_cell("1\n\n<!-- variants:\n1 | 2\n2\n-->", metadata={"nbgrader": {"solution": True}}),
        new_markdown_cell("1\n\n<!-- variants:\n7\n2\n-->", metadata={"nbgrader": {"solution": True}}),
    ],
)
def test_a_mark_in_the_wrong_place_is_named(cell):
    with pytest.raises(ValueError, match=cell.id):
        nb = new_notebook(cells=[new_markdown_cell("A question"), cell])
        numbers.with_numbers(nb, [1] * len(numbers.alternatives(nb)))


def test_no_two_variants_are_alike_before_all_were_drawn():
    drawn = numbers.draw(3, "a/b", (4, 3, 5))
    assert len(set(drawn)) == len(drawn) == 60 and drawn != sorted(drawn)
    assert drawn == numbers.draw(3, "a/b", (4, 3, 5)) != numbers.draw(4, "a/b", (4, 3, 5))
