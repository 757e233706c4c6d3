import html
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from autograder import demo as whole
from autograder import samples
from autograder.exercises import EXERCISES
from autograder.grading.results import GATE, NotebookResult, Test, record
from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import DATA_DIR
from ddpm_core.data import to_uint8
from ddpm_core.samplers import SampleConfig, sample
from ddpm_tools import demo, drawing
from ddpm_tools.reports import demo_page
from tests.axe import serious

SMALL = demo.Sizes(sweep_n=40, sweep_steps=3, steps=3, colour_n=20, colour_steps=2, way_steps=3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    demo.run(out, DATA_DIR / "checkpoints/digits", sizes=SMALL)
    return out


def sample_records():
    """Of all sample submissions, without grading them."""
    exercise, records = EXERCISES[samples.ASSIGNMENT, samples.EXERCISE], []
    outcomes = {"eve-endless-loop": "timeout", "finn-forger": "crash", "zoe-blank": "missing"}
    for student in samples.STUDENTS:
        result = NotebookResult(exercise, outcomes.get(student, "graded"), "The grader says why.")
        share = float(student in samples.RIGHT)
        result.tests = [Test(c.name, share * c.points, c.points, "so it is") for c in exercise.checks]
        result.tests.append(Test(GATE, share * exercise.gate_points, exercise.gate_points, "so it is"))
        records.append(record(student, exercise.assignment, [result]))
    return records


def test_the_page_shows_everything_and_every_link_leads_somewhere(pictures):
    text = (pictures / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'src="([^"]+)"', text)
    assert {"grid.png", "sweep.png", "sweep_plot.png", "ema_raw.png", "way.webp"} <= set(shown)
    assert sum(s.endswith(".gif") for s in shown) >= 1 and sum(s.startswith("interpolate_") for s in shown) >= 6
    colour = {s for s in shown if s.startswith("cifar10/")}
    walks = {f"cifar10/interpolate_{a}_{b}.png" for a, b in drawing.COLOUR_PAIRS}
    assert {"cifar10/sweep.png", "cifar10/sweep_plot.png", "cifar10/way.webp"} | walks <= colour
    assert shown[0] == "cifar10/way.webp"  # colour, and moving, comes first
    links = (*shown, *re.findall(r'href="([^"#]+)"', text), *re.findall(r'srcset="([^"]+)"', text))
    assert all((pictures / s).is_file() for s in links)
    for told in (re.findall(r'alt="([^"]+)"', text), re.findall(r"<figcaption>(.*?)</figcaption>", text, re.S)):
        assert len(told) > 12 and len(told) == len(set(told))  # each says what only its picture shows
    assert not re.search(r"[0-9a-f]{16}", text)  # no digest: those are in the results' files
    assert 'href="lab.html"' in text and 'href="index.html"' in (pictures / "lab.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text  # nothing is fetched from anywhere


def test_axe_finds_nothing_serious_on_a_phone_or_a_desk_in_light_or_dark(pictures):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(whole.write_page(pictures, sample_records()).as_uri())
        page.evaluate("for (const e of document.querySelectorAll('details')) e.open = true;")
        for width, scheme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            assert serious(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelector('.gifs img').removeAttribute('alt')")
        assert [fault.split(":")[0] for fault in serious(page)] == ["image-alt"]  # it would have been found
        browser.close()


def test_without_a_colour_model_the_page_has_digits_alone(pictures, tmp_path, capsys):
    demo.colour(tmp_path / "cifar10", 0, SMALL, tmp_path / "none")
    assert "skipped CIFAR-10" in capsys.readouterr().out
    assert not (tmp_path / "cifar10").exists()
    (tmp_path / "sweep.json").write_bytes((pictures / "sweep.json").read_bytes())
    assert list(demo_page.models(tmp_path)) == ["Digits"]
    assert "CIFAR-10" not in demo_page.write(tmp_path).read_text(encoding="utf-8")


def test_the_moving_picture_ends_in_what_the_sampler_draws(pictures):
    loaded = checkpoint.load(DATA_DIR / "checkpoints/digits")
    last = sample(loaded.diffusion(), torch.arange(10), demo.WAY_W, SMALL.way_steps, 0, SampleConfig("dpm++"))
    with Image.open(pictures / "way.webp") as moving, Image.open(pictures / "way.png") as still:
        assert moving.n_frames == SMALL.way_steps + 1
        assert moving.size == still.size
        moving.seek(moving.n_frames - 1)
        end, shown = np.asarray(moving.convert("L")), np.asarray(still.convert("L"))
    assert np.abs(end.astype(int) - shown).mean() < 3
    for k, image in enumerate(last):  # twelve pixels a pixel, four between digits
        tile = shown[24 + 6 : 24 + 96 : 12, 4 + 100 * k + 6 : 4 + 100 * k + 96 : 12]
        torch.testing.assert_close(torch.from_numpy(tile.copy()), to_uint8(image[0]), atol=1, rtol=0)


def test_a_walks_noise_follows_from_the_seed_and_the_pair_alone(tmp_path):
    loaded = checkpoint.load(DATA_DIR / "checkpoints/digits")
    how = drawing.Drawing(3, 2.0, 3, seed=0)
    ways = ([("3", "8"), ("1", "7")], 0), ([("1", "7")], 0), ([("1", "7")], 1)
    for i, (pairs, seed) in enumerate(ways):
        demo.interpolate(loaded, tmp_path / str(i), pairs, replace(how, seed=seed))
    first, alone, other = (np.asarray(Image.open(tmp_path / f"{i}/interpolate_1_7.gif")) for i in range(3))
    assert (first == alone).all() and (first != other).any()


def test_the_page_says_who_is_wrong_on_purpose_and_what_became_of_it(pictures):
    text = whole.write_page(pictures, sample_records()).read_text(encoding="utf-8")
    said = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert "the grader judges 9 sample submissions, 7 of them wrong on purpose" in said
    assert "7 of the 9 are wrong on purpose, and 7 of these lost points" in said
    assert all(html.escape(samples.who(s)) in said and samples.who(s) for s in samples.STUDENTS)
    assert [samples.who(s).startswith("Right") for s in samples.STUDENTS] == [
        s in samples.RIGHT for s in samples.STUDENTS
    ]
    edges = re.findall(r'<span class="edge (\w+)"></span>\s*<h3>([\w-]+)</h3>', text)
    looks = {student: look for look, student in edges}
    assert len(looks) == 9 and looks["ada-film"] == "held" and looks["carl-ignores-label"] == "failed"
    assert looks["eve-endless-loop"] == "timeout" and looks["finn-forger"] == "crash" and looks["zoe-blank"] == "none"
    assert 'href="grades/report.html"' in text


def test_running_it_again_reuses_what_is_there(pictures, monkeypatch):
    monkeypatch.setattr(demo, "draw", lambda *a, **k: pytest.fail("drew again"))
    demo.run(pictures, DATA_DIR / "checkpoints/digits", sizes=SMALL)


def test_interrupted_it_goes_on_with_the_part_that_was_not_done(tmp_path, monkeypatch):
    made, shipped = [], DATA_DIR / "checkpoints/digits"
    for name in ("grid", "sweep", "way", "interpolate", "ema_against_raw", "colour"):
        monkeypatch.setattr(demo, name, lambda *a, name=name, **k: made.append(name))
    monkeypatch.setattr(demo.demo_page, "write", lambda out: out)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(demo, "way", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        demo.run(tmp_path, shipped, sizes=SMALL)
    assert made == ["grid", "sweep"]
    demo.run(tmp_path, shipped, sizes=SMALL)
    assert made == ["grid", "sweep", "way", "interpolate", "ema_against_raw", "colour"]
    demo.run(tmp_path, shipped, seed=1, sizes=SMALL)  # other pictures
    assert len(made) == 12


def test_it_trains_where_it_is_asked_to_and_never_of_itself(tmp_path, monkeypatch):
    calls, shipped = [], DATA_DIR / "checkpoints/digits"
    monkeypatch.setattr(demo, "train_run", lambda config, out: calls.append(config.train.seed) or out)
    assert demo.matching_checkpoint(shipped, tmp_path, 3, retrain=False) == shipped
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none.*; or add --train"):
        demo.matching_checkpoint(tmp_path / "none", tmp_path, 3, retrain=False)
    assert calls == []
    assert demo.matching_checkpoint(tmp_path / "none", tmp_path, 3, retrain=True) == tmp_path / "checkpoint/digits"
    assert calls == [3]


def test_without_a_sandbox_the_hostile_samples_are_left_out_and_named(pictures, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(whole.child_process, "available", lambda: "Type: sudo apt-get install bubblewrap.")
    monkeypatch.setattr(whole.demo, "run", lambda *a, **k: None)
    monkeypatch.setattr(whole.batch, "grade", lambda found, *a, **k: seen.extend((s.student, k) for s in found) or [])
    monkeypatch.setattr(whole.report, "write", lambda records, out: None)  # of no records there is none
    path = whole.run(pictures)
    students = {s for s, _ in seen}
    assert students == set(samples.STUDENTS) - set(samples.HOSTILE) and all(k == {"sandboxed": False} for _, k in seen)
    out = capsys.readouterr().out
    assert all(name in out for name in samples.HOSTILE) and "sudo apt-get install bubblewrap" in out
    assert str(path.resolve()) in out.splitlines()[-1]
