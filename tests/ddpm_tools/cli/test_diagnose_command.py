"""`ddpm diagnose`: what a user names wrongly, or has written wrongly, is one sentence."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ddpm_tools.cli.main import main

SAMPLERS = """
import torch

def nothing(network, y):
    pass

def lonely():
    pass

def nan(network, y):
    return network(torch.zeros(10, 1, 8, 8), torch.zeros(10), y) * float("nan")

def raises(network, y):
    return {}["step"]

def eager(network, y):
    return network(torch.zeros(7, 1, 8, 8), torch.zeros(7), y[:7])

def text(network, y):
    raise RuntimeError("first\\nsecond")
"""


def diagnosed(tmp_path, *argv):
    main(["diagnose", "--n", "10", "--steps", "2", "--unconditional", "--out", str(tmp_path / "d"), *map(str, argv)])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("none.py:draw", "no file 'none.py'"),
        ("draw", "FILE.py:FUNCTION"),
        (f"{__file__}:absent", "no function 'absent'"),
        ("mine.py", "name the function that draws, such as mine.py:sample"),
        ("mine.py:nothing", "must return images, a tensor of shape (B, C, H, W), got NoneType"),
        ("mine.py:lonely", "TypeError: lonely() takes 0 positional arguments"),
        ("mine.py:raises", "raises(network, y) in mine.py failed: line 14: KeyError: 'step'"),
        ("mine.py:eager", "line 17: ValueError: the sampler was asked for 10 images but gave the network 7"),
        ("mine.py:text", "mine.py failed: line 20: RuntimeError: first"),
        ("syntax.py:draw", "syntax.py cannot be imported: line 2: SyntaxError:"),
        ("missing.py:draw", "missing.py cannot be imported: line 1: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_sampler_that_fails_is_one_sentence(argument, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("mine", SAMPLERS), ("syntax", "\ndef draw(:\n"), ("missing", "import nowhere\n")):
        Path(f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as e:
        diagnosed(tmp_path, "--sampler", argument)
    assert e.value.code == 2 and words in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"a": 1}', "not a JSON list"), ('["a", null]', "not a JSON list"), ("[1,", "cannot be read"), (None, "cannot")],
)
def test_losses_that_are_none_are_told(text, words, capsys, tmp_path):
    losses = tmp_path / "losses.json"
    if text is not None:
        losses.write_text(text)
    with pytest.raises(SystemExit) as e:
        diagnosed(tmp_path, "--losses", losses)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert e.value.code == 2 and words in said and str(losses) in said


def test_data_are_read_as_the_network_takes_them(tmp_path, capsys):
    diagnosed(tmp_path, "--data", "emoji")  # 32×32 in colour, and ten classes as the digits have
    assert (tmp_path / "d/diagnosis.png").is_file()
    for i in range(20):
        (tmp_path / f"two/{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), 12 * i).save(tmp_path / f"two/{i % 2}/{i}.png")
    with pytest.raises(SystemExit) as e:
        diagnosed(tmp_path, "--data", tmp_path / "two")
    assert e.value.code == 2 and "has 10 classes but two has 2; choose other --data" in capsys.readouterr().err


def test_a_sampler_that_returns_nan_is_told_so(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(SAMPLERS, encoding="utf-8")
    diagnosed(tmp_path, "--sampler", f"{tmp_path}/mine.py:nan")
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == "The sampler returns NaN or infinite values in 10 of its 10 images."
    assert json.loads((tmp_path / "d/diagnosis.json").read_text())["verdict"]["fault"] == "sampler not finite"
