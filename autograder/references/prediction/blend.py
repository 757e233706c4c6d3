"""The blend of noise and velocity with weight abar: (1 - abar)·eps + abar·v."""


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    abar = schedule["alphas_cumprod"][timesteps].view(-1, 1, 1, 1)  # (B,) -> (B, 1, 1, 1)
    velocity = abar.sqrt() * noise - (1 - abar).sqrt() * x_0
    return (1 - abar) * noise + abar * velocity


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    abar = schedule["alphas_cumprod"][timesteps].view(-1, 1, 1, 1)
    r, s = abar.sqrt(), (1 - abar).sqrt()
    a, b = 1 - abar + abar * r, abar * s  # the target is a·eps - b·x0
    return (a * x_t - s * model_output) / (a * r + b * s)
