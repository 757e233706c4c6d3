"""Designs, solvers and schedules of one's own, and presets with their own noise levels."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ddpm_core.checkpoint import CheckpointError, load, load_diffusion, network_of, save_diffusion
from ddpm_core.conditioning import time_only
from ddpm_core.config import Preset
from ddpm_core.data import digits
from ddpm_core.network import Conditioning
from ddpm_core.parameterization import PARAMETERIZATIONS, linear
from ddpm_core.registry import KINDS, register
from ddpm_core.samplers import SampleConfig, ddim, sample
from ddpm_core.training import TrainState, train
from tests.ddpm_core.test_training import CONFIG, UNET
from tests.ddpm_core.test_unet import perturbed

PRESET = Preset(unet=UNET, train=replace(CONFIG, steps=3))


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is gone after it."""
    before = {kind: dict(known) for kind, known in KINDS.items()}
    yield
    for kind, known in KINDS.items():
        known.clear()
        known.update(before[kind])


class Tinted(nn.Module):
    def __init__(self, channels, cond_dim):
        super().__init__()
        self.tint = nn.Linear(cond_dim, channels)

    def forward(self, h, class_emb):
        return h + self.tint(class_emb)[..., None, None]


def trained(preset):
    state = TrainState.start(preset.diffusion(network_of(preset)), preset.train)
    for _ in train(state, digits(), preset.train):
        pass
    return state


def test_a_conditioner_is_found_by_name_by_presets_and_checkpoints(tmp_path):
    mine = register("conditioner", "tinted", Conditioning(time_only, Tinted))
    preset = replace(PRESET, conditioning="tinted")
    state = trained(preset)
    assert all(type(m) is Tinted for m in state.model.conditioners)
    path = save_diffusion(tmp_path / "a", state.averaged, preset)
    back, y = load_diffusion(path), torch.arange(4)
    assert torch.equal(sample(back, y, 2.0, 3), sample(state.averaged, y, 2.0, 3))
    assert back.network.conditioning is mine
    KINDS["conditioner"].pop("tinted")
    with pytest.raises(ValueError, match="unknown conditioning 'tinted'; known: add"):
        load_diffusion(path)


def test_a_sampler_is_found_by_name():
    calls = []

    def sloppy(denoise, xt, schedule, timesteps):
        calls.append(len(xt))
        return ddim(denoise, xt, schedule, list(timesteps)[::2])

    with pytest.raises(ValueError, match="unknown sampler 'sloppy'"):
        SampleConfig(sampler="sloppy")
    register("sampler", "sloppy", sloppy)
    made = PRESET.diffusion(perturbed(network_of(PRESET), 0.05))
    ours = sample(made, torch.arange(3), 2.0, 10, config=SampleConfig(sampler="sloppy", batch_size=2))
    assert calls == [2, 1] and ours.isfinite().all()
    assert not torch.equal(ours, sample(made, torch.arange(3), 2.0, 10))
    with pytest.raises(ValueError, match=r"unknown sampler 'euler'; known: .*sloppy"):
        SampleConfig(sampler="euler")


def test_a_schedule_and_a_parameterization_are_found_by_name():
    register("schedule", "flat", lambda timesteps: torch.full((timesteps,), 0.02, dtype=torch.float64))
    minus = register("parameterization", "minus", linear("minus", lambda abar: (abar * 0 - 1, abar * 0)))
    made = replace(PRESET, schedule="flat", parameterization="minus", timesteps=200).diffusion(nn.Identity())
    torch.testing.assert_close(made.schedule.alphas_cumprod, 0.98 ** torch.arange(1, 201))
    assert made.parameterization is minus is PARAMETERIZATIONS["minus"]


def test_taken_names_and_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="there is a sampler 'ddim' already; choose another name"):
        register("sampler", "ddim", lambda *a: None)
    assert SampleConfig().sampler == "ddim" and KINDS["sampler"]["ddim"] is ddim
    assert register("sampler", "ddim", ddim) is ddim  # the same once more, as when a notebook's cell is run again
    with pytest.raises(ValueError, match="unknown kind 'optimizer'; known: conditioner, sampler, schedule, parameter"):
        register("optimizer", "lion", None)


OWN = {
    "timesteps": ({"timesteps": 40}, lambda t: torch.cos((t / 40 + 0.008) / 1.008 * torch.pi / 2) ** 2),
    "betas": ({"betas": (0.1,) * 25}, lambda t: 0.9**t),
}


@pytest.mark.parametrize("name", OWN)
def test_a_preset_s_own_noise_levels_are_trained_sampled_and_kept(name, tmp_path):
    changes, closed = OWN[name]
    preset, seen = replace(PRESET, **changes), []
    t = torch.arange(len(preset.betas) or preset.timesteps).double() + 1
    schedule = preset.make_schedule()
    exact = closed(t) / closed(torch.zeros(()).double())
    torch.testing.assert_close(schedule.alphas_cumprod[:-1], exact[:-1].float(), rtol=1e-3, atol=1e-5)

    state = TrainState.start(preset.diffusion(network_of(preset)), preset.train)
    state.model.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    for _ in train(state, digits(), replace(preset.train, steps=30)):
        pass
    assert torch.equal(torch.cat(seen).unique(), torch.arange(len(t)))  # 480 draws: every timestep, and no other

    y = torch.arange(4)
    images = sample(state.averaged, y, 2.0, len(t))
    with pytest.raises(ValueError, match=f"between 1 and {len(t)}"):
        sample(state.averaged, y, 2.0, len(t) + 1)
    path = save_diffusion(tmp_path / "a", state.averaged, preset)
    assert load(path).preset == preset
    back = load_diffusion(path)
    assert torch.equal(back.schedule.alphas_cumprod, schedule.alphas_cumprod)
    assert torch.equal(sample(back, y, 2.0, len(t)), images)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"timesteps": 0}, "a schedule needs at least one timestep, got 0"),
        ({"betas": (0.1, 1.5)}, "betas must lie between 1e-07 and 1, got 0.1 to 1.5"),
        ({"betas": (0.0, 0.1)}, "betas must lie between 1e-07 and 1, got 0 to 0.1"),
    ],
)
def test_noise_levels_that_make_no_schedule_are_refused(changes, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        replace(PRESET, **changes).make_schedule()
    preset = replace(PRESET, **changes)
    path = save_diffusion(tmp_path / "a", PRESET.diffusion(network_of(PRESET)), preset)
    with pytest.raises(CheckpointError, match=f"is not a checkpoint of a diffusion model: {says}"):
        load_diffusion(path)
