"""Process-wide settings that an answer may change, and replacements for compilers, which do not exist here."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from autograder.child.notebook import Note, cell_of


def default_device() -> str:
    """Return the default device's type. Torch's own function for this would look for a GPU."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return context.device.type if context else "none"


MODES = {  # name: (getter, setter)
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "default device": (default_device, lambda device: torch.set_default_device(None)),
    "autocast": (lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "precision of products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms,
    ),
}  # fmt: skip


@contextmanager
def kept(note: Note) -> Iterator[None]:
    """Restore on exit whatever settings were changed inside, so that they affect no later request."""
    before = {name: get() for name, (get, _) in MODES.items()}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for name, (get, put) in MODES.items():
                if get() != before[name]:
                    note(f"mode: {name}")
                    put(before[name])


def uncompiled(note: Note) -> None:
    """Make functions and networks that an answer compiles run uncompiled: compilers need tools that are not here."""
    os.environ |= {"TORCHDYNAMO_DISABLE": "1", "TORCH_COMPILE_DISABLE": "1"}

    def as_written(*args: Any, **options: Any) -> Any:
        if cell_of(sys._getframe(1).f_code.co_filename):
            note("compiled")
        given = [*args[:1], *(options[name] for name in ("model", "obj", "func", "mod") if name in options)]
        return given[0] if given and given[0] is not None else lambda thing: thing

    torch.compile = as_written
    nn.Module.compile = lambda self, *args, **options: note("compiled")
    for name in ("script", "trace", "trace_module", "freeze", "optimize_for_inference"):
        setattr(torch.jit, name, as_written)
