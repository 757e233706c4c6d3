import pytest
import torch
from torch import nn

from ddpm_core.attention import CrossAttention, CrossAttentionLayer, PixelCrossAttention, SelfAttention


def multihead(layer: CrossAttention) -> nn.MultiheadAttention:
    """PyTorch's own attention with the same weights."""
    d = layer.q.out_features
    theirs = nn.MultiheadAttention(
        d, layer.num_heads, kdim=layer.k.in_features, vdim=layer.v.in_features, batch_first=True
    )
    with torch.no_grad():
        for name in "qkv":
            getattr(theirs, f"{name}_proj_weight").copy_(getattr(layer, name).weight)
        theirs.in_proj_bias.copy_(torch.cat([layer.q.bias, layer.k.bias, layer.v.bias]))
        theirs.out_proj.load_state_dict(layer.out.state_dict())
    return theirs


def test_cross_attention_equals_pytorch_multihead_with_a_mask(rng):
    layer = CrossAttention(24, 10, num_heads=4)
    x, context = torch.randn(3, 6, 24, generator=rng), torch.randn(3, 5, 10, generator=rng)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.bool)
    theirs, _ = multihead(layer)(layer.norm(x), context, context, key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, context, mask), x + theirs, rtol=1e-4, atol=1e-5)


def test_masked_tokens_do_not_matter_and_no_token_at_all_stays_finite(rng):
    layer = CrossAttention(16, 8)
    x, context = torch.randn(2, 4, 16, generator=rng), torch.randn(2, 3, 8, generator=rng)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    out = layer(x, context, mask)
    other = torch.where(mask[..., None], context, torch.randn(context.shape, generator=rng))
    torch.testing.assert_close(layer(x, other, mask), out)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out[1], x[1] + layer.out.bias)
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


def test_one_token_gives_every_position_the_same_vector(rng):
    layer = CrossAttentionLayer(32, 8)
    x, emb = torch.randn(2, 32, 4, 4, generator=rng), torch.randn(2, 8, generator=rng)
    added = layer(x, emb) - x
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), rtol=1e-4, atol=1e-5)
    layer(x, emb).square().sum().backward()
    assert layer.q_proj.weight.grad.abs().max() < 1e-6 * layer.v_proj.weight.grad.abs().max()
    several = layer(x, torch.randn(2, 4, 8, generator=rng)) - x
    assert several.flatten(2).std(dim=2).max() > 1e-4


@pytest.mark.parametrize("groups", [8, 2])
def test_self_attention_equals_pytorch_multihead(groups, rng):
    layer = SelfAttention(16, num_heads=4, groups=groups)
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(layer.qkv.weight)
        theirs.in_proj_bias.copy_(layer.qkv.bias)
        theirs.out_proj.load_state_dict(layer.out.state_dict())
    x = torch.randn(2, 16, 3, 5, generator=rng)
    tokens = nn.functional.group_norm(x, groups).flatten(2).transpose(1, 2)
    own = theirs(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(layer(x), x + own, rtol=1e-4, atol=1e-5)


def test_cross_attention_on_pixels_is_that_on_their_tokens_and_starts_as_the_identity(rng):
    layer, plain = PixelCrossAttention(16, 10), CrossAttention(16, 10)
    x, context = torch.randn(2, 16, 3, 5, generator=rng), torch.randn(2, 4, 10, generator=rng)
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 0, 0]]).bool()
    torch.testing.assert_close(layer(x, context, mask), x, rtol=0, atol=0)
    layer.load_state_dict(plain.state_dict())
    out = layer(x, context, mask)
    for i in range(3):
        for j in range(5):
            one = plain(x[:, None, :, i, j], context, mask)[:, 0]
            torch.testing.assert_close(out[..., i, j], one, rtol=1e-4, atol=1e-5)


def test_widths_that_heads_do_not_divide_are_named():
    with pytest.raises(ValueError, match="image_dim 10 is not divisible by num_heads 4"):
        CrossAttention(10, 8)
