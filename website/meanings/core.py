"""What parameters of `ddpm_core` mean below a module, class or function, if the docstring does not say so."""

EPS = "added to the variance before the square root"
CHECKPOINT = "path of the checkpoint, with or without .safetensors or .json"

CORE: dict[str, dict[str, str]] = {
    "ddpm_core.schedule": {
        "beta_start": "the first beta", "beta_end": "the last beta",
        "s": "offset that keeps beta from being tiny near t = 0",
        "values": "one number per timestep (T,)", "name": "the schedule's name, such as cosine",
        "alphas_cumprod": "abar at every timestep (T,)", "x": "sets the shape of the result (B, ...)",
    },
    "ddpm_core.parameterization": {
        "name": "the target's name", "compute_training_target": "(x0, eps, t, schedule) -> the training target",
        "predict_x0": "(output, xt, t, schedule) -> x0", "coefficients": "abar -> (A, B) of the target A·eps - B·x0",
    },
    "ddpm_core.guidance": {
        "out": "the guided output", "phi": "share of the rescaling, from 0 (none) to 1 (all)",
        "low": "the lowest timestep inside", "high": "the highest timestep inside",
        "inside": "the denoiser inside the interval", "outside": "the denoiser outside it",
    },
    "ddpm_core.interpolation": {
        "a": "the first embedding (D,)", "b": "the second embedding (D,)", "conds": "conditions, one for each image",
        "noises": "initial noise of each image (N, C, H, W)", "mode": "linear or spherical",
        "sampling": "solver and guidance", "class_a": "the first label",
        "class_b": "the last label", "num_interp": "number of images in the row, including both ends",
        "how": "what changes, along which path, and with which solver",
    },
    "ddpm_core.samplers": {
        "start": "the noise (B, ...) that the sampler starts from",
        "keep": "number of evenly spaced steps to keep", "spacing": "how the timesteps are spread, such as uniform",
        "indices": "indices of the samples (B,)", "shape": "an image's shape (C, H, W)",
        "source": "(t, xt) -> noise, or one generator for the batch; None: torch's global one",
    },
    "ddpm_core.samplers.solvers.last": {"steps": "a sampler's steps (xt, x0)"},
    "ddpm_core.samplers.sampling.record": {"steps": "a sampler's steps (xt, x0)"},
    "ddpm_core.flow": {
        "t": "times in [0, 1]", "t_next": "the times to step to", "times": "times (N+1,) in [0, 1] to visit",
        "step": "how to take one step, such as `heun_step`", "path": "points of the paths (N+1, B, ...)",
    },
    "ddpm_core.edm.karras_sigmas": {"steps": "number of steps, one fewer than noise levels"},
    "ddpm_core.edm": {
        "sigma_min": "the lowest noise level", "sigma_max": "the highest noise level",
        "rho": "how densely the levels crowd at the low end", "network": "the raw network F(x, c_noise)",
        "denoiser": "a denoiser (xt, t) -> (x0, eps)", "denoise": "a denoiser (x, sigma) -> x0",
    },
    "ddpm_core.editing": {"mask": "1 where x0 is known, 0 where it must be generated; broadcast over xt"},
    "ddpm_core.streams": {
        "parts": "anything that tells one seed from another", "name": "what the numbers are for, such as noise",
    },
    "ddpm_core.latent.Autoencoder": {
        "latent_channels": "channels D of the latents", "width": "channels of the hidden layers",
        "x": "images (B, C, H, W) in [-1, 1]", "kl_weight": "weight of the latents' divergence from a standard normal",
    },
    "ddpm_core.layers": {
        "max_period": "inverse of the lowest frequency", "freq_shift": "1: reach that frequency; 0: just miss it",
        "cos_first": "cosines before sines", "layer": "the layer whose weights to set to 0",
        "num_channels": "number of channels", "num_groups": "number of channel groups, each normalised together",
        "eps": EPS, "context_dim": "size D of a context token; None: no cross-attention",
    },
    "ddpm_core.attention": {
        "x": "the tokens to regroup", "eps": EPS, "image_dim": "size of an image token",
        "text_dim": "size of a context token", "context_dim": "size of a context token",
    },
    "ddpm_core.conditioning": {"name": "the strategy's name"},
    "ddpm_core.network": {
        "class_scale": "scale of the class table's initial values", "divisor": "must divide widths with attention",
        "setting": "name of the setting that holds the divisor", "config": "how the network is built",
        "x": "noisy images (B, C, H, W)",
    },
    "ddpm_core.unet": {"config": "how the U-Net is built", "x": "noisy images (B, C, H, W)"},
    "ddpm_core.dit.patchify": {"x": "images (B, C, H, W)", "p": "side of a patch, in pixels"},
    "ddpm_core.dit.modulate": {"x": "tokens (B, N, D)", "shift": "added after scaling (B, 1, D)"},
    "ddpm_core.dit.unpatchify": {"p": "side of a patch, in pixels", "size": "height and width of the images"},
    "ddpm_core.dit": {
        "patch_size": "side of a patch, in pixels", "scale": "added to a factor of 1 (B, 1, D)",
        "config": "how the transformer is built", "x": "noisy images (B, C, H, W)",
    },
    "ddpm_core.text": {
        "vocabulary": "number of different tokens", "length": "number of tokens in the longest caption",
        "unet": "the U-Net that attends to the words", "encoder": "turns tokens into vectors",
    },
    "ddpm_core.objectives": {"target": "what the output should be (B, ...)"},
    "ddpm_core.training.drop_labels": {"null_class": "the label that means no class; (1, S) for captions"},
    "ddpm_core.training.train": {
        "loss": "(output, target, t) -> a scalar", "times": "how to draw timesteps",
        "engine": "how to compute gradients; None: in float32, in one process",
    },
    "ddpm_core.training": {
        "batch": "noisy images, timesteps and labels (xt, t, y)",
        "ema_decay": "share of the average kept at each update", "ema": "the average of the weights",
        "optimizer": "updates the weights", "start": "index of the first batch",
        "move": "moves a tensor to the device", "loader": "batches (x0, y), iterated over repeatedly",
        "loss": "(output, target, t) -> a scalar", "target": "what the output should be (B, ...)",
        "norm": "the gradient's norm, a scalar",
    },
    "ddpm_core.config": {
        "schedule": "name of the noise schedule", "parameterization": "name of what the network predicts",
        "train": "how to train", "network": "the network that denoises", "name": "the preset's name",
        "config": "a frozen dataclass", "values": "the fields, as in JSON",
    },
    "ddpm_core.data": {
        "images": "images (N, C, H, W): uint8, or floating-point in [-1, 1]",
        "labels": "class indices (N,), int64, or tokens (N, S)", "split": "train, heldout or all",
        "name": "the data set's name", "classes": "names of the classes, in order", "index": "which images to take",
    },
    "ddpm_core.files.write_bytes": {"path": "the file to replace"},
    "ddpm_core.files": {
        "path": CHECKPOINT,
        "content": "the whole new content", "config": "the config, as in JSON", "about": "more entries for the record",
        "skip": "how the names of unwanted tensors begin",
    },
    "ddpm_core.checkpoint": {
        "path": CHECKPOINT,
        "updates": "number of EMA updates so far", "about": "more entries for the record",
        "ema": "the network with averaged weights", "raw_or_none": "the one with raw weights, if they were kept",
        "module": "the module to load the tensors into",
    },
    "ddpm_core.registry": {"kind": "one of KINDS", "name": "its name in configs", "value": "the design itself"},
    "ddpm_core.plots": {
        "path": "the picture's file; its suffix sets the format",
        "image": "an image (C, H, W) in [-1, 1]", "row_names": "a name per row", "column_names": "a name per column",
        "cell": "side of a picture, in inches", "axes": "labels of the axes", "fig": "the figure",
    },
    "ddpm_core.metrics": {
        "classifier": "a network with `features` and `head`", "start": "index of the first image",
        "mean": "mean of the features (D,)", "cov": "covariance of the features (D, D)",
        "a": "moments of one set", "b": "moments of the other",
    },
}  # fmt: skip
