"""How the grader and the child communicate: in frames of JSON and tensors, with nothing that could be executed.

A message is `(header, tensors)`: a JSON object and named tensors. On the wire it is

    4 bytes  length of the JSON, big-endian
    8 bytes  length of the blob, big-endian
    JSON     UTF-8
    blob     safetensors, or nothing if there are no tensors

The parent sends a request, and the child replies. If an answer calls a model that is in the parent, the child first
sends `{"evaluate": true}` with the model's arguments, once for each call, and gets the result or
`{"refused": {"kind": …, "text": …}}`.

Both sides use this file. Everything the child sends must pass through `decode`, which trusts none of it.

The parent judges values. What it cannot compute itself it takes on the child's word: the device, the mode and the
autocast that an answer ran in, gradients, the number of parameters of a module that stays in the child, random numbers
drawn from the global stream, what became of inputs, the yardstick of a time budget. These decide 2.75 of 20 points in
`architecture`, 2.5 of 10 in `ema`, 2.25 of 10 in `adagn`, 1 of 20 in `conditioner` and in `prediction`, at most 1.5 of
10 elsewhere. A model, denoiser or field that an answer calls (`guided_sampling`, `interpolation`, `inversion`,
`ode_sampler`) is the parent's, which evaluates it and keeps what it was asked (exercises/served.py); the child holds no
table of it. The gates of `prediction` and `conditioner` train the course's network in the parent and take only the
values and gradients of the answer's part from the child. The gate of `architecture` takes a network as data
(recording.py) and trains it in a process that runs none of the answer's code.
"""

import json
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

PREFIX = struct.Struct(">IQ")  # length of the JSON, length of the blob
MAX_HEADER = 1 << 20  # bytes of JSON, and of the safetensors index: only a flood of names would need more
EVALUATE = "evaluate"  # in the header of a child's message that is no reply yet
MAX_DIMS = 16  # torch itself cannot compute with more than 64
DTYPES = {  # what checks can judge, with safetensors' names; no complex, no 8-bit floats
    **{torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"},
    **{torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"},
    **{torch.uint8: "U8", torch.bool: "BOOL"},
}

Tensors = dict[str, Tensor]
Message = tuple[dict, Tensors]
Serve = Callable[[Tensors], Message]  # evaluates the parent's model


def encode(header: dict, tensors: dict[str, Tensor] | None = None) -> bytes:
    """Return one frame. Raises ValueError or TypeError for what cannot be sent."""
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > MAX_HEADER:
        raise ValueError(f"the header has {len(text)} bytes, more than {MAX_HEADER}")
    blob = pack(tensors) if tensors else []
    return b"".join([PREFIX.pack(len(text), sum(map(len, blob))), text, *blob])


def pack(tensors: dict[str, Tensor]) -> list[bytes | np.ndarray]:
    """Return a safetensors file in parts. Its own `save` takes ten times as long, and a gate sends ten thousand."""
    index: dict[str, dict] = {}
    data: list[np.ndarray] = []
    end = 0
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name!r} is a {type(tensor).__name__}, not a tensor")
        if tensor.dtype not in DTYPES or tensor.layout != torch.strided:
            raise ValueError(f"{name!r} has dtype {tensor.dtype} and layout {tensor.layout}, which are not carried")
        plain = tensor.detach().cpu().resolve_neg().contiguous()
        if 0 in plain.stride():  # an expanded tensor with one element, or none, counts as contiguous
            plain = torch.empty(plain.shape, dtype=plain.dtype).copy_(plain)
        data.append(plain.view(-1).view(torch.uint8).numpy())
        start, end = end, end + len(data[-1])
        index[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(plain.shape), "data_offsets": [start, end]}
    head = json.dumps(index).encode()
    head += b" " * (-len(head) % 8)
    return [len(head).to_bytes(8, "little") + head, *data]


def decode(text: bytes, blob: bytes) -> Message:
    """Return the message in the two parts of a frame. Raises for anything that is not exactly one message."""
    if len(text) > MAX_HEADER:
        raise ValueError("the header is too long")
    header = json.loads(str(text, "utf-8"), parse_int=_number)
    if not isinstance(header, dict):
        raise ValueError(f"the header is a {type(header).__name__}, not an object")
    # json.loads also accepts NaN, 1e999 and half surrogate pairs, which would later break a database or a report
    json.dumps(header, allow_nan=False, ensure_ascii=False).encode()
    if not blob:
        return header, {}
    if len(blob) < 8 or int.from_bytes(blob[:8], "little") > MAX_HEADER:
        raise ValueError("the index of the tensors is too long")
    return header, {name: _checked(name, tensor) for name, tensor in load(blob).items()}


def read_message(file: BinaryIO) -> Message | None:
    """Return the next message, waiting as long as it takes; None at the end of the stream."""
    first = file.read(1)
    if not first:
        return None
    prefix = first + _exactly(file, PREFIX.size - 1)
    text_bytes, blob_bytes = PREFIX.unpack(prefix)
    return decode(_exactly(file, text_bytes), _exactly(file, blob_bytes))


def write_message(file: BinaryIO, header: dict, tensors: dict[str, Tensor] | None = None) -> None:
    """Send one message and flush it."""
    rest = memoryview(encode(header, tensors))
    while rest:  # an unbuffered file may write less than it was given
        rest = rest[file.write(rest) :]
    file.flush()


def _checked(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in DTYPES or tensor.dim() > MAX_DIMS:
        raise ValueError(f"tensor {name!r} has dtype {tensor.dtype} and {tensor.dim()} dimensions")
    # a bool whose byte is neither 0 nor 1 equals neither True nor False, and would mislead a check
    return tensor.view(torch.uint8) != 0 if tensor.dtype == torch.bool else tensor


def _number(digits: str) -> int:
    """Return an integer of at most 64 bits: a longer one overflows as soon as a check computes with it."""
    value = int(digits)
    if not -(2**63) <= value < 2**63:
        raise ValueError("a number in the header has more than 64 bits")
    return value


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)  # all of it from a buffered pipe: a gate sends gigabytes, so an extra copy would show
    while len(data) < count:
        part = file.read(count - len(data))
        if not part:
            raise EOFError("the stream ended inside a message")
        data += part
    return data
