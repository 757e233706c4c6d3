"""Is code that would fail on a GPU told from code that would not? The expected answers are CUDA's own."""

import pytest
import torch

from autograder.child.fake_device import FakeDevice

X, Y, T = torch.arange(6.0).view(2, 3), torch.arange(3.0), torch.tensor([1, 0])

RUNS = {  # code in x, y, t on a GPU, and whether its result is there
    "x * y + 1": True,
    "x * torch.tensor(2.0) + torch.tensor([1.0])[0]": True,
    "x[torch.tensor([0, 1])]": True,
    "x[t] + x.index_select(0, t)": True,
    "torch.zeros(3, device=x.device) + y": True,
    "torch.zeros(3).to(x.device) + y": True,
    "torch.zeros(3).to(x) + y": True,
    "torch.arange(3).type_as(x) + y": True,
    "torch.full_like(y, 7) + x.new_zeros(3)": True,
    "torch.full((3,), torch.arange(3)[1], device=x.device) + y": True,
    "torch.tensor([1.0, 2.0, 3.0], device=y.device) + y": True,
    "torch.stack([row * 2 for row in x])": True,
    "torch.cat([a + b for a, b in zip(x, x.unbind())])": True,
    "sum(x.chunk(2))": True,
    "torch.einsum('ij,j->i', x, y)": True,
    "F.linear(x, x, None).softmax(-1)": True,
    "torch.where(x > 1, x, 0.0)": True,
    "x.clone().copy_(torch.zeros(2, 3))": True,
    "torch.zeros(2, 3).copy_(x)": False,
    "torch.zeros(3)": False,
    "x.cpu()": False,
    "x.cpu() + torch.zeros(3)": False,
    "torch.tensor([v.item() for v in y])": False,
    "torch.tensor(x.cpu().numpy()).to(x.device) * y": True,
    "(x if x.sum() > 0 else -x)": True,
    "torch.vmap(lambda row, k: row * k)(x, t.float())": True,
    "x * torch.vmap(lambda k: y[k] * torch.ones(()))(t)[:, None]": True,
    "torch.func.vmap(lambda row: row.sum())(x).cpu()": False,
    "torch.vmap(lambda row: row * 2)(torch.ones(2, 3))": False,
    "x.new_tensor([1.0, 2.0, 3.0]) + y.new_full((3,), 2)": True,
    "torch.asarray([1.0, 2.0, 3.0], device=x.device) + torch.zeros(3).to(device=x.device)": True,
    "torch.empty_like(y).fill_(3) + torch.full((3,), 2.0, device=x.device)": True,
    "F.one_hot(t, 3) * y": True,
    "torch.zeros(2, 3).to(x.device, torch.float64).scatter_(1, t[:, None], 1.0) + x": True,
    "torch.nn.functional.pad(y, (1, 1)).unfold(0, 3, 1).mT @ y": True,
}
FAILS = [
    "x + torch.zeros(3)",
    "torch.arange(2)[t]",
    "torch.linspace(0, 1, 3) * y",
    "torch.cat([y, torch.zeros(3)])",
    "torch.where(x > 1, x, torch.zeros(2, 3))",
    "F.linear(x, torch.ones(4, 3))",
    "x.add_(torch.ones(3))",
    "torch.zeros(3, device='cpu') + y",
    "x.to('cpu') + y",
    "x.numpy()",
    "(torch.arange(2) == t)",
]


def place(code):
    x, y, t = X.clone(), Y.clone(), T.clone()
    with FakeDevice([x, y, t]) as mode:
        out = eval(code, {"x": x, "y": y, "t": t, "torch": torch, "F": torch.nn.functional})
    return mode.holds(out), out


@pytest.mark.parametrize("code", RUNS)
def test_what_runs_on_a_gpu_runs(code):
    there, out = place(code)
    assert there == RUNS[code]
    expected = eval(code, {"x": X, "y": Y, "t": T, "torch": torch, "F": torch.nn.functional})
    assert torch.equal(out, expected)  # the values are the real ones


@pytest.mark.parametrize("code", FAILS)
def test_what_fails_on_a_gpu_fails(code):
    with pytest.raises((RuntimeError, TypeError), match="cuda"):
        place(code)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees():
    names = {"x": X.cuda(), "y": Y.cuda(), "t": T.cuda(), "torch": torch, "F": torch.nn.functional}
    for code, there in RUNS.items():
        assert eval(code, names).is_cuda == there, code
    for code in FAILS:
        with pytest.raises((RuntimeError, TypeError)):
            eval(code, names)
