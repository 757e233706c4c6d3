import pytest
import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.models.resnet import ResnetBlock2D

from ddpm_core.layers import (
    AdaGroupNorm,
    AdaLNBlock,
    AdaResBlock,
    ResBlock,
    UNetBlockWithCrossAttention,
    sinusoidal_embedding,
)


@pytest.mark.parametrize("cos_first", [True, False])
@pytest.mark.parametrize("shift", [0, 1])
def test_time_embedding_equals_diffusers(shift, cos_first):
    t = torch.tensor([0, 1, 37, 999])
    theirs = get_timestep_embedding(t, 64, flip_sin_to_cos=cos_first, downscale_freq_shift=shift)
    own = sinusoidal_embedding(t, 64, freq_shift=shift, cos_first=cos_first)
    torch.testing.assert_close(own, theirs, rtol=1e-5, atol=6e-5)  # float32 angles near 999 are 6e-5 apart
    with pytest.raises(ValueError, match="must be even"):
        sinusoidal_embedding(t, 7)


def test_adagn_is_group_norm_with_predicted_scale_and_shift(rng):
    layer = AdaGroupNorm(16, 12, num_groups=4)
    x, cond = torch.randn(3, 16, 5, 7, generator=rng), torch.randn(3, 12, generator=rng)
    scale, shift = layer.proj(F.silu(cond)).chunk(2, 1)
    for i in range(3):  # PyTorch's own affine group norm, one sample at a time
        own = F.group_norm(x[i : i + 1], 4, weight=1 + scale[i], bias=shift[i])
        torch.testing.assert_close(layer(x, cond)[i : i + 1], own, rtol=1e-5, atol=1e-5)
    assert not list(layer.norm.parameters())


def test_residual_block_starts_as_its_skip_path(rng):
    x, cond = torch.randn(2, 16, 4, 4, generator=rng), torch.randn(2, 8, generator=rng)
    torch.testing.assert_close(AdaResBlock(16, 16, 8)(x, cond), x)
    wider = AdaResBlock(16, 24, 8)
    torch.testing.assert_close(wider(x, cond), wider.skip(x))


def test_adaln_zero_starts_as_the_identity_and_learns(rng):
    block = AdaLNBlock(32, 8)
    h, emb = torch.randn(2, 32, 3, 5, generator=rng), torch.randn(2, 8, generator=rng)
    torch.testing.assert_close(block(h, emb), h)
    (block(h, emb) * torch.randn(h.shape, generator=rng)).sum().backward()
    assert block.proj.weight.grad.abs().sum() > 0  # the gate opens, though it is shut


@pytest.mark.parametrize("out_ch", [16, 24])
def test_residual_block_with_added_time_equals_diffusers(out_ch, rng):
    block = ResBlock(16, out_ch, 12, groups=4, eps=0.1)
    theirs = ResnetBlock2D(in_channels=16, out_channels=out_ch, temb_channels=12, groups=4, eps=0.1)
    names = {"time_emb_proj": "time", "conv_shortcut": "skip"}
    theirs.load_state_dict({k: block.state_dict()[k.replace(m := k.split(".")[0], names.get(m, m))]
                            for k in theirs.state_dict()})  # fmt: skip
    x, emb = torch.randn(2, 16, 5, 7, generator=rng), torch.randn(2, 12, generator=rng)
    torch.testing.assert_close(block(x, emb), theirs(x, emb), rtol=1e-5, atol=1e-5)


def test_cross_attention_block_runs_its_parts_in_order(rng):
    block = UNetBlockWithCrossAttention(16, 12, 10, groups=4)
    x, emb = torch.randn(2, 16, 4, 4, generator=rng), torch.randn(2, 12, generator=rng)
    context, mask = torch.randn(2, 3, 10, generator=rng), torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    torch.nn.init.normal_(block.cross.out.weight)
    order = []
    for name, part in block.named_children():
        part.register_forward_hook(lambda *_, name=name: order.append(name))
    out = block(x, emb, context, mask)
    assert order == ["res1", "attend", "cross", "res2"]
    h = block.attend(block.res1(x, emb))
    torch.testing.assert_close(out, block.res2(block.cross(h, context, mask), emb))
    torch.testing.assert_close(block(x, emb), block.res2(h, emb))
    assert UNetBlockWithCrossAttention(16, 12, None, groups=4).cross is None
