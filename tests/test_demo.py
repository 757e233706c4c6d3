import re

import pytest

from autograder import demo as whole
from autograder import samples
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.config import DATA_DIR
from ddpm_tools import demo, drawing
from ddpm_tools.reports import demo_page

SMALL = demo.Sizes(sweep_n=40, sweep_steps=3, steps=3, colour_n=20, colour_steps=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    demo.run(out, DATA_DIR / "checkpoints/digits", sizes=SMALL)
    return out


def test_the_page_shows_everything_and_every_link_leads_somewhere(pictures):
    text = (pictures / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'src="([^"]+)"', text)
    assert {"grid.png", "sweep.png", "sweep_plot.png", "ema_raw.png"} <= set(shown)
    assert sum(s.endswith(".gif") for s in shown) >= 1 and sum(s.startswith("interpolate_") for s in shown) >= 6
    colour = {s for s in shown if s.startswith("cifar10/")}
    walks = {f"cifar10/interpolate_{a}_{b}.png" for a, b in drawing.COLOUR_PAIRS}
    assert {"cifar10/sweep.png", "cifar10/sweep_plot.png"} | walks <= colour
    assert all((pictures / s).is_file() for s in (*shown, *re.findall(r'href="([^"#]+)"', text)))
    assert 'href="lab.html"' in text and 'href="index.html"' in (pictures / "lab.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text  # nothing is fetched from anywhere


def test_without_a_colour_model_the_page_has_digits_alone(pictures, tmp_path, capsys):
    demo.colour(tmp_path / "cifar10", 0, SMALL, tmp_path / "none")
    assert "left out CIFAR-10" in capsys.readouterr().out
    assert not (tmp_path / "cifar10").exists()
    (tmp_path / "sweep.json").write_bytes((pictures / "sweep.json").read_bytes())
    assert list(demo_page.models(tmp_path)) == [""]
    assert "CIFAR-10: " not in demo_page.write(tmp_path).read_text(encoding="utf-8")


def test_running_it_again_reuses_what_is_there(pictures, monkeypatch):
    monkeypatch.setattr(demo, "draw", lambda *a, **k: pytest.fail("drew again"))
    demo.run(pictures, DATA_DIR / "checkpoints/digits", sizes=SMALL)


def test_it_trains_where_it_is_asked_to_and_never_of_itself(tmp_path, monkeypatch):
    calls, shipped = [], DATA_DIR / "checkpoints/digits"
    monkeypatch.setattr(demo, "train_run", lambda config, out: calls.append(config.train.seed) or out)
    assert demo.matching_checkpoint(shipped, tmp_path, 3, retrain=False) == shipped
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none.*; or say --train"):
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
