from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.config import from_dict
from ddpm_core.layers import sinusoidal_embedding
from ddpm_core.network import NetworkConfig
from ddpm_core.unet import ConditionalUNetV2, UNetConfig, build_unet
from ddpm_tools.unet2d import UNet2DConfig

SMALL = UNetConfig(1, 8, 10, channels=(32, 64), blocks_per_level=1, cond_dim=64)


def perturbed(net, scale=0.1):
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(scale * torch.randn(p.shape, generator=rng))
    return net.eval()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("channels,size,widths", [(1, 8, (32, 64)), (1, 28, (32, 32, 64)), (3, 32, (32, 64, 64))])
def test_any_size_and_strategy_keeps_the_shape(name, channels, size, widths, rng):
    net = build_unet(UNetConfig(channels, size, 10, widths, 1, (1,), 4, 64), strategy(name))
    x = torch.randn(2, channels, size, size, generator=rng)
    assert net(x, torch.tensor([0, 999]), torch.tensor([3, 10])).shape == x.shape


def test_the_specified_network():
    """ConditionalUNetV2: 128 then 256 wide, two blocks a level, 32 -> 16 -> 8, attention in the middle."""
    net = build_unet(UNetConfig(), strategy("add"))
    assert type(net) is ConditionalUNetV2
    sizes = []
    net.mid_attention.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[1:]))
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 32, 32), torch.zeros(1).long()).shape == (1, 3, 32, 32)
    assert sizes == [(256, 8, 8)] and net.mid_attention.num_heads == 4
    widths = [[(b.norm1.norm.num_channels, b.conv1.out_channels) for b in level] for level in net.down]
    assert widths == [[(128, 128)] * 2, [(128, 256), (256, 256)], [(256, 256)] * 2]
    assert [len(level) for level in net.up] == [2, 2, 2] and len(net.mid) == 2
    for layers, kind in ((net.downsample, nn.Conv2d), (net.upsample, nn.ConvTranspose2d)):
        assert [(type(m), m.kernel_size, m.stride) for m in layers] == [(kind, (4, 4), (2, 2))] * 2
    assert [type(m) for m in net.time_mlp] == [nn.Linear, nn.SiLU, nn.Linear]
    assert (net.time_mlp[0].in_features, net.time_mlp[2].out_features) == (256, 256)
    assert net.class_table.weight.shape == (11, 256)
    assert (net.norm_out.num_groups, net.conv_out.kernel_size) == (8, (3, 3))


def test_the_class_embedding_is_added_to_the_time(rng):
    """With the first table row moved by what the time embedding moves, time and class are exchanged."""
    net = perturbed(build_unet(SMALL, strategy("add")))
    x, y = torch.randn(1, 1, 8, 8, generator=rng), torch.tensor([0])
    early, late = (net.time_mlp(sinusoidal_embedding(torch.tensor([t]), 64)) for t in (10, 700))
    with torch.no_grad():
        expected = net(x, torch.tensor([10]), y)
        net.class_table.weight[0] += (early - late)[0]
        torch.testing.assert_close(net(x, torch.tensor([700]), y), expected, rtol=1e-4, atol=1e-4)


def test_class_rows_may_begin_near_each_other():
    """A tenth of the rows, and every other weight as it was."""
    usual, close = (build_unet(replace(SMALL, class_scale=s), strategy("add")).state_dict() for s in (1.0, 0.1))
    torch.testing.assert_close(close.pop("class_table.weight"), usual.pop("class_table.weight") / 10)
    assert all(torch.equal(close[k], usual[k]) for k in usual)


def test_no_label_is_the_null_label_and_embeddings_replace_labels(rng):
    net = perturbed(build_unet(SMALL, strategy("adaln_zero")))
    x, t, y = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([1, 50, 900]), torch.tensor([2, 5, 9])
    torch.testing.assert_close(net(x, t), net(x, t, torch.full((3,), net.null_class)))
    torch.testing.assert_close(net.forward_with_cond(x, t, net.embed_class(y)), net(x, t, y))


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != "none"])
def test_every_strategy_but_the_control_sees_its_label(name, rng):
    x, t = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([1, 50, 900])
    outs = {}
    for key in (name, "none"):
        net = perturbed(build_unet(SMALL, strategy(key)))
        outs[key] = (net(x, t, torch.tensor([1, 2, 3])) - net(x, t, torch.tensor([4, 5, 6]))).abs().flatten(1).amax(1)
    assert (outs[name] > 1e-3).all()
    assert (outs["none"] == 0).all()


def test_trunk_weights_do_not_depend_on_the_design():
    nets = [build_unet(SMALL, strategy(n), seed=3) for n in ("add", "cross_attention", "gated")]
    trunks = [{k: v for k, v in n.state_dict().items() if not k.startswith("conditioners")} for n in nets]
    assert all(torch.equal(trunks[0][k], other[k]) for other in trunks[1:] for k in trunks[0])
    before = torch.get_rng_state()
    build_unet(SMALL, strategy("add"), seed=4)
    assert torch.equal(before, torch.get_rng_state())


def test_a_size_that_cannot_be_halved_is_named():
    with pytest.raises(ValueError, match="image size 30 is not divisible by 4, which 3 levels need"):
        UNetConfig(image_size=30)
    with pytest.raises(ValueError, match="multiples of 8"):
        UNetConfig(channels=(20, 32))
    with pytest.raises(ValueError, match=r"unknown conditioning 'film'; known: add, adagn"):
        strategy("film")


@pytest.mark.parametrize(
    "config,values,sentence",
    [
        (UNetConfig, {"channels": ()}, "at least one level"),
        (UNetConfig, {"attention_levels": (1, 3)}, r"attention levels must be between 0 and 2, got \[3\]"),
        (UNetConfig, {"channels": (24, 40), "num_heads": 16}, r"multiples of num_heads 16, got \[40\]"),
        (UNet2DConfig, {"channels": (48, 64)}, r"multiples of 32 \(GroupNorm has 32 groups\), got \[48\]"),
        (UNet2DConfig, {"channels": (8, 40), "groups": 8}, r"multiples of head_dim 32, got \[40\]"),
    ],
)
def test_configs_that_cannot_be_are_refused(config, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        config(**values)


@pytest.mark.parametrize(
    "values,sentence",
    [
        ({"architecture": "v3"}, "unknown architecture 'v3'; known: v2, dit, unet2d"),
        ({}, "unknown architecture 'None'; known: v2, dit, unet2d"),
        ({"architecture": "v2", "groups": 8, "context_dim": 16}, r"unknown UNetConfig key\(s\) context_dim, groups"),
        ({"architecture": "unet2d", "cond_dim": 64}, r"unknown UNet2DConfig key\(s\) cond_dim; known: image_channels"),
        ({"architecture": "unet2d", "num_heads": 4}, r"unknown UNet2DConfig key\(s\) num_heads; known: image_channels"),
    ],
)
def test_settings_of_another_architecture_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_dict(NetworkConfig, values)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 3).map(lambda k: 8 * k), min_size=1, max_size=3),
    st.integers(1, 2),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0, 3]),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    st.data(),
)
def test_any_shape_and_dtype_keeps_them_and_its_samples_apart(widths, blocks, channels, batch, classes, dtype, data):
    size = 2 ** (len(widths) - 1) * data.draw(st.integers(1, 3))
    config = UNetConfig(channels, size, classes, tuple(widths), blocks, (len(widths) - 1,), cond_dim=16)
    net = perturbed(build_unet(config, strategy("add")), 0.02).to(dtype)
    x = torch.randn(batch, channels, size, size + 2 ** (len(widths) - 1), dtype=dtype)  # need not be square
    t, y = torch.randint(1000, (batch,)), torch.randint(classes + 1, (batch,))
    with torch.no_grad():
        out, first = net(x, t, y), net(x[:1], t[:1], y[:1])
    assert out.shape == x.shape and out.dtype == dtype and out.isfinite().all()
    tolerance = 0.05 if dtype == torch.bfloat16 else 1e-4
    assert (out[:1] - first).abs().max() <= tolerance * out.abs().max()


def test_bfloat16_autocast_stays_close_and_gradient_flows(rng):
    net = perturbed(build_unet(SMALL, strategy("cross_attention")), 0.02)
    x, t, y = torch.randn(11, 1, 8, 8, generator=rng), torch.full((11,), 300), torch.arange(11)
    exact = net(x, t, y)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, t, y)
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()
    (rough.float() * torch.randn(x.shape, generator=rng)).sum().backward()
    assert not [k for k, p in net.named_parameters() if p.grad is None or not 0 < p.grad.abs().max() < torch.inf]


def test_zero_initialised_conditioners_are_the_identity(rng):
    nets = [build_unet(SMALL, strategy(name)) for name in ("none", "adaln_zero")]
    with torch.no_grad():
        for net in nets:
            nn.init.normal_(net.conv_out.weight, generator=torch.Generator().manual_seed(0))
        x, t, y = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([1, 50, 900]), torch.tensor([2, 5, 9])
        torch.testing.assert_close(nets[0](x, t, y), nets[1](x, t, y), rtol=0, atol=0)
        assert nets[0](x, t, y).std() > 0.1
