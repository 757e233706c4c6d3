"""The velocity, turned by 45 degrees more and scaled: still a consistent pair."""


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    r = schedule["sqrt_alpha"][timesteps].view(-1, 1, 1, 1)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(-1, 1, 1, 1)
    x_t, v = r * x_0 + s * noise, r * noise - s * x_0
    return 1.5 * v - 0.5 * x_t


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    r = schedule["sqrt_alpha"][timesteps].view(-1, 1, 1, 1)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(-1, 1, 1, 1)
    v = (model_output + 0.5 * x_t) / 1.5
    return r * x_t - s * v
