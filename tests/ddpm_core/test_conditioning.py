"""Every strategy of the registry: what it does at first, that it reacts, to its own sample alone, and what it costs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ddpm_core.attention import CrossAttentionLayer
from ddpm_core.conditioning import (
    STRATEGIES,
    GatedModulation,
    InputPlanes,
    TokenCrossAttention,
    gated_fusion,
    strategy,
    time_only,
)
from ddpm_core.unet import Conditioning, UNetConfig, build_unet
from ddpm_tools.unet2d import UNet2DConfig

SMALL = {
    "v2": UNetConfig(1, 8, 10, channels=(32, 64), blocks_per_level=1, cond_dim=64),
    "unet2d": UNet2DConfig(1, 8, 10, channels=(32, 64), blocks_per_level=1),
}
INFORMED = [name for name in STRATEGIES if name != "none"]
DISTINCT = list({(s.conditioner, s.at_input): name for name, s in STRATEGIES.items()}.values())
PUBLISHED = {  # millions of parameters, measured on the published network, where they are on record
    "none": 8.95, "concat-film": 8.95, "film-sigmoid-gate": 9.75, "film-4-tokens": 10.48,
}  # fmt: skip


def perturbed(module, scale=0.1):
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(scale * torch.randn(p.shape, generator=rng))
    return module.eval()


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["adaln_zero", "none"])
@settings(max_examples=10, deadline=None)
@given(
    batch=st.integers(1, 4), channels=st.integers(1, 4), size=st.tuples(st.integers(2, 6), st.integers(1, 6)),
    dim=st.integers(1, 40), dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)  # fmt: skip
def test_zero_initialised_conditioners_are_the_identity_at_first(name, batch, channels, size, dim, dtype):
    module = strategy(name).conditioner(32 * channels, dim).to(dtype)
    h, emb = torch.randn(batch, 32 * channels, *size).to(dtype), torch.randn(batch, dim).to(dtype)
    assert torch.equal(module(h, emb), h)


@pytest.mark.parametrize("name", DISTINCT)
@settings(max_examples=10, deadline=None)
@given(
    batch=st.integers(1, 4), channels=st.integers(1, 4), size=st.tuples(st.integers(2, 6), st.integers(1, 6)),
    dim=st.integers(4, 40), dtype=st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_any_shape_is_kept_and_every_sample_is_for_itself(name, batch, channels, size, dim, dtype):
    pair = strategy(name)
    h, emb = torch.randn(batch, 32 * channels, *size, dtype=dtype), torch.randn(batch, dim, dtype=dtype)
    mixed = pair.prepare_conditioning(emb, emb + 1)
    assert mixed.shape == (batch, dim) and mixed.dtype == dtype
    for make in filter(None, (pair.conditioner, pair.at_input)):
        module = perturbed(make(32 * channels, dim).to(dtype))
        out = module(h, emb)
        assert out.shape == h.shape and out.dtype == dtype
        alone = torch.cat([module(h[i : i + 1], emb[i : i + 1]) for i in range(batch)])
        torch.testing.assert_close(out, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize("name", ["adaln_zero", "adanorm"])
def test_at_first_a_zero_initialised_network_is_the_unconditional_one(name, architecture, rng):
    x, t, y = torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([1, 900]), torch.tensor([1, 2])
    nets = [build_unet(SMALL[architecture], strategy(n)) for n in (name, "none")]
    for net in nets:  # conv_out starts at zero in v2: look before it
        net.conv_out = nn.Identity()
    torch.testing.assert_close(nets[0](x, t, y), nets[1](x, t, y))


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize("name", STRATEGIES)
def test_in_a_network_each_output_follows_its_own_label(name, architecture, rng):
    net = perturbed(build_unet(SMALL[architecture], strategy(name)))
    x, t, y = torch.randn(4, 1, 8, 8, generator=rng), torch.tensor([1, 50, 500, 900]), torch.tensor([1, 2, 3, 10])
    other = y.clone()
    other[1] = 7
    moved = (net(x, t, y) - net(x, t, other)).abs().flatten(1).amax(1)
    assert (moved[[0, 2, 3]] < 1e-5).all()
    assert (moved[1] > 1e-3) == (name in INFORMED)


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize("name", INFORMED)
def test_gradient_reaches_the_class_embedding(name, architecture, rng):
    net = perturbed(build_unet(SMALL[architecture], strategy(name)))
    emb = net.embed_class(torch.tensor([3, 4])).detach().requires_grad_()
    out = net.forward_with_cond(torch.randn(2, 1, 8, 8, generator=rng), torch.tensor([5, 600]), emb)
    (out * torch.randn(out.shape, generator=rng)).sum().backward()
    assert (emb.grad.abs().amax(1) > 0).all()


@pytest.mark.parametrize("architecture", SMALL)
def test_the_rest_of_the_network_is_the_same_with_every_strategy(architecture):
    nets = [build_unet(SMALL[architecture], strategy(name), seed=3) for name in STRATEGIES]
    own = ("conditioners", "at_input")
    trunks = [{k: v for k, v in n.state_dict().items() if not k.startswith(own)} for n in nets]
    assert all(t.keys() == trunks[0].keys() and all(torch.equal(t[k], trunks[0][k]) for k in t) for t in trunks)


@pytest.mark.parametrize("architecture", SMALL)
def test_input_planes_are_a_convolution_of_the_concatenation(architecture, rng):
    """The spec's wording, one-hot planes beside the image's channels, worked out with PyTorch's own convolution."""
    net = perturbed(build_unet(SMALL[architecture], strategy("concat")))
    x, y = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([0, 9, 10])
    one_hot = F.one_hot(y, 11).float()[..., None, None].expand(-1, -1, 8, 8)  # (B, K + 1, H, W)
    of_classes = torch.einsum("odhw,kd->okhw", net.at_input.conv.weight, net.class_table.weight)
    weight = torch.cat([net.conv_in.weight, of_classes], dim=1)  # (c0, C + K + 1, 3, 3)
    wanted = F.conv2d(torch.cat([x, one_hot], dim=1), weight, net.conv_in.bias, padding=1)
    seen = []
    net.at_input.register_forward_hook(lambda module, inputs, out: seen.append(out))
    net(x, torch.tensor([1, 50, 900]), y)
    torch.testing.assert_close(seen[0], wanted, rtol=1e-4, atol=1e-4)


def test_input_planes_make_one_hot_planes_where_the_embedding_is_one_hot(rng):
    planes, h = InputPlanes(8, 5), torch.randn(2, 8, 4, 6, generator=rng)
    added = planes(h, torch.eye(5)[[1, 4]]) - h
    torch.testing.assert_close(added[0, :, 2, 2], planes.conv.weight[:, 1].sum((1, 2)))  # inside, all nine taps
    torch.testing.assert_close(added[1, :, 0, 0], planes.conv.weight[:, 4, 1:, 1:].sum((1, 2)))  # in a corner, four


def test_gated_fusion_is_the_formula_on_record():
    time, label = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, 100.0]])
    torch.testing.assert_close(gated_fusion(time, label), torch.tensor([[2 * 1.05, -1.1 + 100]]))


def test_a_gate_opens_from_almost_shut(rng):
    module = GatedModulation(64, 16)
    h, emb = torch.randn(2, 64, 3, 5, generator=rng), torch.randn(2, 16, generator=rng)
    wanted = h + torch.tensor(-3.0).sigmoid() * (F.group_norm(h, 32) - h)
    torch.testing.assert_close(module(h, emb), wanted, rtol=1e-4, atol=1e-5)
    module(h, emb).sum().backward()
    assert module.proj.weight.grad.abs().sum() > 0
    for gate, wanted in ((-100.0, h), (100.0, F.group_norm(h, 32) * (1 + 2.0) + 3.0)):  # shut; wide open
        with torch.no_grad():
            module.proj.bias.copy_(torch.tensor([2.0, 3.0, gate]).repeat_interleave(64))
        torch.testing.assert_close(module(h, emb), wanted, rtol=1e-4, atol=1e-4)


def test_one_token_is_an_added_vector(rng):
    """A softmax over one key is 1: whatever the pixels ask, they are told V·W_out, and query and key learn nothing."""
    layer = perturbed(CrossAttentionLayer(64, 16))
    h, emb = torch.randn(3, 64, 4, 4, generator=rng), torch.randn(3, 16, generator=rng)
    told = layer.out_proj(layer.v_proj(emb))[..., None, None]  # (B, C, 1, 1)
    torch.testing.assert_close(layer(h, emb), h + told, rtol=1e-4, atol=1e-4)
    layer(h, emb).square().mean().backward()
    assert layer.q_proj.weight.grad.abs().max() < 1e-6 * layer.v_proj.weight.grad.abs().max()
    assert layer.k_proj.weight.grad.abs().max() < 1e-6 * layer.v_proj.weight.grad.abs().max()


def test_several_tokens_are_more_than_an_added_vector(rng):
    module = perturbed(TokenCrossAttention(64, 16), 0.5)
    h, emb = torch.randn(2, 64, 4, 4, generator=rng), torch.randn(2, 16, generator=rng)
    assert (module(h, emb) - h).flatten(2).std(dim=2).max() > 1e-2
    tokens = module.to_tokens(emb).unflatten(1, (4, 16))
    assert (tokens[:, 0] - tokens[:, 1]).abs().max() > 1e-2
    with torch.no_grad():  # with all tokens alike, nothing is left to choose: one token again
        module.to_tokens[3].weight.copy_(module.to_tokens[3].weight[:16].repeat(4, 1))
        module.to_tokens[3].bias.copy_(module.to_tokens[3].bias[:16].repeat(4))
    one = module.attend(h, module.to_tokens(emb)[:, :16])
    torch.testing.assert_close(module(h, emb), one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name,millions", PUBLISHED.items())
def test_the_published_networks_have_their_published_size(name, millions):
    config = UNet2DConfig(3, 32, 10, (64, 128, 128, 128), 2, (1,))
    assert round(parameters(build_unet(config, strategy(name))) / 1e6, 2) == millions


@pytest.mark.parametrize("channels,dim", [(32, 16), (96, 64)])
def test_parameter_counts(channels, dim):
    c, d = channels, dim
    attention = 2 * c + 2 * (c * c + c) + 2 * (d * c + c)  # norm; query and output; key and value
    tokens = d * (d // 4) + d // 4 + (d // 4) * 4 * d + 4 * d
    counts = {
        "none": 0, "add": 0, "concat": 0, "adagn": 2 * c * (d + 1), "adaln_zero": 3 * c * (d + 1) + c * (c + 1),
        "gated": 3 * c * (d + 1) + 2 * c, "cross_attention_1": attention, "cross_attention": tokens + attention,
    }  # fmt: skip
    for name, count in counts.items():
        assert parameters(strategy(name).conditioner(c, d)) == count, name
    assert parameters(InputPlanes(c, d)) == 9 * c * d


class Tinted(nn.Module):
    """The example of docs/contributors.md."""

    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.tint = nn.Linear(cond_dim, channels)

    def forward(self, h, class_emb):
        return h + self.tint(class_emb)[..., None, None]  # (B, D) -> (B, C, 1, 1)


def test_a_new_strategy_is_one_small_class_and_one_line(rng, monkeypatch):
    monkeypatch.setitem(STRATEGIES, "tinted", Conditioning(time_only, Tinted))
    net = perturbed(build_unet(SMALL["v2"], strategy("tinted")))
    x, t = torch.randn(1, 1, 8, 8, generator=rng), torch.tensor([500])
    assert (net(x, t, torch.tensor([1])) - net(x, t, torch.tensor([2]))).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"unknown conditioning 'film'; known: add, .*, tinted"):
        strategy("film")
