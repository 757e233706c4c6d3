import pytest
import torch
from diffusers import UNet2DModel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ddpm_core.conditioning import STRATEGIES, add_embeddings, strategy
from ddpm_core.network import Conditioning
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.export.diffusers_unet import to_diffusers_config, to_diffusers_weights
from ddpm_tools.unet2d import UNet2D, UNet2DConfig
from tests.ddpm_core.test_unet import perturbed

SMALL = UNet2DConfig(1, 8, 10, (32, 64), 1, (1,), groups=8)


def config(size=32, classes=10, widths=(32, 64, 64, 64), blocks=2, levels=(1,), channels=3, **more):
    return UNet2DConfig(channels, size, classes, widths, blocks, levels, **more)


def pair(c, dtype=torch.float32):
    """Our network, every parameter moved so that no norm is still the identity, and diffusers' with its weights."""
    ours = perturbed(build_unet(c, strategy("add" if c.num_classes else "none")), 0.02).to(dtype)
    theirs = UNet2DModel(**to_diffusers_config(c)).to(dtype).eval()
    theirs.load_state_dict(to_diffusers_weights(ours.state_dict(), c))
    return ours, theirs


def inputs(c, batch, rng, dtype=torch.float32):
    x = torch.randn(batch, c.image_channels, c.image_size, c.image_size, generator=rng, dtype=dtype)
    t = torch.randint(1000, (batch,), generator=rng)
    y = torch.randint(c.num_classes + 1, (batch,), generator=rng) if c.num_classes else None
    return x, t, y


@pytest.mark.parametrize("classes", [0, 10], ids=["unconditional", "classes"])
@pytest.mark.parametrize(
    "more",
    [
        {"levels": ()},
        {"levels": (1,)},  # 16×16 of 32×32: standard
        {"levels": (0, 1, 2, 3)},
        {"head_dim": 8},  # diffusers' own default
        {"eps": 0.1},
        {"widths": (32, 96), "blocks": 1, "levels": (0,), "size": 10, "channels": 1},
        {"widths": (64, 32, 96), "blocks": 3, "size": 12, "groups": 16, "head_dim": None},
        {"widths": (32,), "levels": (), "size": 7},  # one level has nothing to halve
        {"downsample_padding": 0, "freq_shift": 1, "flip_sin_to_cos": False, "eps": 1e-6, "head_dim": None},  # DDPM's
    ],
    ids=lambda m: " ".join(m),
)
def test_equals_diffusers_with_the_same_weights(more, classes, rng):
    c = config(classes=classes, **more)
    ours, theirs = pair(c)
    x, t, y = inputs(c, 3, rng)
    with torch.no_grad():
        out = theirs(x, t, class_labels=y).sample
        torch.testing.assert_close(ours(x, t, y), out, rtol=1e-5, atol=1e-5)
    assert out.std() > 0.1
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


def test_equals_diffusers_on_images_that_are_not_square(rng):
    ours, theirs = pair(config(size=8, widths=(32, 64)))
    x, t, y = torch.randn(2, 3, 6, 10, generator=rng), torch.tensor([0, 999]), torch.tensor([0, 10])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t, y), theirs(x, t, class_labels=y).sample, rtol=1e-5, atol=1e-5)


def test_gradients_equal_those_of_diffusers(rng):
    c = config(size=8, widths=(32, 64))
    ours, theirs = pair(c)
    x, t, y = inputs(c, 3, rng)
    ours(x, t, y).square().mean().backward()
    theirs(x, t, class_labels=y).sample.square().mean().backward()
    expected = {k: p.grad for k, p in theirs.named_parameters()}
    got = to_diffusers_weights({k: p.grad for k, p in ours.named_parameters()}, c)
    assert set(got) == set(expected)
    for k, g in got.items():
        torch.testing.assert_close(g, expected[k], rtol=1e-4, atol=1e-5 * float(expected[k].abs().max()) + 1e-7)


@st.composite
def shapes(draw):
    levels = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 2, 4, 8]))
    widths = tuple(groups * draw(st.integers(1, 3)) * 2 for _ in range(levels))
    size = 2 ** (levels - 1) * draw(st.integers(1, 4))
    attends = tuple(i for i in range(levels) if draw(st.booleans()))
    return config(
        size, draw(st.sampled_from([0, 3])), widths, draw(st.integers(1, 2)), attends, draw(st.integers(1, 4)),
        groups=groups, head_dim=draw(st.sampled_from([None, 2])),
    )  # fmt: skip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(shapes(), st.integers(1, 4), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_any_shape_and_dtype_equals_diffusers(c, batch, dtype):
    ours, theirs = pair(c, dtype)
    x, t, y = inputs(c, batch, torch.Generator().manual_seed(batch), dtype)
    with torch.no_grad():
        a, b = ours(x, t, y), theirs(x, t, class_labels=y).sample
    assert a.dtype == dtype and a.shape == x.shape
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-5, torch.bfloat16: 0.1}[dtype]  # of the output's own size
    assert (a - b).abs().max() <= tolerance * b.abs().max()


def parameters(name=None, classes=10, levels=(1,), **pair):
    c = config(classes=classes, widths=(64, 128, 128, 128), levels=levels)
    chosen = Conditioning(**pair) if pair else strategy(name)
    return sum(p.numel() for p in build_unet(c, chosen).parameters()) / 1e6


class PublishedGate(nn.Module):
    """The gated modulation as the public benchmark's answer has it: its norm keeps its own affine."""

    def __init__(self, channels, cond_dim):
        super().__init__()
        self.norm, self.proj = nn.GroupNorm(32, channels), nn.Linear(cond_dim, 3 * channels)


def test_published_parameter_counts():
    assert parameters("none", classes=0) == pytest.approx(8.95, abs=0.005)
    assert parameters(prepare_conditioning=add_embeddings, conditioner=PublishedGate) == pytest.approx(9.75, abs=0.005)
    assert parameters("cross_attention") == pytest.approx(10.48, abs=0.005)  # class in the time, and 4 tokens
    no, standard, full = (parameters("none", 0, levels) for levels in ((), (1,), (0, 1, 2, 3)))
    assert no < standard < full


def test_a_conditioner_follows_each_down_mid_and_up_block(rng):
    seen = []

    class Recorder(nn.Module):
        def __init__(self, channels, cond_dim):
            super().__init__()
            self.made_for = (channels, cond_dim)

        def forward(self, h, class_emb):
            seen.append((*self.made_for, *h.shape[1:]))
            return h

    net = build_unet(config(widths=(32, 64, 96, 96)), Conditioning(add_embeddings, Recorder))
    net(*inputs(net.config, 1, rng))
    maps = [(32, 16), (64, 8), (96, 4), (96, 4), (96, 4), (96, 8), (96, 16), (64, 32), (32, 32)]
    assert seen == [(c, 128, c, size, size) for c, size in maps]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_the_shape_and_only_the_control_ignores_its_label(name, rng):
    net = perturbed(build_unet(SMALL, strategy(name)))
    x, t = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([0, 50, 999])
    with torch.no_grad():
        a, b = net(x, t, torch.tensor([1, 2, 3])), net(x, t, torch.tensor([4, 5, 10]))
    assert a.shape == x.shape and torch.isfinite(a).all()
    assert ((a - b).abs().flatten(1).amax(1) > 1e-3).all() == (name != "none")


def test_zero_initialised_conditioners_are_the_identity(rng):
    nets = [build_unet(SMALL, strategy(name)).eval() for name in ("none", "adaln_zero")]
    x, t, y = inputs(SMALL, 3, rng)
    with torch.no_grad():
        torch.testing.assert_close(nets[0](x, t, y), nets[1](x, t, y), rtol=0, atol=0)


def test_null_label_is_no_label_and_embeddings_replace_labels(rng):
    net = perturbed(build_unet(SMALL, strategy("adaln_zero")))
    x, t, y = inputs(SMALL, 3, rng)
    with torch.no_grad():
        torch.testing.assert_close(net(x, t), net(x, t, torch.full((3,), net.null_class)), rtol=0, atol=0)
        torch.testing.assert_close(net(x, t), net(x, t, net.null_cond.expand(3)), rtol=0, atol=0)
        torch.testing.assert_close(net.forward_with_cond(x, t, net.embed_class(y)), net(x, t, y), rtol=0, atol=0)
        assert (net(x, t, y * 0) - net(x, t)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", [UNetConfig, UNet2DConfig])
def test_an_unconditional_network_has_no_table_and_ignores_labels(kind, rng):
    c = kind(1, 8, 0, (32, 64), 1)
    net = perturbed(build_unet(c, strategy("add")))
    assert not [k for k in net.state_dict() if "class_table" in k]
    x, t = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([5, 900])
    with torch.no_grad():
        torch.testing.assert_close(net(x, t, torch.tensor([3, 0])), net(x, t), rtol=0, atol=0)
        torch.testing.assert_close(net(x, t, net.null_cond.expand(2)), net(x, t), rtol=0, atol=0)


def test_sample_i_depends_on_sample_i_alone(rng):
    net = perturbed(build_unet(SMALL, strategy("cross_attention")), 0.02)
    x, t, y = inputs(SMALL, 4, rng)
    with torch.no_grad():
        together, alone = net(x, t, y), torch.cat([net(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_trunk_weights_do_not_depend_on_the_design():
    nets = [build_unet(SMALL, strategy(n), seed=3) for n in ("add", "cross_attention", "gated")]
    trunks = [{k: v for k, v in n.state_dict().items() if not k.startswith("conditioners")} for n in nets]
    assert all(torch.equal(trunks[0][k], other[k]) for other in trunks[1:] for k in trunks[0])
    assert not torch.equal(build_unet(SMALL, strategy("add"), seed=4).conv_in.weight, nets[0].conv_in.weight)


def test_gradient_reaches_every_parameter(rng):
    net = perturbed(build_unet(SMALL, strategy("cross_attention")), 0.02)
    x, t, _ = inputs(SMALL, 11, rng)
    (net(x, t, torch.arange(11)) * torch.randn(x.shape, generator=rng)).sum().backward()
    assert not [k for k, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0]


def test_bfloat16_autocast_stays_close(rng):
    net = perturbed(build_unet(SMALL, strategy("adaln_zero")), 0.02)
    x, t, y = inputs(SMALL, 4, rng)
    exact = net(x, t, y)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, t, y)
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()
    rough.float().square().mean().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters())


def test_it_can_be_compiled_as_one_graph(rng):
    net = perturbed(build_unet(SMALL, strategy("gated")), 0.02)
    x, t, y = inputs(SMALL, 2, rng)
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(net, backend="eager", fullgraph=True)(x, t, y), net(x, t, y))


def test_channels_last_gives_the_same(rng):
    net = perturbed(build_unet(SMALL, strategy("cross_attention")), 0.02)
    x, t, y = inputs(SMALL, 2, rng)
    with torch.no_grad():
        plain = net(x, t, y)
        other = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last), t, y)
    torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-5)


TEXT = UNet2DConfig(1, 8, 0, (32, 64), 1, (1,), groups=8, context_dim=24)


@pytest.fixture
def text(rng):
    """A network with a context, and a call of it: (net, x, t, class_emb, context, mask)."""
    net = perturbed(build_unet(TEXT, strategy("none")))
    x, t = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([5, 500, 900])
    context, mask = torch.randn(3, 6, 24, generator=rng), torch.arange(6) < torch.tensor([[6], [2], [0]])
    return net, x, t, net.embed_class(t), context, mask


@torch.no_grad()
def test_a_context_is_attended_to_through_its_mask(text, rng):
    net, x, t, emb, context, mask = text
    out = net.forward_with_cond(x, t, emb, context, mask)
    assert torch.isfinite(out).all()  # also of the third sample, which may attend to nothing
    noise = torch.randn(context.shape, generator=rng)
    hidden = net.forward_with_cond(x, t, emb, torch.where(mask[..., None], context, noise), mask)
    torch.testing.assert_close(hidden, out)
    seen = net.forward_with_cond(x, t, emb, torch.where(mask[..., None], noise, context), mask)
    assert ((seen - out).abs().flatten(1).amax(1) > 1e-3).tolist() == [True, True, False]


@torch.no_grad()
def test_a_fresh_network_starts_as_if_there_were_no_context(text):
    net, x, t, emb, context, mask = text
    fresh = build_unet(TEXT, strategy("none")).eval()
    torch.testing.assert_close(
        fresh.forward_with_cond(x, t, emb, context, mask), fresh.forward_with_cond(x, t, emb), rtol=0, atol=0
    )
    assert (net.forward_with_cond(x, t, emb, context, mask) - net.forward_with_cond(x, t, emb)).abs().max() > 1e-3


def test_gradient_reaches_the_context(text):
    net, x, t, emb, context, mask = text
    context.requires_grad_()
    net.forward_with_cond(x, t, emb, context, mask).square().sum().backward()
    assert (context.grad.abs().sum(2) > 0).equal(mask)


def test_build_unet_chooses_the_class():
    assert type(build_unet(SMALL, strategy("add"))) is UNet2D
