"""Tests without a GPU whether code would run on one: the inputs count as on another device, and must not mix with
tensors on the CPU.

The mode sees every call of a torch function with its arguments. A tensor is elsewhere if it was given as such or comes
from one that is. What is made without a device is on the CPU. The rules are CUDA's: no mixing, except with 0-d tensors
on the CPU, when copying, and for indices on the CPU.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._functorch import apis
from torch.overrides import TorchFunctionMode

MIXED = "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"
MAY_MIX = {"copy_", "__setitem__", "to", "type_as", "view_as", "expand_as", "reshape_as", "tensor", "as_tensor"}
MAKES = {"tensor", "scalar_tensor", "full"}  # these make a new tensor from values, whatever device those are on


def tensors_in(x: Any) -> Iterator[Tensor]:
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, dict):
        yield from tensors_in(list(x.values()))
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from tensors_in(item)


class FakeDevice(TorchFunctionMode):
    """A mode in which `tensors` count as being on another device."""

    def __init__(self, tensors: Iterable[Tensor]):
        super().__init__()
        self.there: dict[int, Tensor] = {}  # keeps the tensors alive, so that no id is reused
        self.mapped = False  # inside torch.vmap, whose tensors are not the ones it was given
        self.add(tensors)

    def __enter__(self) -> Any:
        self.vmap, apis.vmap_impl = apis.vmap_impl, self._vmap
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        apis.vmap_impl = self.vmap
        super().__exit__(*exc)

    def _vmap(self, func: Any, in_dims: Any, out_dims: Any, randomness: Any, chunk_size: Any, *args: Any, **kw: Any):
        """Do what torch.vmap does. Its result is elsewhere if one of its arguments is."""
        before, self.mapped = self.mapped, True
        try:
            out = self.vmap(func, in_dims, out_dims, randomness, chunk_size, *args, **kw)
        finally:
            self.mapped = before
        if not before and any(self.holds(x) for x in tensors_in((args, kw))):
            self.add(tensors_in(out))
        return out

    def add(self, tensors: Iterable[Tensor]) -> None:
        self.there.update((id(x), x) for x in tensors)

    def holds(self, x: Any) -> bool:
        return isinstance(x, Tensor) and id(x) in self.there

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if self.mapped:
            return func(*args, **kwargs)
        given = list(tensors_in((args, kwargs)))
        there = any(self.holds(x) for x in given)
        if there and name in ("numpy", "__array__"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
        here = [x for x in given if not self.holds(x) and x.dim() > 0]
        indexes = name in ("__getitem__", "index_select", "gather") and self.holds(args[0])
        if there and here and not indexes and name not in MAY_MIX:
            raise RuntimeError(MIXED)
        out = func(*args, **kwargs)
        if name == "__iter__":
            out = list(out)
        goes = self._goes_there(name, args, kwargs, given, there)
        if isinstance(out, Tensor) and name in ("cpu", "to") and goes != self.holds(out):
            out = out.clone()  # a move to another device is a copy
        if goes:
            self.add(tensors_in(out))
        return iter(out) if name == "__iter__" else out

    def _goes_there(self, name: str, args: tuple, kwargs: dict, given: list[Tensor], there: bool) -> bool:
        if name == "cpu":
            return False
        wanted = [x for x in (*args[1:], kwargs.get("device")) if isinstance(x, torch.device)]
        if name == "to" or name in MAKES or not given:
            if wanted:  # some tensor's x.device; the string "cpu" means the CPU
                return True
            in_words = "cpu" in [a for a in (*args, kwargs.get("device")) if isinstance(a, str)]
            if in_words or name in MAKES or not given:
                return False
            others = [x for x in (*args[1:], kwargs.get("other")) if isinstance(x, Tensor)]
            return self.holds(others[0]) if others else there
        if name == "type_as":
            return self.holds(args[1])
        if name in ("copy_", "__setitem__"):
            return self.holds(args[0])
        return there
