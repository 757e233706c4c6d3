"""The parameterizations written out one by one, as a student of the prediction track writes them: an independent
form to hold `ddpm_core.parameterization` against. Images (B, ...), timesteps (B,), schedule as `as_dict()` has it."""

from torch import Tensor

Schedule = dict[str, Tensor]


def signal_and_noise(x: Tensor, timesteps: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """sqrt(abar) and sqrt(1 - abar) at each image's timestep."""
    shape = (-1, *[1] * (x.dim() - 1))
    return tuple(schedule[k][timesteps].view(shape) for k in ("sqrt_alpha", "sqrt_one_minus_alpha"))  # 2 x (B, 1, ...)


def epsilon_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    return noise


def epsilon_inverse(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_t, timesteps, schedule)
    return (x_t - s * model_output) / a


def v_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_0, timesteps, schedule)
    return a * noise - s * x_0


def v_inverse(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_t, timesteps, schedule)
    return a * x_t - s * model_output


def x0_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    return x_0


def x0_inverse(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    return model_output


def blend_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_0, timesteps, schedule)
    return (1 - a**2) * noise + a**2 * (a * noise - s * x_0)


def blend_inverse(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_t, timesteps, schedule)
    return ((1 - a**2 + a**3) * x_t - s * model_output) / ((1 - a**2) * a + a**2)


def flow_target(x_0: Tensor, noise: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    return noise - x_0


def flow_inverse(model_output: Tensor, x_t: Tensor, timesteps: Tensor, schedule: Schedule) -> Tensor:
    a, s = signal_and_noise(x_t, timesteps, schedule)
    return (x_t - s * model_output) / (a + s)


PAIRS = {
    "epsilon": (epsilon_target, epsilon_inverse),
    "v": (v_target, v_inverse),
    "x0": (x0_target, x0_inverse),
    "blend": (blend_target, blend_inverse),
    "flow": (flow_target, flow_inverse),
}
