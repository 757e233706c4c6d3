import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_core.diffusion import split_output
from ddpm_core.parameterization import BLEND, EPSILON, PARAMETERIZATIONS, X0, V
from ddpm_core.schedule import DiffusionSchedule, linear_beta_schedule
from ddpm_tools.plain_pairs import from_functions
from tests.ddpm_core.plain_pairs import PAIRS

PLAIN = {name: from_functions(name, *pair) for name, pair in PAIRS.items()}
BOTH_FORMS = [*PARAMETERIZATIONS.values(), *PLAIN.values()]


@pytest.mark.parametrize("kind", BOTH_FORMS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pairs_invert_at_every_timestep(kind, name, dtype, rng):
    schedule = DiffusionSchedule.named(name, dtype=dtype)
    t = torch.arange(1000)
    x0 = torch.rand(1000, 8, generator=rng, dtype=dtype) * 2 - 1
    eps = torch.randn(1000, 8, generator=rng, dtype=dtype)
    xt = schedule.q_sample(x0, t, eps)
    back = kind.predict_x0(kind.compute_training_target(x0, eps, t, schedule), xt, t, schedule)
    unit = 1e-6 if dtype == torch.float32 else 1e-13
    error = (back - x0).abs().amax(1) * schedule.alphas_cumprod.sqrt()
    assert error.max() < unit, f"worst at t = {int(error.argmax())}"


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


@pytest.mark.parametrize("name", PARAMETERIZATIONS)
@pytest.mark.parametrize("schedule_name", ["linear", "cosine"])
def test_the_plain_functions_are_the_same_pairs(name, schedule_name, rng):
    """Two derivations of one thing, at every timestep, for images of any rank."""
    schedule = DiffusionSchedule.named(schedule_name, dtype=torch.float64)
    t = torch.arange(1000)
    for shape in ((1000, 3), (1000, 1, 2, 2)):
        x, e, out = torch.randn(3, *shape, generator=rng, dtype=torch.float64)
        ours, (target, inverse) = PARAMETERIZATIONS[name], PAIRS[name]
        torch.testing.assert_close(ours.compute_training_target(x, e, t, schedule), target(x, e, t, schedule.as_dict()))
        torch.testing.assert_close(ours.predict_x0(out, x, t, schedule), inverse(out, x, t, schedule.as_dict()))


@pytest.mark.parametrize("kind", BOTH_FORMS, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_no_timestep_gives_nan(kind, dtype, name, rng):
    """Whatever the network says at t = 0 and T-1, clamped or not; half precision is worked out in float32."""
    schedule, t = DiffusionSchedule.named(name), torch.tensor([0, 1, 998, 999])
    for size in (0.0, 1.0, 100.0):
        xt, out = (size * torch.randn(2, 4, 3, 4, 4, generator=rng)).to(dtype)
        for clip in (True, False):
            for part in split_output(out, xt, t, schedule, kind, clip):
                assert torch.isfinite(part).all() and part.dtype == torch.promote_types(dtype, torch.float32)
        target = kind.compute_training_target(xt, out, t, schedule)
        assert torch.isfinite(target).all()


@pytest.mark.parametrize("kind", PARAMETERIZATIONS.values(), ids=lambda p: p.name)
def test_a_schedule_that_ends_in_pure_noise_gives_no_nan(kind, rng):
    """abar = 0 at T-1 (Lin et al. 2024): v and x0 stay exact, the others finite."""
    betas = linear_beta_schedule(10, 0.1, 1.0)
    schedule, t = DiffusionSchedule.from_betas(betas), torch.tensor([9, 9])
    x0, eps = torch.rand(2, 2, 3, generator=rng) * 2 - 1, torch.randn(2, 3, generator=rng)
    x0 = x0[0]
    xt = schedule.q_sample(x0, t, eps)
    assert schedule.alphas_cumprod[9] == 0 and torch.equal(xt, eps)
    back = kind.predict_x0(kind.compute_training_target(x0, eps, t, schedule), xt, t, schedule)
    assert torch.isfinite(back).all()
    if kind.name in ("v", "x0"):
        torch.testing.assert_close(back, x0)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(BOTH_FORMS),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(2, 300),
    st.sampled_from(["linear", "cosine"]),
    st.data(),
)
def test_any_shape_and_any_length_of_schedule_inverts(kind, shape, total, name, data):
    schedule = DiffusionSchedule.named(name, total, torch.float64)
    t = torch.tensor(data.draw(st.lists(st.integers(0, total - 1), min_size=shape[0], max_size=shape[0])))
    rng = torch.Generator().manual_seed(total)
    x0, eps = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
    target = kind.compute_training_target(x0, eps, t, schedule)
    back = kind.predict_x0(target, schedule.q_sample(x0, t, eps), t, schedule)
    assert target.shape == back.shape == x0.shape and target.dtype == torch.float64
    torch.testing.assert_close(back, x0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("wrong", [lambda *a: a[0].mean(), lambda *a: a[0][:, :1], lambda *a: None])
def test_functions_that_return_something_else_are_named(wrong, rng):
    schedule, x, t = DiffusionSchedule.named(), torch.randn(2, 3, generator=rng), torch.tensor([5, 6])
    pair = from_functions("mine", wrong, PAIRS["v"][1])
    with pytest.raises(ValueError, match=r"compute_training_target must return a tensor of shape \(2, 3\)"):
        pair.compute_training_target(x, x, t, schedule)
    with pytest.raises(ValueError, match=r"predict_x0 must return a tensor of shape \(2, 3\)"):
        from_functions("mine", wrong, wrong).predict_x0(x, x, t, schedule)
    assert pair.name == "mine" and pair.predict_x0(x, x, t, schedule).shape == (2, 3)
