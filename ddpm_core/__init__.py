"""The course's small library: conditional diffusion models, written to be read.

Data flows one way. Training: data -> schedule.q_sample -> unet(conditioning) -> parameterization -> loss.
Sampling: noise -> sampler(guidance(unet)) -> images -> metrics, plots.
Images are (B, C, H, W) in [-1, 1]; t is an integer timestep 0 ... T-1 that grows with the noise.
"""
