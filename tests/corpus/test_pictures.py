"""Each data set and each file of samples of the corpus, put to the command that takes it."""

import contextlib
import json
import math
import re
from collections import Counter

import numpy as np
import pytest
import torch

from ddpm_core import checkpoint
from ddpm_core.data import digits
from ddpm_tools.cli import train as train_command
from ddpm_tools.cli.main import main
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.pictures import ImageSpec, decode
from ddpm_tools.evaluation.sources import folder_source
from ddpm_tools.train.runs import training_data

from . import pictures as corpus


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """`ddpm train` on a data set up to the first step: its data, what it says, and its exit status."""

    def run(path, *words):
        taken = []
        monkeypatch.setattr(
            train_command, "train_run", lambda config, out, *a: taken.append(training_data(config)) or out
        )
        status = 0
        try:
            main(["train", "--data", str(path), "--split", "all", "--no-log", "--out", str(tmp_path / "run"), *words])
        except SystemExit as e:
            status = e.code
        return (taken or [None])[0], capsys.readouterr().err, status

    return run


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda c: c.name)
def test_data_sets(case, command, tmp_path):
    path = case.pack(tmp_path / case.name, case.files)
    data, said, status = command(path)
    if case.refused:
        assert status == 2 and len(said.strip().splitlines()) == 1
        assert re.search(case.refused, said) and str(path) in said
        return
    assert status == 0 and all(words in said for words in case.says)
    left = Counter(name.split("/")[-2] for name in data.left_out if "/" in name)
    left += Counter({"cat": 1} if "no.png" in data.left_out else {})
    shown = Counter(data.classes[y] for y in data.labels.tolist())
    assert dict(shown + left) == case.classes and data.classes == tuple(case.classes)
    if case.captions:
        assert data.captions == tuple(c for c in case.captions if c or not data.left_out)
    assert (
        "without classes" if "all" in case.classes else ", ".join(f"{c} ({n})" for c, n in case.classes.items())
    ) in said
    if case.heldout is not None:
        assert len(load_data(str(path), "heldout")) == case.heldout and f"and {case.heldout} held out" in said
    assert command(path, "--strict")[2] == (0 if case.strict else 2)


TURNED = {1: corpus.RAMP, 3: np.rot90(corpus.RAMP, 2), 6: np.rot90(corpus.RAMP, -1), 8: np.rot90(corpus.RAMP)}
TURNED |= {2: corpus.RAMP[:, ::-1], 4: corpus.RAMP[::-1], 5: corpus.RAMP.T, 7: np.rot90(corpus.RAMP, 2).T}
TURNED |= {0: corpus.RAMP, 99: corpus.RAMP}


@pytest.mark.parametrize("turn", TURNED)
def test_pixels_are_turned_whatever_else_the_metadata_say(turn):
    for data in (corpus.ramp(exif=corpus.broken_exif(turn)), corpus.broken_tiff(corpus.RAMP, turn)):
        assert np.array_equal(decode(data, ImageSpec(8, 1))[0][0], TURNED[turn])


def test_turned_pictures_need_not_be_square():
    wide = np.arange(40, dtype=np.uint8).reshape(4, 10)
    assert np.array_equal(decode(corpus.broken_tiff(wide, 6), ImageSpec())[0][0], np.rot90(wide, -1))


@pytest.fixture
def trained(monkeypatch, tmp_path, capsys):
    """`ddpm train`, to its end or stopped as by Ctrl-C after the first of two steps: what it says."""

    def run(path, out, stop=False):
        def stopped(self, step, log, asked):
            self.save(asked)
            raise KeyboardInterrupt

        words = ["train", "--data", str(path), "--steps", "2", "--batch-size", "8", "--no-log", "--out"]
        with monkeypatch.context() as m:
            if stop:
                m.setattr("ddpm_tools.train.callbacks.Callbacks.keep", stopped)
            with contextlib.suppress(SystemExit):
                main([*words, str(tmp_path / out)])
        return capsys.readouterr().err

    return run


def test_an_interrupted_run_goes_on_with_the_pictures_it_began_with(trained, tmp_path):
    """Bit for bit, with a bad one among them that is left out each time; and not when others of them are there."""
    path = corpus.as_folder(tmp_path / "pets", corpus.FORTY | {"cats/7.png": b"bad"})
    named = "cats/7.png (it is not a picture"
    assert named in trained(path, "whole")
    tensors, record = checkpoint.read(tmp_path / "whole")
    assert record["provenance"]["left_out"] == ["cats/7.png"] and record["provenance"]["n_train"] == 71
    assert "interrupted" in trained(path, "cut", stop=True)
    assert named in trained(path, "cut")
    resumed, _ = checkpoint.read(tmp_path / "cut")
    assert all(torch.equal(x, resumed[k]) for k, x in tensors.items())
    trained(path, "other", stop=True)
    (path / "cats/7.png").unlink()  # what could not be read may go
    (path / "dogs/3.png").write_bytes(b"bad now")
    assert "began with 71 training pictures, but there are now 70, and dogs/3.png can" in trained(path, "other")


@pytest.mark.parametrize("name,content,labelled,says", corpus.TAKEN, ids=lambda x: x if isinstance(x, str) else "")
def test_samples(name, content, labelled, says, tmp_path, caplog):
    (tmp_path / name).write_bytes(content)
    source = folder_source(tmp_path / name, digits())
    assert torch.equal(torch.cat(list(source.chunks())), torch.from_numpy(corpus.FIRST.copy()))
    assert (source.labels.tolist() == corpus.CLASSES.tolist()) if labelled else source.labels is None
    assert says in " ".join(source.notes) and bool(says) == bool(source.notes) and says in caplog.text


@pytest.mark.parametrize("name,content,says", corpus.REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_samples_that_are_refused(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says) as e:
        folder_source(tmp_path / name, digits())
    assert name in str(e.value) and "\n" not in str(e.value)


def strict_json(path):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_evaluate_takes_samples_as_samplers_write_them(tmp_path, capsys):
    (tmp_path / "samples.npz").write_bytes(corpus.npz(corpus.FIRST.astype(np.float32) / 255, corpus.CLASSES))
    words = ["evaluate", "--data", "digits", "--repeats", "5", "--metrics", "frechet", "adherence"]
    main([*words, "--images", str(tmp_path / "samples.npz"), "--out", str(tmp_path)])
    record, said = strict_json(tmp_path / "metrics.json"), capsys.readouterr()
    assert [f["about"]["n"] for f in record["figures"]] == [20, 20] and "read as [0, 1]" in said.err
    assert "channels read from axis 1" in record["made_with"]["images"][0]["notes"][0]
    corpus.as_folder(tmp_path / "drawn", {f"{i}.png": i for i in range(3)} | {"bad.png": b"bad"})
    main([*words, "--images", str(tmp_path / "drawn"), "--out", str(tmp_path / "few")])
    said = capsys.readouterr()
    assert "1 of 4 pictures of drawn" in said.err and "bad.png" in str(strict_json(tmp_path / "few/metrics.json"))


@pytest.mark.parametrize("n", [2, 3])
def test_few_pictures_give_null_and_the_reason(n, tmp_path, capsys):
    (tmp_path / "few.npz").write_bytes(corpus.npz(corpus.SAMPLES[:n], corpus.CLASSES[:n]))
    out = tmp_path / "out"
    words = ["evaluate", "--data", "digits", "--images", str(tmp_path / "few.npz"), "--repeats", "5", "--out", str(out)]
    main(words)
    figures = {f["metric"]: f for f in strict_json(out / "metrics.json")["figures"]}
    assert math.isfinite(figures["frechet"]["estimate"]["value"]) and figures["frechet"]["estimate"]["high"] is None
    assert figures["frechet"]["reason"] == f"no interval: it needs more than the {n} images"
    assert figures["diversity"]["estimate"]["value"] is None and "of one class" in figures["diversity"]["reason"]
    assert "reason" not in figures["adherence"] and "nan" not in capsys.readouterr().out.lower()
    main([*words, "--against", str(out / "metrics.json")])
    assert "not resolved" in capsys.readouterr().out and "nan" not in (out / "index.html").read_text(encoding="utf-8")
