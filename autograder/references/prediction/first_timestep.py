"""Control: every sample gets the noise level of the batch's first one."""


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    r, s = schedule["sqrt_alpha"][timesteps[0]], schedule["sqrt_one_minus_alpha"][timesteps[0]]
    return r * noise - s * x_0


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    r, s = schedule["sqrt_alpha"][timesteps[0]], schedule["sqrt_one_minus_alpha"][timesteps[0]]
    return r * x_t - s * model_output
