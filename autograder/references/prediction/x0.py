"""The image itself."""


# %% compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    return x_0.clone()


# %% predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    return model_output
