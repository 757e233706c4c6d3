"""Control: the velocity at one noise level in the middle, whatever the timestep."""
# ruff: noqa: F821


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    middle = torch.full_like(timesteps, len(schedule["sqrt_alpha"]) // 2)
    r = schedule["sqrt_alpha"][middle].view(-1, 1, 1, 1)
    s = schedule["sqrt_one_minus_alpha"][middle].view(-1, 1, 1, 1)
    return r * noise - s * x_0


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    middle = torch.full_like(timesteps, len(schedule["sqrt_alpha"]) // 2)
    r = schedule["sqrt_alpha"][middle].view(-1, 1, 1, 1)
    s = schedule["sqrt_one_minus_alpha"][middle].view(-1, 1, 1, 1)
    return r * x_t - s * model_output
