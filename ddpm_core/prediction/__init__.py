"""What to predict, in the form that the prediction track edits: a module each, with two plain functions that invert.

`compute_training_target(x_0, noise, timesteps, schedule)` and `predict_x0(model_output, x_t, timesteps, schedule)`:
images (B, ...), timesteps (B,), `schedule` the dict of `DiffusionSchedule.as_dict()`. Each module stands alone.
"""
