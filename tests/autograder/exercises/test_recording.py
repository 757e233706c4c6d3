"""Networks as data: what is recorded learns as the network itself does, and keeps nothing from call to call."""

import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.authoring import mutants
from autograder.authoring.references import cells, designs
from autograder.child.answers import load
from autograder.child.replay import Network, operation
from autograder.child.unconditional import Learner
from autograder.exercises.architecture import questions
from autograder.exercises.architecture.asking import environment
from ddpm_core.schedule import DiffusionSchedule


def recorded(build, training=True, batch=8):
    """The recording of what build() makes, as the gate asks for it."""
    rng = torch.Generator().manual_seed(1)
    x = {f"x{i}": torch.randn(batch, 1, 8, 8, generator=rng) for i in (0, 1)}
    x |= {f"t{i}": torch.randint(1000, (batch,), generator=rng) for i in (0, 1)}
    header = {"environment": environment(), "seed": 3, "training": training}
    return questions.record({"build_model": lambda device: build()}, header, x)[1]


def of_cells(design):
    return load(cells("architecture", design), {}, questions.setup())["build_model"]


@pytest.mark.parametrize("design", ["own_unet", "flat"])
def test_a_recording_learns_as_the_network_does(design):
    """Three steps of each: the same losses, and the same averaged weights."""
    build, rng, losses, averages = of_cells(design), torch.Generator().manual_seed(2), [], []
    x = {"x0": torch.randn(3, 8, 1, 8, 8, generator=rng), "eps": torch.randn(3, 8, 1, 8, 8, generator=rng)}
    x |= {"t": torch.randint(1000, (3, 8), generator=rng), "lr": torch.full((3,), 1e-3)}
    train = {"ema_decay": 0.99, "weight_decay": 1e-2, "grad_clip": 1.0}
    plain = questions.build({"build_model": build}, environment(), 3)
    for model in (plain, Network(recorded(lambda: build("cpu")))):
        learner = Learner(model, train)
        abar = DiffusionSchedule.named().alphas_cumprod
        losses.append(learner.learn(x, abar, questions.noise, lambda m, xt, t: getattr(m(xt, t), "sample", m(xt, t))))
        averages.append(list(learner.ema.module.parameters()))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(*averages, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def known_right():
    yield from ((d, cells("architecture", d)) for d in designs("architecture") if designs("architecture")[d].kind in
                ("reference", "design", "control"))  # fmt: skip
    for bank in mutants.banks("architecture"):
        yield from ((name, {bank.answer: source}) for name, source in bank.right.items())


@pytest.mark.parametrize(("name", "answer"), known_right())
def test_every_known_answer_is_recorded(name, answer):
    """Controls as well: the limits were made from their trainings."""
    build = load(answer, {}, questions.setup())["build_model"]
    for training in (True, False):
        made = recorded(lambda: build("cpu"), training, batch=2)
        plain = questions.build({"build_model": lambda device: build("cpu")}, environment(), 3)
        assert sum(v.numel() for k, v in made.items() if k[0] == "w") == sum(p.numel() for p in plain.parameters())
        assert all(torch.equal(p, made[f"w{i}"]) for i, p in enumerate(plain.parameters()))


class Small(nn.Module):
    """A right network with something unusual in its middle; `middle(net, h, t)`, h (B, 16, 8, 8)."""

    def __init__(self, middle, **layers):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 1, 3, padding=1)
        self.time, self.middle = nn.Embedding(1000, 16), middle
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x, t):
        h = self.first(x) + self.time(t)[:, :, None, None]
        return SimpleNamespace(sample=self.last(self.middle(self, F.silu(h), t)))


class Swish(torch.autograd.Function):
    """With its own gradient, which is right."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.sigmoid() + x * x.sigmoid() * (1 - x.sigmoid()))


class Straight(torch.autograd.Function):
    """With a gradient that is none of it."""

    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


def counted(net, h, t):
    net.count += 1
    return h


def in_place(net, h, t):
    h[:, 0] = 0
    h[h > 1] = 1.0
    return F.dropout(h, 0.1, net.training)


def tokens(h):
    return h.flatten(2).transpose(1, 2)  # (B, 64, 16)


def image(n):
    return n.transpose(1, 2).unflatten(2, (8, 8))  # (B, 16, 8, 8)


def masked(net, h, t):
    n, mask = tokens(h), torch.full((64, 64), float("-inf")).triu(1)
    return h + image(net.layer(n, n, n, attn_mask=mask)[0])


RIGHT = {
    "weight norm": lambda: Small(
        lambda net, h, t: net.layer(h), layer=nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 1))
    ),
    "a counter": lambda: Small(counted, count=nn.Buffer(torch.zeros((), dtype=torch.long))),
    "in place, and dropout": lambda: Small(in_place),
    "its own right gradient": lambda: Small(lambda net, h, t: Swish.apply(h)),
    "a mask of minus infinity": lambda: Small(masked, layer=nn.MultiheadAttention(16, 4, batch_first=True)),
    "a transformer's layer": lambda: Small(
        lambda net, h, t: image(net.layer(tokens(h))), layer=nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    ),
    "recurrent": lambda: Small(
        lambda net, h, t: image(net.layer(tokens(h))[0]), layer=nn.LSTM(16, 8, batch_first=True, bidirectional=True)
    ),
    "fft": lambda: Small(lambda net, h, t: torch.fft.irfft2(torch.fft.rfft2(h) * torch.arange(1.0, 6.0))),
    "checkpoint": lambda: Small(
        lambda net, h, t: torch.utils.checkpoint.checkpoint(net.layer, h, use_reentrant=False),
        layer=nn.Conv2d(16, 16, 1),
    ),
    "an assertion on values": lambda: Small(lambda net, h, t: h if bool(torch.isfinite(h).all()) else None),
    "two uses of one layer": lambda: Small(
        lambda net, h, t: net.layer(F.relu(net.layer(h))), layer=nn.Conv2d(16, 16, 1)
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_networks_of_every_kind_are_recorded(name):
    rng = torch.Generator().manual_seed(5)
    x, t = torch.randn(8, 1, 8, 8, generator=rng), torch.randint(1000, (8,), generator=rng)
    for training in (True, False):
        network = Network(recorded(RIGHT[name], training)).train(training)
        plain = questions.build({"build_model": lambda device: RIGHT[name]()}, environment(), 3).train(training)
        with torch.no_grad():
            torch.manual_seed(1)
            out = plain(x, t).sample
            torch.manual_seed(1)
            torch.testing.assert_close(network(x, t), out, rtol=1e-4, atol=1e-5)


WRONG = {
    "batch norm": (
        lambda: Small(lambda net, h, t: net.layer(h), layer=nn.BatchNorm2d(16)),
        r"buffer `layer\.running_mean",
    ),
    ".item()": (lambda: Small(lambda net, h, t: h * h.mean().item()), r"values outside torch"),
    ".numpy()": (
        lambda: Small(lambda net, h, t: h * torch.from_numpy(t.numpy() / 1e3).float().view(-1, 1, 1, 1)),
        "outside",
    ),
    "a coin": (lambda: Small(lambda net, h, t: h * 2 if torch.rand(()) < 0.5 else h), "at random in Python"),
    "another gradient": (lambda: Small(lambda net, h, t: Straight.apply(h)), "gradients of its own"),
    "far too large": (lambda: Small(lambda net, h, t: h, layer=nn.Linear(4000, 4000)), "16,0.*make it smaller"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_recorded_is_refused_in_one_sentence(name):
    build, says = WRONG[name]
    with pytest.raises(ValueError, match=says) as caught:
        recorded(build)
    assert len(str(caught.value)) <= 300  # what is longer, the child cuts


@pytest.mark.parametrize(
    "name",
    [
        *(
            "aten.from_file.default",
            "aten.set_.source_Tensor",
            "aten.resize_.default",
            "aten._local_scalar_dense.default",
        ),
        *("aten.empty_strided.default", "aten.new_empty_strided.default", "aten._empty_affine_quantized.default"),
        *(
            "aten._unsafe_index.Tensor",
            "aten.max_pool2d_with_indices_backward.default",
            "aten.embedding_bag.padding_idx",
        ),
        *(
            "aten.fbgemm_linear_fp16_weight.default",
            "aten._foobar.default",
            "aten.item.default",
            "aten._backward.default",
        ),
        *("prims.add.default", "aten.add", "aten.add.__class__", "aten.__class__.default", "os.system.default", "", 7),
    ],
)
def test_operations_that_do_more_than_compute_are_refused(name):
    with pytest.raises(ValueError, match="does not allow"):
        operation(name)


def forged(nodes, out, **tensors):
    text = json.dumps({"nodes": nodes, "out": out}).encode()
    return Network({"recording": torch.frombuffer(bytearray(text), dtype=torch.uint8), **tensors})


def tensor(name):
    return ["tensor", name]


KEPT = {  # each writes what it sees into something that is there in the next call, and answers with what was there
    "a weight": ["aten.copy_.default", [tensor("w0"), tensor("x")], {}, ["w0"], False],
    "a frozen weight": ["aten.copy_.default", [tensor("f1"), tensor("x")], {}, ["f1"], True],
    "a buffer": ["aten.add_.Tensor", [tensor("b2"), tensor("x")], {}, ["b2"], True],
    "a constant": ["aten.copy_.default", [tensor("c0"), tensor("x")], {}, ["c0"], True],
    "a running mean": [
        *("aten.native_batch_norm.default", [tensor("x"), None, None, tensor("r0"), tensor("r1"), True, 1.0, 1e-5]),
        *({}, [90, 91, 92], False),
    ],
}


@pytest.mark.parametrize("place", KEPT)
def test_nothing_is_kept_from_one_call_to_the_next(place):
    shape = (2, 3, 8, 8)
    held = {n: torch.zeros(shape) for n in ("w0", "f1", "b2", "c0")} | {"f8": torch.zeros(3), "f9": torch.ones(3)}
    first = [
        ["aten.add.Tensor", [tensor("w0"), tensor("f1")], {}, [0], True],
        ["aten.add.Tensor", [tensor("b2"), tensor("c0")], {}, [1], True],
        ["aten.add.Tensor", [tensor(0), tensor(1)], {}, [2], True],
        ["aten.view.default", [tensor("f8"), ["list", [1, 3, 1, 1]]], {}, [3], True],
        ["aten.add.Tensor", [tensor(2), tensor(3)], {}, [4], True],
    ]
    last = json.loads(json.dumps(KEPT[place]).replace('"r0"', '"f8"').replace('"r1"', '"f9"'))
    network, x, t = forged([*first, last], 4, **held), torch.ones(shape), torch.zeros(2)
    for _ in range(2):
        assert network(x, t).abs().max() == 0
    assert x.eq(1).all() and network.w0.abs().max() == 0
    # the same written before it is read shows that the operation does write
    assert forged([last, *first], 4, **held)(x, t).abs().max() == 1


def test_memory_that_nobody_wrote_is_empty():
    """Freed memory holds what was computed before."""
    for op, args in (
        ("aten.empty.memory_format", [["list", [2, 1, 8, 8]]]),
        ("aten.empty_like.default", [tensor("x")]),
        ("aten.new_empty.default", [tensor("x"), ["list", [2, 1, 8, 8]]]),
    ):
        for _ in range(5):
            del_me = torch.full((2, 1, 8, 8), 7.0)
            del del_me
            assert forged([[op, args, {}, [0], True]], 0)(torch.ones(2, 1, 8, 8), torch.zeros(2)).abs().max() == 0
