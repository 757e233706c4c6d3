import json
import re
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from ddpm_core.data import digits
from ddpm_tools.cli.main import main, parser
from ddpm_tools.evaluation.evaluation import evaluate, missing
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.finite_n import extrapolate
from ddpm_tools.evaluation.judges import find_judge
from ddpm_tools.evaluation.metrics import METRICS, EvaluationConfig
from ddpm_tools.evaluation.record import read
from ddpm_tools.evaluation.reference import reference_for
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.sources import tensor_source
from ddpm_tools.evaluation.streaming import KEEP

ABOUT = Provenance("", 0, "", 0, None, None, "unknown")


@pytest.fixture(scope="module")
def judged():
    """A function that judges digits (N, 1, 8, 8) made for labels."""
    data, net = digits("train"), network("digits")
    judge, reference = find_judge(data), reference_for(data, net, digits("heldout"))

    def run(images, labels, repeats=20, metrics=tuple(METRICS)):
        config = EvaluationConfig(metrics, repeats)
        e = evaluate(tensor_source("x", images, labels), data, reference, net, ABOUT, judge, config)
        return e, {f.metric: f.estimate for f in e.results}

    return run


def test_each_fault_is_seen_by_the_figure_that_is_meant_for_it(judged, rng):
    held, train = digits("heldout"), digits("train")
    e, good = judged(held.images, held.labels)
    assert set(good) == set(METRICS) - {"per_class"} and len(e.per_class) == 10
    assert good["adherence"].value > 0.98 and good["copies"].value < 0.12 and abs(good["kid"].value) < 0.5
    assert good["diversity"].value == pytest.approx(1, abs=0.15) and max(r.distance.value for r in e.per_class) < 20
    assert e.confusion.sum() == 360 and e.confusion.diagonal().sum() == round(good["adherence"].value * 360)
    wrong = held.labels[torch.randperm(360, generator=rng)]
    e, shuffled = judged(held.images, wrong)
    assert shuffled["frechet"].value == pytest.approx(good["frechet"].value)  # pooled distances do not see labels
    assert shuffled["adherence"].value < 0.25 and shuffled["diversity"].value > 1.5
    assert min(r.distance.value for r in e.per_class) > 20
    _, copied = judged(train.images[:360], train.labels[:360])
    assert copied["copies"].value == 1 and copied["frechet"].value < 3
    few = torch.arange(360) % 20
    _, repeated = judged(held.images[few], held.labels[few])
    assert repeated["recall"].value < 0.3 < 0.6 < good["recall"].value and repeated["precision"].value > 0.5
    for f in (*good.values(), *shuffled.values()):
        assert f.low <= f.value <= f.high


def test_nothing_is_extrapolated_from_more_images_than_are_kept():
    reference = SimpleNamespace(config=SimpleNamespace(dimension=2048, split="train"), features=range(KEEP))
    with pytest.raises(ValueError, match="needs at least 10240 with 2048 features"):
        extrapolate(torch.empty(KEEP, 2048), None)
    why = missing(SimpleNamespace(n=50_000, labels=None), None, reference, list(METRICS))
    assert why["frechet_inf"] == "extrapolation needs at least 10240 images with 2048 features, at most 10000 are kept"


def test_the_confusions_rows_are_the_classes_asked_for(judged):
    held = digits("heldout")
    fives = held.images[held.labels == 5]
    e, found = judged(fives, torch.full((len(fives),), 3), metrics=("adherence",))
    assert e.confusion[3].sum() == len(fives) and e.confusion[3, 5] > 0.9 * len(fives)
    assert found["adherence"].value < 0.1


def test_images_without_classes_are_judged_as_far_as_they_can_be(judged):
    e, found = judged(digits("heldout").images, None, metrics=("frechet", "adherence", "per_class", "diversity"))
    assert set(found) == {"frechet"} and e.confusion is None and not e.per_class
    assert sum("have no class labels" in n for n in e.notes) == 3
    with pytest.raises(ValueError, match="at least two"):
        judged(digits("heldout").images[:1], None)
    with pytest.raises(ValueError, match="unknown metric 'fid'; known: frechet"):
        judged(digits("heldout").images, None, metrics=("fid",))


@pytest.mark.parametrize("command", ["evaluate", "reference"])
def test_help_shows_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    example = " ".join(capsys.readouterr().out.split()).split("example: ddpm ")[1]
    assert parser().parse_args(example.split()).command == command


def run(capsys, *argv):
    main(["evaluate", *map(str, argv)])
    return capsys.readouterr().out


def sentence(capsys, *argv):
    with pytest.raises(SystemExit) as e:
        main(["evaluate", *map(str, argv)])
    assert e.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_evaluating_a_checkpoint(tmp_path, capsys):
    short = ["--n", 60, "--steps", 4, "--repeats", 10]
    out = run(capsys, *short, "--seeds", 0, 1, "--out", tmp_path / "a")
    assert "label adherence" in out and "n = 60" in out and str(tmp_path / "a/index.html") in out
    record = json.loads((tmp_path / "a/metrics.json").read_text())
    about = record["figures"][0]["about"]
    assert {k: about[k] for k in ("n", "seed", "steps", "w", "weights")} == {
        "n": 60, "seed": [0, 1], "steps": 4, "w": 1.0, "weights": "ema",
    }  # fmt: skip
    assert about["extractor"].startswith("digits-classifier ") and about["reference"].startswith("digits/train (1437")
    made = record["made_with"]
    assert (
        made["images"][0]["checkpoint_digest"] and made["classifier"]["heldout_accuracy"] and made["software"]["torch"]
    )
    assert len(record["runs"]) == 2 and record["runs"][0]["images_digest"] != record["runs"][1]["images_digest"]
    page = (tmp_path / "a/index.html").read_text()
    for part in ("Samples", "Results", "Per class", "Confusion matrix", "Nearest training images", "Made with"):
        assert f"<h2>{part}</h2>" in page
    assert page.count("data:image/png;base64,") == 2 and not re.search(r'(src|href)="(?!data:)', page)  # one file

    assert "cover the sampling seeds of one checkpoint; comparing methods needs several training seeds" in out

    results = read(tmp_path / "a/metrics.json")
    assert all(r.estimate.df == 1 and len(r.values) == 2 and r.covers == "sampling seeds" for r in results)
    for row in (*record["figures"], *(f for run in record["runs"] for f in run["figures"])):  # as it was written before
        del row["values"], row["covers"], row["estimate"]["df"]
    (tmp_path / "old.json").write_text(json.dumps(record))
    assert read(tmp_path / "old.json") == results

    same = ["--seeds", 2, 3, "--out", tmp_path / "b", "--against", tmp_path / "a/metrics.json"]
    out = run(capsys, *short, *same, "--w", 3, "--metrics", "frechet", "adherence")
    assert "change since" in out and out.count("within the error") + out.count("beyond the error") == 2
    assert "paired" not in out
    out = run(capsys, *short, *same, "--seeds", 1, 0, "--metrics", "frechet")
    assert "95 % interval, paired by seed" in out
    for options, reason in ((["--n", 80], "n is 60 in one and 80"), (["--raw"], "weights is ema in one and raw")):
        error = sentence(capsys, *short, *same, "--metrics", "frechet", *options)
        assert "frechet is not comparable" in error and reason in error


def test_evaluating_a_folder_of_another_program(tmp_path, capsys):
    data = digits("heldout")
    for i in range(120):
        path = tmp_path / f"pictures/{data.labels[i]}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.images[i, 0].numpy()).save(path)
    run(capsys, "--images", tmp_path / "pictures", "--data", "digits", "--repeats", 10, "--out", tmp_path / "e")
    record = json.loads((tmp_path / "e/metrics.json").read_text())
    results = {r["metric"]: r for r in record["figures"]}
    assert results["adherence"]["estimate"]["value"] > 0.97 and results["frechet"]["about"]["n"] == 120
    assert results["frechet"]["about"]["w"] is None and results["frechet"]["about"]["weights"] == "unknown"


def test_what_a_user_can_get_wrong_is_one_sentence(tmp_path, capsys):
    assert "name those with --data" in sentence(capsys, "--images", tmp_path)
    assert "unknown metric 'fid'" in sentence(capsys, "--metrics", "fid")
    assert "unknown feature network 'x'" in sentence(capsys, "--extractor", "x")
    assert "holds no pictures" in sentence(capsys, "--images", tmp_path, "--data", "digits")
    assert "is not the metrics.json of an evaluation" in sentence(capsys, "--against", tmp_path / "none.json")
    assert "no checkpoint at" in sentence(capsys, "--checkpoint", tmp_path / "none")
    judge = "data/classifiers/digits"
    folder = tmp_path / "p"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    assert "another picture size" in sentence(
        capsys, "--images", folder, "--data", "emoji", "--classifier", judge, "--metrics", "adherence"
    )
