"""A child that calls a model of the parent's in the middle of a request."""

from __future__ import annotations

import time

import pytest
import torch

from autograder.child import protocol
from autograder.child.fake_device import FakeDevice
from autograder.child.remote import Remote, evaluator
from autograder.exercises import served
from autograder.exercises.served import Served
from autograder.sandbox.child_process import Failure
from tests.autograder.sandbox.children import raw

CALL = 'send(frame({"evaluate": True}))\n'
THREE = "question()\nfor _ in range(3):\n    " + CALL + '    question()\nsend(frame({"n": 1}))\nquestion()\n'


def nothing() -> dict[str, torch.Tensor]:
    return {}


def failure(tmp_path, body: str, serve=None, timeout_s: float = 5.0) -> Failure:
    with raw(tmp_path, body) as child, pytest.raises(Failure) as caught:
        child.ask({}, timeout_s=timeout_s, serve=serve)
    return caught.value


def test_calls_are_answered_and_kept_before_the_reply_comes(tmp_path):
    model = Served(nothing)
    with raw(tmp_path, THREE) as child:
        assert child.ask({}, serve=model) == ({"n": 1}, {})
    assert model.asked == [{}] * 3 and model.again().asked == []


@pytest.mark.parametrize(
    ("body", "serve", "says"),
    [
        (THREE, None, "a model that this question does not have"),
        ("question()\nsend(frame({'evaluate': True}) * 2)\ntime.sleep(60)", Served(nothing), "before it was asked"),
        ("question()\nsend(frame({'evaluate': True}, b'12345678'))\ntime.sleep(60)", Served(nothing), "malformed"),
    ],
    ids=["no model", "two calls at once", "no tensors"],
)
def test_what_is_no_call_is_refused(tmp_path, body, serve, says):
    found = failure(tmp_path, body, serve)
    assert found.outcome == "invalid_output" and says in found.message


def test_a_child_cannot_call_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(served, "MOST_CALLS", 30)
    found = failure(tmp_path, "question()\nwhile True:\n    " + CALL + "    question()\n", Served(nothing))
    assert found.outcome == "timeout" and "more than 30 times" in found.message


def test_nor_with_inputs_without_end(monkeypatch):
    monkeypatch.setattr(served, "MOST_NUMBERS", 100)
    model = Served(lambda x: {"eps": x})
    for _ in range(2):
        model({"x": torch.ones(50)})
    with pytest.raises(Failure, match="huge inputs"):
        model({"x": torch.ones(1)})
    assert len(model.asked) == 2


def test_the_time_of_the_model_is_not_the_childs_but_sleep_between_calls_is(tmp_path):
    def slow() -> dict[str, torch.Tensor]:
        time.sleep(0.7)
        return {}

    with raw(tmp_path / "a", THREE) as child:
        assert child.ask({}, timeout_s=1.0, serve=Served(slow)) == ({"n": 1}, {})
    naps = "question()\nwhile True:\n    " + CALL + "    question()\n    time.sleep(0.1)\n"
    assert failure(tmp_path / "b", naps, Served(nothing), timeout_s=1.0).message.endswith("within 1 s.")


def exchange_with(model: Served):
    """What the wire does between evaluator and parent."""

    def exchange(frame: bytes) -> protocol.Message:
        size = protocol.PREFIX.size
        text, _ = protocol.PREFIX.unpack(frame[:size])
        header, given = protocol.decode(frame[size : size + text], frame[size + text :])
        assert header == {protocol.EVALUATE: True}
        return model(given)

    return exchange


def doubled(x: torch.Tensor, t: torch.Tensor) -> dict[str, torch.Tensor]:
    served.images("the model", x, (1, 2, 2))
    return {"eps": 2 * x + served.whole("the model", "t", t, len(x), 5).view(-1, 1, 1, 1)}


X, T = torch.ones(3, 1, 2, 2), torch.tensor([0, 4, 2])


@pytest.mark.parametrize(
    ("x", "t", "kind", "says"),
    [
        (X[:, :, 0], T, ValueError, "expects images of shape"),
        (X[:0], T[:0], ValueError, "expects images of shape"),
        (X, T[:2], ValueError, "expects one of t for each image"),
        (X, T.float(), TypeError, "expects whole numbers for t"),
        (X, T > 1, TypeError, "expects whole numbers for t"),
        (X, T + 1, IndexError, "takes t from 0 to 4, but got 5"),
        (X, -T, IndexError, "takes t from 0 to 4, but got -4"),
        (X, 3, TypeError, "t must be Tensor, not int"),
        (X, T.to(torch.complex64), ValueError, "not carried"),
    ],
)
def test_what_does_not_fit_is_raised_where_the_model_was_called_and_not_kept(x, t, kind, says):
    model = Served(doubled)
    with pytest.raises(kind, match=says):
        Remote(evaluator(exchange_with(model)), torch.ones(1))(x=x, t=t)
    assert model.asked == []


@pytest.mark.parametrize("given", [{}, {"x": X}, {"x": X, "t": T, "y": T}, {"x": X, "t": T, "self": T}])
def test_other_arguments_are_refused(given):
    header, out = (model := Served(doubled))(given)
    assert header["refused"]["kind"] == "TypeError" and out == {} and model.asked == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_result_is_the_models_to_the_last_bit(dtype):
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    model = Served(doubled)
    weight = torch.nn.Parameter(torch.ones(1))
    out = Remote(evaluator(exchange_with(model)), weight)(x=x, t=T)["eps"]
    assert out.dtype == dtype and torch.equal(out, doubled(x, T)["eps"]) and out.requires_grad
    assert torch.equal(model.asked[0]["x"], x) and torch.equal(model.asked[0]["t"], T)
    with torch.inference_mode():
        assert not Remote(evaluator(exchange_with(model)), weight)(x=x, t=T)["eps"].requires_grad


def test_the_model_is_on_the_device_of_its_weight():
    x, t, weight = X.clone(), T.clone(), torch.ones(1)
    remote = Remote(evaluator(exchange_with(Served(doubled))), weight)
    with FakeDevice([x, t, weight]) as place:
        assert place.holds(remote(x=x, t=t)["eps"])
        for wrong in ({"x": torch.ones(3, 1, 2, 2), "t": t}, {"x": x, "t": torch.tensor([0, 4, 2])}):
            with pytest.raises(RuntimeError, match="same device"):
                remote(**wrong)
