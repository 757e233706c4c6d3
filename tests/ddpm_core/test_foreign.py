"""A network that is not one of the course's: trained, sampled, saved and loaded as any other."""

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DModel
from torch import nn

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError, load_diffusion, save_diffusion
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.parameterization import V
from ddpm_core.samplers import sample
from ddpm_core.training import TrainConfig, TrainState, train
from tests.ddpm_core.test_training import UNET

CONFIG = TrainConfig(steps=60, lr=3e-3, batch_size=32, warmup=2, ema_decay=0.9, weight_decay=0.0, p_uncond=0.0)
PRESET = Preset(parameterization="v", unet=None, train=CONFIG)
NULL = torch.tensor([10])


class Theirs(nn.Module):
    """diffusers' network, called as the library calls one."""

    def __init__(self, width=16):
        super().__init__()
        self.inner = UNet2DModel(
            8, 1, 1, block_out_channels=(width, width), layers_per_block=1, norm_num_groups=8, num_class_embeds=11,
            down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False,
        )  # fmt: skip

    def forward(self, x, t, y):
        return self.inner(x, t, class_labels=y).sample


def build(preset):
    assert preset.unet is None
    torch.manual_seed(0)
    return Theirs()


def trained(config=CONFIG, **options):
    diffusion = replace(PRESET.diffusion(build(PRESET)), image_shape=(1, 8, 8), **options)
    state = TrainState.start(diffusion, config)
    rows = state.model.inner.class_embedding.weight.detach().clone()
    losses = [float(s.loss) for s in train(state, digits(), config)]
    return state, losses, (state.model.inner.class_embedding.weight.detach() - rows).abs().amax(1) > 0


@pytest.fixture(scope="module")
def plain():
    torch.set_num_threads(1)
    return trained()


def test_it_trains_without_a_null_class_where_no_label_is_dropped(plain):
    _, losses, moved = plain
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    assert moved.tolist() == [True] * 10 + [False]  # the row of no class was never asked for


def test_it_trains_with_the_null_class_that_it_is_given():
    _, _, moved = trained(replace(CONFIG, steps=10, p_uncond=1.0), null=NULL)
    assert moved.tolist() == [False] * 10 + [True]
    with pytest.raises(ValueError, match=r"give Diffusion\(null=...\), or the network a null_cond"):
        trained(replace(CONFIG, steps=10, p_uncond=0.5))


def test_it_is_sampled_saved_and_loaded(plain, tmp_path):
    state, y = plain[0], torch.tensor([0, 1, 7])
    images = sample(state.averaged, y, 1.0, 5)
    assert images.shape == (3, 1, 8, 8) and images.isfinite().all()
    path = save_diffusion(tmp_path / "theirs", state.averaged, PRESET, step=60, build=build, note="mine")
    back = load_diffusion(path, build=build)
    assert back.parameterization is V and not back.network.training
    again = sample(replace(back, image_shape=(1, 8, 8)), y, 1.0, 5)
    assert torch.equal(again, images)
    guided = replace(back, image_shape=(1, 8, 8), null=NULL)
    assert not torch.equal(sample(guided, y, 3.0, 5), images)
    loaded = checkpoint.load(path, build=build)
    assert loaded.step == 60 and loaded.preset == PRESET and loaded.record["note"] == "mine"


def test_a_checkpoint_that_would_never_load_is_refused(plain, tmp_path):
    averaged = plain[0].averaged
    for preset, more, says in (
        (replace(PRESET, unet=UNET), {}, r"cannot be rebuilt from its config \(\S+ differs\), so it would never load"),
        (PRESET, {}, "the network is not one of the course's; give build="),
        (PRESET, {"build": lambda p: Theirs(24)}, r"cannot be rebuilt from its config \(inner\.\S+ differs\)"),
    ):
        with pytest.raises(ValueError, match=says):
            save_diffusion(tmp_path / "theirs", averaged, preset, **more)
    assert not list(tmp_path.iterdir())


def test_loading_without_build_is_one_sentence(plain, tmp_path):
    path = save_diffusion(tmp_path / "theirs", plain[0].averaged, PRESET, build=build)
    with pytest.raises(CheckpointError, match=r"the network of .*theirs is not one of the course's; give build="):
        load_diffusion(path)
    with pytest.raises(CheckpointError, match="do not fit its config"):
        load_diffusion(path, build=lambda preset: Theirs(24))
