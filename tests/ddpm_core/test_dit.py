"""The transformer: patches in the order that is documented, a block against torch's own layers, and the call."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ddpm_core.checkpoint import load_diffusion, save_diffusion
from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.config import Preset
from ddpm_core.dit import DiTBlock, DiTConfig, patchify, unpatchify
from ddpm_core.samplers import sample
from ddpm_core.unet import build_unet

SMALL = DiTConfig(image_channels=1, image_size=8, channels=(64,), blocks_per_level=2)


def shaken(module, seed=0):
    """The module with random weights everywhere: zero gates hide what is behind them."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=g))
    return module


def test_patches_are_what_slicing_gives():
    x = torch.randn(2, 3, 4, 6)
    tokens = patchify(x, 2)
    assert tokens.shape == (2, 6, 12)
    for n in range(6):
        i, j = divmod(n, 3)
        patch = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]  # (B, C, p, p)
        torch.testing.assert_close(tokens[:, n], patch.permute(0, 2, 3, 1).flatten(1))
    torch.testing.assert_close(unpatchify(tokens, 2, (4, 6)), x)


def test_the_block_is_the_identity_at_first():
    block, x = DiTBlock(32, 16), torch.randn(2, 5, 32)
    assert torch.equal(block(x, torch.randn(2, 16)), x)


def test_the_block_against_torchs_own_layers():
    block, x, cond = shaken(DiTBlock(32, 16, num_heads=4)).double(), torch.randn(2, 5, 32).double(), torch.randn(2, 16)
    attention, norm = nn.MultiheadAttention(32, 4, batch_first=True).double(), nn.LayerNorm(32, eps=1e-6).double()
    with torch.no_grad():
        attention.in_proj_weight.copy_(block.qkv.weight)
        attention.in_proj_bias.copy_(block.qkv.bias)
        attention.out_proj.load_state_dict(block.out.state_dict())
        s1, b1, g1, s2, b2, g2 = block.proj(F.silu(cond.double())).view(2, 1, 6, 32).unbind(2)
        h = norm(x) * (1 + s1) + b1
        wanted = x + g1 * attention(h, h, h)[0]
        wanted = wanted + g2 * block.mlp(norm(wanted) * (1 + s2) + b2)
        torch.testing.assert_close(block(x, cond.double()), wanted)


def test_the_block_moves_with_a_permutation_of_its_tokens():
    block, x, cond, order = shaken(DiTBlock(32, 16)), torch.randn(2, 5, 32), torch.randn(2, 16), torch.randperm(5)
    torch.testing.assert_close(block(x[:, order], cond), block(x, cond)[:, order], rtol=1e-4, atol=1e-5)


def test_the_transformer_knows_where_a_patch_lies():
    """Without positions it would move with a shift of the image by whole patches."""
    net = shaken(build_unet(SMALL, strategy("add")))
    x, t, y = torch.randn(1, 1, 8, 8), torch.tensor([5]), torch.tensor([1])
    rolled = net(x.roll(2, 3), t, y).roll(-2, 3)
    assert (rolled - net(x, t, y)).abs().max() > 1e-2
    with torch.no_grad():
        net.positions.zero_()
        torch.testing.assert_close(net(x.roll(2, 3), t, y).roll(-2, 3), net(x, t, y), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_it_is_called_as_the_unets_are_and_hears_the_class(name):
    net = build_unet(SMALL, strategy(name))
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 900])
    assert torch.equal(net(x, t), torch.zeros_like(x))  # the head starts at zero
    shaken(net)
    a, b = net(x, t, torch.tensor([1, 2])), net(x, t, torch.tensor([1, 3]))
    torch.testing.assert_close(a[0], b[0], rtol=1e-4, atol=1e-5)  # sample 0 depends on its own class alone
    assert torch.allclose(a[1], b[1], atol=1e-4) == (name == "none")
    assert not torch.allclose(a, net(x, t.flip(0), torch.tensor([1, 2])), atol=1e-4)
    torch.testing.assert_close(net(x, t), net(x, t, torch.full((2,), 10)))


def test_a_checkpoint_of_it_samples_the_same(tmp_path):
    preset = Preset(data="digits", unet=SMALL, schedule="straight", parameterization="flow")
    diffusion = preset.diffusion(shaken(build_unet(SMALL, strategy(preset.conditioning))).eval())
    save_diffusion(tmp_path / "dit", diffusion, preset)
    again = load_diffusion(tmp_path / "dit")
    y = torch.tensor([1, 2])
    torch.testing.assert_close(sample(again, y, 2.0, 4), sample(diffusion, y, 2.0, 4))


@pytest.mark.parametrize(
    "wrong,says",
    [
        ({"channels": (32, 64)}, "one width"),
        ({"patch_size": 3}, "patch_size"),
        ({"channels": (66,)}, "num_heads 4"),
    ],
)
def test_sizes_that_do_not_fit(wrong, says):
    with pytest.raises(ValueError, match=says):
        DiTConfig(**{"image_size": 8, **wrong})
