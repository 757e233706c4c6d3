"""The full-scale runs: the published protocol, a plan whose networks all build, and the command at reduced size."""

import importlib.util
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.unet import build_unet
from ddpm_tools.cli.main import main
from ddpm_tools.datasets import load_data
from ddpm_tools.presets import preset
from ddpm_tools.reports import results

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts/full_scale.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("full_scale", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["full_scale"] = module
    spec.loader.exec_module(module)
    return module


def parameters(config, conditioning):
    with torch.device("meta"):
        return sum(p.numel() for p in build_unet(config, strategy(conditioning)).parameters()) / 1e6


@pytest.mark.parametrize("scale, size, batch", [("small", 9, 128), ("medium", 36, 128), ("large", 140, 64)])
def test_the_presets_are_the_published_protocol(scale, size, batch):
    p = preset(f"cifar10-{scale}")
    assert (p.train.steps, p.train.lr, p.train.ema_decay, p.train.batch_size) == (35_000, 2e-4, 0.9995, batch)
    assert p.train.p_uncond == 0 and p.schedule == "linear" and not p.train.flip
    assert parameters(replace(p.unet, num_classes=0), "none") == pytest.approx(size, rel=0.05)


def test_every_run_of_the_plan_builds(script):
    assert len({r.name for r in script.PLAN}) == len(script.PLAN)
    for run in script.FIRST:  # the others are the same with another seed
        config = run.config(Path("cifar10.zip"))
        assert 8 < parameters(config.unet, config.conditioning) < 12  # small scale
        assert config.train.seed == run.seed and config.parameterization in ("epsilon", "v", "x0", "blend")
    first = script.PLAN[0].config(Path("cifar10.zip"))
    assert first.train.p_uncond == 0.15  # the one to ship: guidance needs dropped labels


def figure(metric, value, extractor, n, w=1.0, reference="r"):
    about = {"extractor": extractor, "n": n, "reference": reference, "seed": 0, "steps": 50, "w": w, "weights": "ema"}
    return {
        "metric": metric,
        "estimate": {"value": value, "low": value - 1, "high": value + 1, "se": 0.5},
        "about": about,
    }


def result(design, figures):
    speeds = {"minutes": 8.0, "train_images_per_s": 9000.0, "sample_images_per_s": 300.0, "peak_bytes": 4_000_000_000}
    where = {"commit": "abc", "device": "gpu", "command": "c", "steps": 35_000, "batch_size": 128}
    return results.Result("cifar10-small", design, 0, figures=tuple(figures), **speeds, **where)


def test_records_come_back_and_unlike_figures_share_no_column(tmp_path, capsys):
    one = result("film", [figure("frechet", 11.0, "net A", 50_000), figure("frechet", 21.0, "net B", 50_000)])
    two = result("adanorm", [figure("frechet", 12.0, "net A", 50_000), figure("frechet", 99.0, "net A", 1_000)])
    jpeg = figure("frechet", 77.0, "net A", 50_000, reference="cifar10-train-jpeg/all")
    two = replace(two, figures=(*two.figures, jpeg))
    for r in (one, two):
        results.write(r, tmp_path)
    assert results.read_all(tmp_path) == [two, one]
    main(["results", str(tmp_path)])
    tables = capsys.readouterr().out.split("\n\n")
    holding = {v: [t for t in tables if v in t] for v in ("11 [", "12 [", "21 [", "99 [", "77 [")}
    assert all(len(t) == 1 for t in holding.values())
    assert holding["11 ["] == holding["12 ["]  # the same extractor, the same n
    assert len({holding[v][0] for v in ("11 [", "21 [", "99 [", "77 [")}) == 4
    assert "reference cifar10-train-jpeg/all: CIFAR-10 (JPEG), 50 steps, weights: ema" in holding["77 ["][0]
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(SystemExit):
        main(["results", str(tmp_path)])
    assert "broken.json is not the record of a run" in capsys.readouterr().err


def test_the_speed_benchmark_runs_reduced(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("full_scale_speed", ROOT / "benchmarks/full_scale.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    told = bench.measure("cifar10-small", "cpu", quick=True, budget=0.1)
    assert told["train_steps_per_s"] > 0 and told["sample_images_per_s"] > 0
    assert all(0.2 < ratio < 5 for name in ("train_ratio", "sample_ratio") for ratio in told[name])
    parts = {p: sum(w.numel() for w in n.parameters()) for p, n in bench.peers("cifar10-small").items()}
    assert parts["ours"] == parts["theirs"]  # the same network, or the ratio means nothing


def test_reduced_run_trains_draws_measures_and_is_not_made_twice(tmp_path):
    given = ["--data", "emoji", "--reduced", "--work", str(tmp_path), "--run", "cifar10-small-concat-film-0"]
    command = [sys.executable, str(SCRIPT), "--device", "cpu", *given]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    (path,) = tmp_path.glob("results/*.json")
    r = results.read(path)
    assert r.reduced and r.minutes > 0 and r.peak_bytes > 1e8
    assert {f["about"]["extractor"].split()[0] for f in r.figures} == {"efficientnet-lite0-320", "cifar10-classifier"}
    before = path.read_bytes()
    again = subprocess.run([*command, "--list"], check=True, capture_output=True, text=True)
    assert again.stdout.startswith("done") and path.read_bytes() == before


def test_a_run_in_two_parts_counts_both_and_the_second_begins_with_the_first(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "measure", lambda run, path, *a: ([{"path": str(path)}], 1.0))
    a = Namespace(data=Path("emoji"), work=tmp_path, reduced=True, ungated=False, n=64)
    told = script.put_on_record(script.LAPTOP, a, load_data("emoji", size=32, channels=3), "cpu")
    first, second = (checkpoint.load(tmp_path / f"{name}-reduced") for name, _ in script.LAPTOP.parts)
    assert told.steps == first.step + second.step == 8
    assert told.figures[0]["path"].endswith("-further-reduced")  # the last part is the one that is measured
    began = second.record["provenance"]["warm_start"]
    assert began["weights"] == checkpoint.file_digest(tmp_path / f"{script.LAPTOP.name}-reduced")
    assert told.minutes == sum(c.record["provenance"]["minutes"] for c in (first, second))
