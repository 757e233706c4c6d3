"""A network with what its output means: it samples as it was trained, in any precision, or says what it lacks."""

import math
from dataclasses import replace

import pytest
import torch

from ddpm_core.checkpoint import load, load_diffusion
from ddpm_core.conditioning import strategy
from ddpm_core.config import DATA_DIR
from ddpm_core.diffusion import Diffusion
from ddpm_core.ema import EMA
from ddpm_core.guidance import guided
from ddpm_core.parameterization import EPSILON, V
from ddpm_core.samplers import SampleConfig, initial_noise, sample, sample_trajectory
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.unet import UNetConfig, build_unet
from tests.ddpm_core.test_unet import perturbed

SCHEDULE = DiffusionSchedule.named()


def waves(x, t, y):
    return torch.sin(3 * x + y.view(-1, 1, 1, 1))


@torch.no_grad()
def test_the_shipped_v_model_samples_as_v_prediction_written_out():
    """Salimans & Ho 2022: x0 = sqrt(abar)·xt - sqrt(1 - abar)·v, on the cosine schedule, in DDIM's steps."""
    path = DATA_DIR / "checkpoints/cifar10"
    diffusion, net = load_diffusion(path), load(path).ema
    assert diffusion.shape == (3, 32, 32) and diffusion.parameterization is V
    y, w, times = torch.tensor([1, 7]), 2.0, [999, 749, 499, 249]

    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    xt, null = initial_noise([0, 1], (3, 32, 32), 3), torch.tensor([10, 10])
    for t, s in zip(times, [*times[1:], None]):
        a, a_next = (f(u + 1) / f(0) if u is not None else 1.0 for u in (t, s))
        a = max(a, f(999) / f(0) * 1e-4)  # the schedule's last beta is clamped
        when = torch.full((2,), t)
        weak, strong = net(xt, when, null), net(xt, when, y)
        v = weak + w * (strong - weak)
        x0 = (a**0.5 * xt - (1 - a) ** 0.5 * v).clamp(-1, 1)
        xt = a_next**0.5 * x0 + (1 - a_next) ** 0.5 * (xt - a**0.5 * x0) / (1 - a) ** 0.5
    ours = sample(diffusion, y, w, 4, seed=3)
    torch.testing.assert_close(ours, xt, rtol=0, atol=2e-3)
    misread = sample(replace(diffusion, parameterization=EPSILON), y, w, 4, seed=3)
    assert (misread - xt).abs().mean() > 0.1  # the test can tell


@pytest.mark.parametrize("ask", [sample, sample_trajectory])
def test_a_function_must_be_given_its_images_shape(ask):
    bare = Diffusion(waves, SCHEDULE, EPSILON, null=torch.tensor([9]))
    with pytest.raises(ValueError, match=r"does not say how large its images are; give Diffusion\(image_shape=\(C, H,"):
        ask(bare, torch.tensor([1, 2]), 2.0, 3)
    given = replace(bare, image_shape=(2, 3, 5))
    assert sample(given, torch.tensor([1, 2]), 2.0, 3).shape == (2, 2, 3, 5)
    assert given.device.type == "cpu" and given.to("cpu").null.equal(torch.tensor([9]))


def test_guidance_without_an_empty_condition_says_so():
    bare, y = Diffusion(waves, SCHEDULE, EPSILON, image_shape=(1, 4, 4)), torch.tensor([1, 2])
    with pytest.raises(ValueError, match=r"guidance needs the empty condition; give Diffusion\(null=...\)"):
        sample(bare, y, 2.0, 3)
    assert sample(bare, y, 1.0, 3).isfinite().all()  # without guidance there is none to need


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([], "there are no labels to sample for; give one for each image"),
        ([3, 11], r"labels must lie between 0 and 10 \(the null class\), got 3 to 11"),
        ([-1, 4], r"labels must lie between 0 and 10 \(the null class\), got -1 to 4"),
        ([3.0, 4.0], r"labels are whole numbers, got torch.float32; write y.long\(\)"),
    ],
)
@pytest.mark.parametrize("ask", [sample, sample_trajectory])
def test_labels_that_the_network_does_not_know_are_refused(ask, labels, says):
    made = small()
    with pytest.raises(ValueError, match=says):
        ask(made, torch.tensor(labels) if labels else torch.empty(0, dtype=torch.long), 1.0, 2)
    assert sample(made, torch.tensor([0, 10]), 1.0, 2).shape == (2, 1, 8, 8)  # both ends are fine


def small(seed=0):
    return Diffusion(
        perturbed(build_unet(UNetConfig(1, 8, 10, (32, 64), 1, cond_dim=64), strategy("add"), seed), 0.02), SCHEDULE, V
    )


@pytest.mark.parametrize("how", ["bfloat16", "float16", "autocast", "autocast and bfloat16"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm++"])
def test_half_precision_changes_the_last_digits_alone(how, sampler):
    """Steps are taken in float32 whatever the network computes in."""
    y, config = torch.arange(6), SampleConfig(sampler=sampler, batch_size=4)
    exact = sample(small(), y, 2.0, 8, seed=1, config=config)
    dtype = torch.float16 if how == "float16" else torch.bfloat16
    made = small()
    if how != "autocast":
        made.network.to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled="autocast" in how):
        rough = sample(made, y, 2.0, 8, seed=1, config=config)
    assert rough.dtype == torch.float32 and rough.isfinite().all()
    assert 0 < (rough - exact).abs().mean() < (0.002 if how == "float16" else 0.02)
    assert exact.std() > 0.2 and (exact - sample(small(1), y, 2.0, 8, seed=1, config=config)).abs().mean() > 0.02


def test_the_average_of_a_half_precision_network_samples_too():
    made = small()
    averaged = replace(made, network=EMA(made.network.bfloat16()).module)
    assert next(averaged.network.parameters()).dtype == torch.float32
    images = sample(averaged, torch.arange(3), 2.0, 4)
    assert images.dtype == torch.float32 and images.isfinite().all()


def test_embeddings_stand_for_their_labels(rng):
    made, y = small(), torch.tensor([2, 7, 10])
    xt, t = torch.randn(3, 1, 8, 8, generator=rng), torch.tensor([5, 500, 900])
    on = made.on_embeddings()
    with torch.no_grad():
        conds = made.network.embed_class(y)
        torch.testing.assert_close(guided(on, conds, 3.0)(xt, t), guided(made, y, 3.0)(xt, t))
    assert on.shape == (1, 8, 8) and on.device == made.device
