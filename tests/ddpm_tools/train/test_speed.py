"""What "auto" means on which machine."""

from dataclasses import replace

import pytest

from ddpm_tools.train.speed import Hardware, Speed, resolve


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
        ({"micro_batches": 0}, "micro_batches must be a number from 1 on"),
        ({"check_every": "often"}, "check_every must be a number"),
        ({"compile": "graphs", "micro_batches": 2}, "use compile=default"),
    ],
)
def test_wrong_speeds_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Speed(**wrong)
