"""Whole sets of images: what image i depends on, how much memory a set takes, trajectories, options."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ddpm_core.conditioning import strategy
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import SampleConfig, denoiser, initial_noise, sample, sample_trajectory, step_noise
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import UNetConfig, build_unet

SCHEDULE = DiffusionSchedule.named("linear")
SOLVERS = [SampleConfig(), SampleConfig(eta=0.6), SampleConfig(sampler="ddpm"), SampleConfig(sampler="dpm++")]
GUIDANCE = [{}, {"interval": (200, 700)}, {"rescale": 0.7}, {"lam": 0.6}, {"clip": False}, {"spacing": "log-snr"}]


class Toy(nn.Module):
    """A made-up network, elementwise (so that batches cannot differ by rounding), that counts images."""

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.config = SimpleNamespace(image_shape=(2, 3, 3))
        self.null_cond = torch.tensor([10])
        self.images, self.largest = 0, 0

    def forward(self, x, t, y):
        self.images += len(x)
        self.largest = max(self.largest, len(x))
        return torch.sin(self.gain * x * (1 + y.view(-1, 1, 1, 1)) + t.view(-1, 1, 1, 1) / 1000)


def toy(gain=1.0, **options):
    return Diffusion(Toy(gain), SCHEDULE, EPSILON, **options)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda c: f"{c.sampler}-{c.eta}")
@pytest.mark.parametrize("guidance", GUIDANCE, ids=str)
def test_an_image_depends_on_its_seed_number_and_class_alone(solver, guidance):
    options = {k: v for k, v in guidance.items() if k == "clip"}
    config = replace(solver, **{k: v for k, v in guidance.items() if k not in options})
    y, made = torch.arange(5), toy(**options)
    whole = sample(made, y, 2.5, 6, seed=1, config=config)
    assert torch.isfinite(whole).all()
    for batch_size in (1, 2):
        assert torch.equal(whole, sample(made, y, 2.5, 6, seed=1, config=replace(config, batch_size=batch_size)))
    others = sample(made, torch.tensor([9, 1, 9, 9]), 2.5, 6, seed=1, config=config)
    assert torch.equal(whole[1], others[1]) and not torch.equal(whole[0], others[0])
    assert not torch.equal(whole, sample(made, y, 2.5, 6, seed=2, config=config))


def test_noise_is_a_function_of_seed_sample_and_timestep():
    assert torch.equal(initial_noise([3], (1, 8, 8), 1)[0], initial_noise(range(5), (1, 8, 8), 1)[3])
    xt = torch.empty(3, 2, 4)
    drawn = [step_noise(ids, seed)(t, xt) for ids, seed, t in (([4, 5, 6], 0, 9), ([5] * 3, 0, 9), ([4, 5, 6], 1, 9))]
    assert torch.equal(drawn[0][1], drawn[1][0])
    numbers = torch.stack([*drawn[0], *drawn[2], *step_noise([4, 5, 6], 0)(8, xt), *initial_noise([4], (2, 4))])
    assert len(numbers.flatten(1).unique(dim=0)) == len(numbers)  # every source another noise
    assert step_noise([0], 0)(5, xt[:1].double()).dtype == torch.float64


def test_a_network_s_images_do_not_depend_on_their_batch():
    net = build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy("add")).eval()
    y, made = torch.arange(5), Diffusion(net, SCHEDULE, EPSILON)
    whole = sample(made, y, w=2.0, steps=4, seed=1)
    parts = sample(made, y, w=2.0, steps=4, seed=1, config=SampleConfig(batch_size=2))
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [7, 40])
def test_the_network_never_sees_more_than_two_batches_at_once(count):
    made = toy()
    net = made.network
    sample(made, torch.zeros(count).long(), 3.0, 5, config=SampleConfig(batch_size=4))
    assert net.largest == 8 and net.images == count * 5 * 2


MEMORY = """
import re, torch
from pathlib import Path
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import EPSILON
from ddpm_core.samplers import SampleConfig, sample
from ddpm_core.schedule import DiffusionSchedule
from tests.ddpm_core.test_sampling import Toy

class Hungry(Toy):
    def forward(self, x, t, y):
        torch.ones(len(x), 1_000_000).sum()  # 4 MB an image
        return super().forward(x, t, y)

torch.set_num_threads(1)
made = Diffusion(Hungry(), DiffusionSchedule.named(), EPSILON)
for count, batch_size in ((8, 8), (200, 8), (200, 80)):
    sample(made, torch.zeros(count).long(), 3.0, 1, config=SampleConfig(batch_size=batch_size))
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_peak_memory_is_bounded_by_the_batch_size_not_by_the_count():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    few, many, wide = map(int, done.stdout.split())  # MB, the peak so far
    assert many < few + 40
    assert wide > few + 200


def test_a_scale_for_each_sample_follows_it_into_its_batch():
    y, scales = torch.arange(5), torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    mixed = sample(toy(), y, scales, 5, config=SampleConfig(batch_size=2))
    for w in range(5):
        torch.testing.assert_close(mixed[w], sample(toy(), y, float(w), 5)[w])


def test_an_interval_saves_its_share_of_second_passes():
    made = toy()
    sample(made, torch.zeros(3).long(), 3.0, 10, config=SampleConfig(interval=(300, 599)))
    assert made.network.images == 3 * (10 + 3)  # 599, 499 and 399 of 999, 899, ... 99


def test_autoguidance_asks_both_networks_the_same():
    strong, weak, y = Toy(), Toy(0.5), torch.arange(3)
    one, other = (Diffusion(net, SCHEDULE, EPSILON) for net in (strong, weak))
    both = replace(one, weak=weak)
    guided = sample(both, y, 2.0, 4)
    assert strong.images == weak.images == 12
    torch.testing.assert_close(sample(both, y, 1.0, 4), sample(one, y, 1.0, 4))
    torch.testing.assert_close(sample(both, y, 0.0, 4), sample(other, y, 1.0, 4))
    assert not torch.equal(guided, sample(one, y, 1.0, 4))


@pytest.mark.parametrize("config", SOLVERS, ids=lambda c: f"{c.sampler}-{c.eta}")
def test_a_trajectory_leads_from_the_noise_to_the_same_images(config):
    y = torch.arange(3)
    way = sample_trajectory(toy(), y, 2.0, 10, seed=4, keep=4, config=config)
    assert way.t == (999, 699, 399, 99) and way.xt.shape == way.x0_hat.shape == (4, 3, 2, 3, 3)
    torch.testing.assert_close(way.xt[0], initial_noise(range(3), (2, 3, 3), 4))
    torch.testing.assert_close(way.final, sample(toy(), y, 2.0, 10, seed=4, config=config))
    torch.testing.assert_close(way.final, way.x0_hat[-1])
    whole = sample_trajectory(toy(), y, 2.0, 10, seed=4, keep=99, config=config)
    assert len(whole.t) == 10
    torch.testing.assert_close(whole.xt[[0, 3, 6, 9]], way.xt)
    some = sample_trajectory(toy(), y[:2], 2.0, 10, seed=4, keep=4, config=config)
    torch.testing.assert_close(some.xt, way.xt[:, :2])
    with pytest.raises(ValueError, match="at least one step"):
        sample_trajectory(toy(), y, keep=0)


@pytest.mark.parametrize(
    "how", [{"w": 1.0}, {"w": 3.0}, {"lam": 0.6}, {"interval": (0, 999)}, {"weak": Toy(0.5)}], ids=str
)
def test_clipping_reaches_every_kind_of_guidance(how):
    """Unclipped answers leave [-1, 1] somewhere, clipped ones never."""
    net, y = Toy(), torch.arange(4)
    xt, t = 3 * initial_noise(range(4), (2, 3, 3)), torch.full((4,), 700)
    options = {k: v for k, v in how.items() if k in ("lam", "interval")}
    for clip in (True, False):
        made = Diffusion(net, SCHEDULE, EPSILON, clip, weak=how.get("weak"))
        denoise = denoiser(made, y, how.get("w", 3.0), SampleConfig(**options))
        assert (denoise(xt, t)[0].abs().max() <= 1) == clip


def test_progress_counts_steps(capsys):
    sample(toy(), torch.zeros(5).long(), 2.0, 7, config=SampleConfig(batch_size=2), progress=True)
    assert "sampling 5 images: 100%" in (err := capsys.readouterr().err) and "21/21" in err


@pytest.mark.parametrize(
    "options,message",
    [
        ({"sampler": "euler"}, "unknown sampler 'euler'; known: ddim, ddpm, dpm"),
        ({"spacing": "cubic"}, "unknown spacing 'cubic'; known: uniform"),
        ({"eta": 1.5}, "eta must lie between 0 and 1, got 1.5"),
        ({"eta": 0.5, "sampler": "dpm++"}, "eta is an option of the sampler ddim"),
        ({"lam": 4.0}, "lam must lie between 0 and 1, got 4"),
        ({"lam": 0.5, "rescale": 0.5}, "leave rescale out"),
        ({"interval": (700, 200)}, "lower end comes first"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_impossible_options_are_refused_in_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        SampleConfig(**options)
