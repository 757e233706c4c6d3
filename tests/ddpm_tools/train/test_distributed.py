"""Two processes of a real `torchrun` against one process with the same global batch."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ddpm_core import checkpoint
from ddpm_core.config import PRESETS
from ddpm_core.training import TrainConfig
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.distributed import ALONE, Ranks
from ddpm_tools.train.runs import train_run
from tests.ddpm_tools.train.test_engine import begin, steps_of

CONFIG = TrainConfig(steps=8, batch_size=16, warmup=2, ema_decay=0.9, flip=True)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

WORKER = """
import os, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from ddpm_tools.train.distributed import processes
from tests.ddpm_tools.train.test_distributed import CONFIG
from tests.ddpm_tools.train.test_engine import begin, steps_of

torch.set_num_threads(1)
with processes(os.environ, "cpu") as (ranks, device):
    state, engine = begin(config=CONFIG, ranks=ranks)
    losses = [r.loss for r in steps_of(state, engine, CONFIG)]
    tensors = {f"ema.{k}": v for k, v in state.ema.module.state_dict().items()} | {"losses": torch.stack(losses)}
    tensors |= {f"model.{k}": v for k, v in state.model.state_dict().items()}
    save_file({k: v.clone() for k, v in tensors.items()}, f"{sys.argv[1]}/{ranks.rank}.safetensors")
    assert ranks.any(ranks.rank == 1) and not ranks.any(False)
    assert ranks.same(5) and not ranks.same(ranks.rank)
left = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").glob("*")]
assert not [name for name in left if "gloo" in name], left  # at the interpreter's end such a thread may abort it
"""


def torchrun(*words, **options):
    return subprocess.Popen([*TORCHRUN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_two_processes_equal_one(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONFAULTHANDLER": "1"}  # an abort shall say where
    job = torchrun(str(tmp_path / "worker.py"), str(tmp_path), env=env)
    _, err = job.communicate(timeout=300)
    assert job.returncode == 0, err
    a, b = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    one, engine = begin(config=CONFIG)
    losses = [report.loss for report in steps_of(one, engine, CONFIG)]
    torch.testing.assert_close(a["losses"], torch.stack(losses), rtol=1e-5, atol=1e-6)
    for prefix, module in (("model.", one.model), ("ema.", one.ema.module)):
        for k, v in module.state_dict().items():
            torch.testing.assert_close(a[prefix + k], v, rtol=0, atol=1e-6)


def train_words(out):
    shape = ["--batch-size", "16", "--steps", "24", "--lr", "2e-4"]
    return ["-m", "ddpm_tools.cli", "train", *shape, "--no-log", "--out", str(out)]


def test_interrupted_under_torchrun_it_goes_on_under_torchrun(tmp_path):
    job = torchrun(*train_words(tmp_path / "two"))
    while line := job.stderr.readline():  # the bar ends its lines with \\r: each is one reading of it
        if any(int(step) for step in re.findall(r"(\d+)/24", line)):
            break
    job.send_signal(signal.SIGTERM)  # torchrun hands it on
    _, err = job.communicate(timeout=120)
    assert err.count("the same command goes on") == 1
    assert 0 < int(checkpoint.read(tmp_path / "two")[0]["step"][0]) < 24
    job = torchrun(*train_words(tmp_path / "two"))
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0 and out.count("wrote") == 1, err
    assert err.count("[00:00<?") == 1  # one bar
    config = PRESETS["digits"]
    config = replace(config, train=replace(config.train, steps=24, batch_size=16, lr=2e-4))
    alone = train_run(config, tmp_path / "one", callbacks=CallbackConfig(progress=False))
    (two, record), (one, _) = checkpoint.read(tmp_path / "two"), checkpoint.read(alone)
    assert record["provenance"]["processes"] == 2 and set(two) == set(one)
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=0, atol=1e-4)  # of weights that moved by up to 4e-3


def test_a_batch_that_cannot_be_divided_is_one_sentence(tmp_path):
    job = torchrun(*train_words(tmp_path / "run")[:3], "--batch-size", "15", "--out", str(tmp_path / "run"))
    _, err = job.communicate(timeout=300)
    assert job.returncode != 0
    assert err.count("a batch of 15 cannot be divided evenly among 2 process(es)") == 1
    assert "choose a --batch-size that is a multiple of 2" in err and 'File "' not in err.split("ddpm train")[0]


def test_shares_cover_the_batch_once():
    for world, micro in ((1, 1), (2, 1), (3, 2), (4, 4)):
        parts = [s for rank in range(world) for s in Ranks(rank, world).shares(48, micro)]
        assert torch.equal(torch.cat([torch.arange(48)[s] for s in parts]), torch.arange(48))
        assert len({s.stop - s.start for s in parts}) == 1
    with pytest.raises(ValueError, match="multiple of 6"):
        Ranks(0, 3).shares(50, 2)


def test_alone_nothing_is_sent():
    x = torch.ones(3)
    ALONE.mean([x])
    assert ALONE.any(True) and not ALONE.any(False) and ALONE.same(7) and torch.equal(x, torch.ones(3))
