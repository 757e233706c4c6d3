import pytest
import torch
from diffusers import DDPMScheduler

from ddpm_core.parameterization import BLEND, EPSILON, PARAMETERIZATIONS, X0, V
from ddpm_core.schedule import DiffusionSchedule, linear_beta_schedule


@pytest.mark.parametrize("kind", PARAMETERIZATIONS.values(), ids=lambda p: p.name)
@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pairs_invert_at_every_timestep(kind, name, dtype, rng):
    schedule = DiffusionSchedule(DiffusionSchedule.named(name).alphas_cumprod.to(dtype))
    t = torch.arange(1000)
    x0 = torch.rand(1000, 8, generator=rng, dtype=dtype) * 2 - 1
    eps = torch.randn(1000, 8, generator=rng, dtype=dtype)
    xt = schedule.q_sample(x0, t, eps)
    back = kind.predict_x0(kind.compute_training_target(x0, eps, t, schedule), xt, t, schedule)
    unit = 1e-6 if dtype == torch.float32 else 1e-13
    error = (back - x0).abs().amax(1) * schedule.alphas_cumprod.sqrt()
    assert error.max() < unit * 5, f"worst at t = {int(error.argmax())}"


def test_v_equals_diffusers(rng):
    schedule = DiffusionSchedule.named("linear")
    theirs = DDPMScheduler(trained_betas=linear_beta_schedule(1000).numpy())
    x0, eps = torch.randn(2, 4, 3, 8, 8, generator=rng)
    t = torch.tensor([0, 10, 500, 999])
    ours = V.compute_training_target(x0, eps, t, schedule)
    torch.testing.assert_close(ours, theirs.get_velocity(x0, eps, t), rtol=1e-4, atol=1e-5)


def test_targets_are_what_their_names_say(rng):
    schedule, t = DiffusionSchedule.named("linear"), torch.tensor([3, 700])
    x0, eps = torch.randn(2, 2, 1, 2, 2, generator=rng)
    abar = schedule.alphas_cumprod[t].view(2, 1, 1, 1)
    torch.testing.assert_close(EPSILON.compute_training_target(x0, eps, t, schedule), eps)
    torch.testing.assert_close(X0.compute_training_target(x0, eps, t, schedule), x0)
    v = V.compute_training_target(x0, eps, t, schedule)
    torch.testing.assert_close(BLEND.compute_training_target(x0, eps, t, schedule), (1 - abar) * eps + abar * v)
