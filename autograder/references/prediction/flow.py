"""The difference of noise and image, as flow matching has it, on the course's schedule."""


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    return noise - x_0


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    r = schedule["sqrt_alpha"][timesteps].view(-1, 1, 1, 1)
    s = schedule["sqrt_one_minus_alpha"][timesteps].view(-1, 1, 1, 1)
    return (x_t - s * model_output) / (r + s)
