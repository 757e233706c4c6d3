"""Two processes of a real `torchrun` against one process with the same global batch."""

import os
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
from tests.ddpm_tools.train.standing import SIGN
from tests.ddpm_tools.train.test_engine import begin, steps_of

CONFIG = TrainConfig(steps=8, batch_size=16, warmup=2, ema_decay=0.9, flip=True)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

TRAIN = ["train", "--batch-size", "16", "--steps", "8", "--lr", "2e-4", "--no-log"]

# One start for several checks: importing torch takes longer than any of them. The first training waits to be
# stopped, and the second is refused, which ends the group.
WORKER = """
import os, sys
from contextlib import nullcontext
from pathlib import Path
import torch
from safetensors.torch import save_file
from ddpm_tools.cli import train
from ddpm_tools.cli.main import main
from ddpm_tools.train.distributed import processes
from tests.ddpm_tools.train.standing import stand_still
from tests.ddpm_tools.train.test_distributed import CONFIG, TRAIN
from tests.ddpm_tools.train.test_engine import begin, steps_of

out, codes = Path(sys.argv[1]), []
torch.set_num_threads(1)
with processes(os.environ, "cpu") as group:
    ranks = group[0]
    state, engine = begin(config=CONFIG, ranks=ranks)
    losses = [r.loss for r in steps_of(state, engine, CONFIG)]
    tensors = {f"ema.{k}": v for k, v in state.ema.module.state_dict().items()} | {"losses": torch.stack(losses)}
    tensors |= {f"model.{k}": v for k, v in state.model.state_dict().items()}
    save_file({k: v.clone() for k, v in tensors.items()}, out / f"{ranks.rank}.safetensors")
    assert ranks.any(ranks.rank == 1) and not ranks.any(False)
    assert ranks.same(5) and not ranks.same(ranks.rank)
    train.processes = lambda *_: nullcontext(group)  # one process joins one group
    stand_still(after=3)
    for words in (["--out", str(out / "two")], ["--batch-size", "15", "--out", str(out / "odd")]):
        try:
            main([*TRAIN, *words])
        except SystemExit as e:
            codes.append(e.code)
left = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").glob("*")]
assert not [name for name in left if "gloo" in name], left  # at the interpreter's end such a thread may abort it
(out / f"{ranks.rank}.codes").write_text(str(codes))
"""


def torchrun(*words):
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONFAULTHANDLER": "1"}  # an abort shall say where
    return subprocess.Popen([*TORCHRUN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder that the worker wrote to, and what it said until it was stopped."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "worker.py").write_text(WORKER)
    job = torchrun(str(folder / "worker.py"), str(folder))
    said = []
    while line := job.stderr.readline():
        said.append(line)
        if SIGN in line:
            break
    job.send_signal(signal.SIGTERM)  # torchrun hands it on
    _, rest = job.communicate(timeout=300)
    assert SIGN in said[-1], "".join(said)
    return folder, "".join(said) + rest


def test_two_processes_equal_one(stopped):
    a, b = (load_file(stopped[0] / f"{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    torch.manual_seed(0)
    one, engine = begin(config=CONFIG)
    losses = [report.loss for report in steps_of(one, engine, CONFIG)]
    torch.testing.assert_close(a["losses"], torch.stack(losses), rtol=1e-5, atol=1e-6)
    for prefix, module in (("model.", one.model), ("ema.", one.ema.module)):
        for k, v in module.state_dict().items():
            torch.testing.assert_close(a[prefix + k], v, rtol=0, atol=1e-6)


def test_interrupted_under_torchrun_it_goes_on_under_torchrun(stopped, tmp_path):
    folder, err = stopped
    assert [(folder / f"{rank}.codes").read_text() for rank in (0, 1)] == ["[143, 2]", "[143, 1]"], err
    assert err.count("the same command goes on") == 1
    assert int(checkpoint.read(folder / "two")[0]["step"][0]) == 3
    job = torchrun("-m", "ddpm_tools.cli", *TRAIN, "--out", str(folder / "two"))
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0 and out.count("wrote") == 1, err
    assert err.count("[00:00<?") == 1  # one bar
    config = PRESETS["digits"]
    config = replace(config, train=replace(config.train, steps=8, batch_size=16, lr=2e-4))
    alone = train_run(config, tmp_path / "one", callbacks=CallbackConfig(progress=False))
    (two, record), (one, _) = checkpoint.read(folder / "two"), checkpoint.read(alone)
    assert record["provenance"]["processes"] == 2 and set(two) == set(one)
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=0, atol=1e-4)  # of weights that moved by up to 9e-4


def test_a_batch_that_cannot_be_divided_is_one_sentence(stopped):
    err = stopped[1]
    assert err.count("a batch of 15 cannot be divided evenly among 2 process(es)") == 1
    assert "choose a --batch-size that is a multiple of 2" in err
    assert f'File "{os.getcwd()}/ddpm' not in err  # torchrun's own lines may come from an environment in this folder


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
