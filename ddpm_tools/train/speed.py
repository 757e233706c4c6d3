"""What makes training fast without changing the mathematics: one config, whose "auto" a pure function resolves."""

from __future__ import annotations

import copy
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import nn

from ddpm_core.diffusion import Diffusion

Switch = bool | Literal["auto"]
COMPILE = {
    "off": None,
    "default": {"mode": "default"},
    "graphs": {"mode": "reduce-overhead"},  # CUDA graphs: kernels are not launched one by one
    "eager": {"backend": "eager"},  # traced but not compiled: a cheap test whether a network can be
}


@dataclass(frozen=True)
class Speed:
    """How to compute, never what: a run can be resumed with other values. `resolve` replaces every "auto"."""

    bf16: Switch = "auto"  # autocast of the forward pass; weights, moments, loss and EMA stay in float32
    compile: str = "auto"  # a key of COMPILE
    channels_last: Switch = "auto"  # the layout preferred by half-precision convolutions
    fused: Switch = "auto"  # AdamW in one kernel, which can also skip a bad step by itself: see `check_every`
    data_on_device: Switch = "auto"  # all images as uint8 on the network's device, so that no batch is copied
    check_every: int | Literal["auto"] = "auto"  # steps between checks of the loss: each check makes the GPU idle
    micro_batches: int = 1  # parts of a batch whose gradients are added: less memory, the same result

    def __post_init__(self) -> None:
        if self.compile not in ("auto", *COMPILE):
            raise ValueError(f"compile must be one of auto, {', '.join(COMPILE)}, got '{self.compile}'")
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type == "Switch" and value not in (True, False, "auto"):
                raise ValueError(f"{f.name} must be on, off or auto, got '{value}'")
        for name in ("check_every", "micro_batches"):
            value = getattr(self, name)
            if (name, value) != ("check_every", "auto") and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} must be a number of at least 1, got '{value}'")
        if self.compile == "graphs" and self.micro_batches > 1:
            raise ValueError("compile=graphs overwrites the gradients of earlier micro-batches; use compile=default")


@dataclass(frozen=True)
class Hardware:
    """The hardware properties on which the choice depends."""

    kind: str  # cpu, cuda or mps
    free_bytes: int = 0  # free memory of a GPU, in bytes
    bf16: bool = False  # supported in hardware; emulated, it is slower than float32
    compiler: bool = False  # whether torch.compile can generate kernels for it


def hardware(device: torch.device | str) -> Hardware:
    """The properties of a device."""
    device = torch.device(device)
    if device.type != "cuda":
        return Hardware(device.type, bf16=device.type == "cpu" and cpu_has_bf16())
    capability = torch.cuda.get_device_capability(device)
    triton = importlib.util.find_spec("triton") is not None and capability >= (7, 0)
    return Hardware("cuda", torch.cuda.mem_get_info(device)[0], capability >= (8, 0), triton)


def cpu_has_bf16() -> bool:
    """Whether oneDNN supports bfloat16 on this processor; for whether it is faster, see `bf16_pays`."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)  # private, so it may disappear
    return supported is not None and bool(supported())


def bf16_pays(diffusion: Diffusion, batch_size: int, seconds: float = 2.0) -> bool:
    """Whether bfloat16 saves at least a tenth of a training step, timed alternately with float32 for some seconds."""
    network, batch = copy.deepcopy(diffusion.network).train(), min(batch_size, 64)
    xt = torch.randn(batch, *diffusion.shape, generator=torch.Generator().manual_seed(0))  # (B, C, H, W)
    null = diffusion.null_cond
    t, y = torch.zeros(batch, dtype=torch.long), null.expand(batch, *null.shape[1:])  # (B,), (B,) or (B, S)
    taken: dict[bool, list[float]] = {False: [], True: []}
    end = time.monotonic() + seconds
    while len(taken[True]) < 2 or time.monotonic() < end:  # the first of each is a warm-up
        for half, times in taken.items():
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                out = network(xt, t, y)
            out.float().square().mean().backward()
            times.append(time.perf_counter() - start)
    return min(taken[True][1:]) < 0.9 * min(taken[False][1:])


def resolve(speed: Speed, hw: Hardware, steps: int, data_bytes: int = 0) -> Speed:
    """Every "auto" decided. On a CPU all stays plain float32; `train_run` has checked before whether bfloat16 pays."""
    gpu = hw.kind == "cuda"
    fused = gpu if speed.fused == "auto" else speed.fused
    auto = {
        "bf16": gpu and hw.bf16,
        "compile": "default" if hw.compiler and steps >= 3000 else "off",  # compiling takes about a minute
        "channels_last": gpu and hw.bf16,
        "fused": fused,
        "data_on_device": not gpu or 2 * data_bytes <= hw.free_bytes,  # the other half is left for the network
        "check_every": 50 if gpu and fused else 1,
    }
    speed = replace(speed, **{k: v for k, v in auto.items() if getattr(speed, k) == "auto"})
    if speed.check_every > 1 and not speed.fused:
        raise ValueError("check_every above 1 needs fused=on: only the fused optimiser skips a bad step by itself")
    return speed


def compiled(model: nn.Module, speed: Speed) -> Callable[..., torch.Tensor]:
    """The network as a function; it shares its parameters with `model`."""
    options = COMPILE[speed.compile]
    return model if options is None else torch.compile(model, dynamic=False, **options)
