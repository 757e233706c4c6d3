"""What "auto" means on which machine."""

import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from ddpm_tools.train.speed import Hardware, Speed, bf16_pays, cpu_has_bf16, hardware, resolve
from tests.ddpm_tools.train.test_engine import bound


def test_what_auto_means():
    settings = {"fused", "bf16", "channels_last"}

    def on(speed):
        return {k for k in settings if getattr(speed, k)}

    cpu = resolve(Speed(), Hardware("cpu"), 35_000, 10**9)
    assert on(cpu) == set() and cpu.compile == "off" and cpu.check_every == 1 and cpu.data_on_device
    h100 = Hardware("cuda", free_bytes=80 * 10**9, bf16=True, compiler=True)
    gpu = resolve(Speed(), h100, 35_000, 10**9)
    assert on(gpu) == settings and gpu.compile == "default" and gpu.check_every > 1 and gpu.data_on_device
    assert resolve(Speed(), h100, 600).compile == "off"  # a run of seconds is over before its network is compiled
    assert not resolve(Speed(), h100, 35_000, 60 * 10**9).data_on_device
    old = resolve(Speed(), Hardware("cuda", 8 * 10**9), 35_000, 10**9)
    assert on(old) == {"fused"} and old.compile == "off"
    assert resolve(Speed(bf16=False, compile="eager"), h100, 35_000) == replace(gpu, bf16=False, compile="eager")
    assert on(resolve(Speed(), Hardware("mps"), 35_000)) == set()
    assert resolve(Speed(fused=False), h100, 35_000).check_every == 1
    with pytest.raises(ValueError, match="needs fused=on"):
        resolve(Speed(check_every=9), Hardware("cpu"), 35_000)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"compile": "yes"}, "compile must be one of auto, off"),
        ({"bf16": "maybe"}, "bf16 must be on, off or auto"),
        ({"micro_batches": 0}, "micro_batches must be a number of at least 1"),
        ({"check_every": "often"}, "check_every must be a number"),
        ({"compile": "graphs", "micro_batches": 2}, "use compile=default"),
    ],
)
def test_wrong_speeds_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Speed(**wrong)


class Sleeps(nn.Module):
    """A network that takes some milliseconds, by precision."""

    def __init__(self, float32: float, bfloat16: float):
        super().__init__()
        self.milliseconds, self.gain = (float32, bfloat16), nn.Parameter(torch.ones(()))
        self.null_cond = torch.tensor([10])

    def forward(self, x, t, y):
        assert y.shape == t.shape == (len(x),)
        time.sleep(self.milliseconds[torch.is_autocast_enabled("cpu")] / 1000)
        return x * self.gain


@pytest.mark.parametrize(("float32", "bfloat16", "pays"), [(40, 20, True), (20, 40, False), (40, 39, False)])
def test_bfloat16_is_taken_where_it_saves_time(float32, bfloat16, pays):
    network = Sleeps(float32, bfloat16)
    before = torch.get_rng_state()
    assert bf16_pays(replace(bound(network), image_shape=(1, 8, 8)), 8, seconds=0.3) is pays
    assert network.gain.grad is None and torch.equal(torch.get_rng_state(), before)  # the run has not begun


def test_a_processor_without_bfloat16_is_known(monkeypatch):
    assert hardware("cpu").bf16 is cpu_has_bf16()
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    assert not hardware("cpu").bf16
