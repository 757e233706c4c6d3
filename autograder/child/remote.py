"""Calls a model that is in the parent's process.

The answer gets an object that sends its arguments to the parent, in the middle of a request, and returns what comes
back. So the model's tables cannot be read here, and the parent knows itself what the model was asked.
"""

import builtins
from collections.abc import Callable

import torch
from torch import Tensor

from autograder.child import protocol
from autograder.child.protocol import Message, Tensors

Exchange = Callable[[bytes], Message]  # sends a frame and returns the message that answers it
Evaluate = Callable[[Tensors], Tensors]


def evaluator(exchange: Exchange) -> Evaluate:
    """Return a function that lets the parent evaluate the model of the open request.

    It raises what the model raises for arguments that do not fit together.
    """

    def evaluate(given: Tensors) -> Tensors:
        with torch._C.DisableTorchFunction():  # a mode that watches the answer need not see how tensors are sent
            header, out = exchange(protocol.encode({protocol.EVALUATE: True}, given))
        if refused := header.get("refused"):
            raise getattr(builtins, refused["kind"], RuntimeError)(refused["text"])
        return out

    return evaluate


class Remote:
    """model(x=x, t=t, …) -> tensors by name, for an exercise's questions to wrap.

    `weight` is all that the model has here: torch.ones(1), where the model's parameters count as being. As with a real
    model, arguments must be there too, and results depend on it, so that they require a gradient if it does. No
    gradient reaches the arguments.
    """

    def __init__(self, evaluate: Evaluate, weight: Tensor):
        self.evaluate, self.weight = evaluate, weight

    def __call__(self, **given: Tensor) -> Tensors:
        for name, value in given.items():
            if not isinstance(value, Tensor):
                raise TypeError(f"{name} must be Tensor, not {type(value).__name__}")
            value.detach() + self.weight.detach()  # fails if they are on different devices
        out = self.evaluate(given)
        return {name: value.to(self.weight.device) * self.weight.to(value.dtype) for name, value in out.items()}
