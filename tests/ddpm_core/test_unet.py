import pytest
import torch

from ddpm_core.conditioning import STRATEGIES, strategy
from ddpm_core.unet import UNetConfig, build_unet

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
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 32, 32), torch.zeros(1).long()).shape == (1, 3, 32, 32)
    assert (len(net.down), len(net.down[0]), len(net.mid), net.class_table.num_embeddings) == (3, 2, 2, 11)


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
