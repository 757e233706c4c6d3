"""What may cross the wire, and what a lying child may not get across."""

from __future__ import annotations

import io
import json

import pytest
import torch
from safetensors.torch import save

from autograder.child import protocol


def test_messages_follow_each_other_in_a_file():
    file = io.BytesIO()
    protocol.write_message(file, {"n": 1}, {"x": torch.arange(3)})
    protocol.write_message(file, {"n": 2})
    end = file.tell()
    file.seek(0)
    header, tensors = protocol.read_message(file)
    assert header == {"n": 1} and tensors["x"].tolist() == [0, 1, 2]
    assert protocol.read_message(file) == ({"n": 2}, {})
    assert protocol.read_message(file) is None
    for cut in (1, 5, end - 1):
        with pytest.raises(EOFError):
            broken = io.BytesIO(file.getvalue()[:cut])
            while protocol.read_message(broken):
                pass


def blob(index: dict, data: bytes) -> bytes:
    text = json.dumps(index).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], *offsets: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b'{"score": NaN}', b""),
        (b'{"score": 1e999}', b""),
        (b'{"parameters": 9223372036854775808}', b""),
        (b'{"name": "\\ud800"}', b""),
        (b'{"name": "\xff"}', b""),
        (b"{" + b" " * protocol.MAX_HEADER + b"}", b""),
        (b"{}", b"1234567"),
        (b"{}", (1 << 62).to_bytes(8, "little") + b"{}"),
        (b"{}", blob({"x": entry("F32", [2], 0, 4)}, bytes(4))),
        (b"{}", blob({"x": entry("F32", [1], 0, 4)}, bytes(8))),
        (b"{}", blob({"x": entry("F32", [1], 4, 8)}, bytes(8))),
        (b"{}", blob({"x": entry("F32", [1 << 62, 4], 0, 0)}, b"")),
        (b"{}", blob({"x": entry("F32", [1], 0, 4), "y": entry("F32", [1], 0, 4)}, bytes(4))),
        (b"{}", blob({"x": entry("C64", [1], 0, 8)}, bytes(8))),
        (b"{}", blob({"x": entry("F8_E5M2", [1], 0, 1)}, bytes(1))),
        (b"{}", blob({"x": entry("F32", [1] * 99, 0, 4)}, bytes(4))),
        (b"{}", blob({f"{i}": entry("F32", [0], 0, 0) for i in range(30_000)}, b"")),
        (b"{}", save({"x": torch.zeros(4)})[:-1]),
    ],
)
def test_decode_refuses_what_is_not_exactly_a_message(text, data):
    with pytest.raises(Exception):  # noqa: B017 - of any kind: the parent maps all to invalid_output
        protocol.decode(text, data)


def test_a_bool_is_true_or_false_whatever_its_bytes():
    _, tensors = protocol.decode(b"{}", blob({"x": entry("BOOL", [3], 0, 3)}, bytes([0, 1, 7])))
    assert tensors["x"].view(torch.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("header", "tensors"),
    [
        ({"x": float("nan")}, {}),
        ({"x": object()}, {}),
        ({"x": "x" * protocol.MAX_HEADER}, {}),
        ({}, {"x": [1.0]}),
        ({}, {"x": torch.zeros(1, dtype=torch.complex64)}),
        ({}, {"x": torch.eye(2).to_sparse()}),
    ],
)
def test_encode_refuses_what_decode_would(header, tensors):
    with pytest.raises((ValueError, TypeError)):
        protocol.encode(header, tensors)
