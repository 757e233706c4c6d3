"""Pipeline folders of diffusers: a checkpoint becomes one that `DDIMPipeline` loads, and a published one is read. The
images are the same on both sides: `pipeline(num_inference_steps=n, use_clipped_model_output=True)` takes our DDIM steps
where n divides the number of timesteps. (Otherwise it steps past the next entry of its own list.) Weights are read
from safetensors alone: nothing is ever unpickled."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.schedule import SCHEDULES, DiffusionSchedule
from ddpm_core.training import TrainState
from ddpm_core.unet import build_unet
from ddpm_tools.export import diffusers_unet as unets
from ddpm_tools.export.diffusers_unet import DiffusersError
from ddpm_tools.train.resume import exists, save_training
from ddpm_tools.unet2d import UNet2D, UNet2DConfig

WEIGHTS = "diffusion_pytorch_model.safetensors"
PREDICTION = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}  # ours: theirs
TAKES_CLASSES = {"add": True, "none": False}  # the conditionings that UNet2DModel has


def scheduler_config(preset: Preset) -> dict[str, Any]:
    """DDIMScheduler's arguments for a preset: our betas, clamped x0, timesteps from T-1 down ("trailing")."""
    if preset.parameterization not in PREDICTION:
        raise DiffusersError(
            f"diffusers' schedulers do not know the parameterization '{preset.parameterization}'; "
            f"they know {', '.join(PREDICTION)}"
        )
    steps = preset.make_schedule().timesteps
    own = list(preset.betas) or SCHEDULES[preset.schedule](steps).tolist()  # theirs of the same name are not quite ours
    theirs = preset.schedule == "linear" and not preset.betas
    betas = {"beta_schedule": "linear"} if theirs else {"trained_betas": own}
    prediction = {"prediction_type": PREDICTION[preset.parameterization], "clip_sample": True}
    return betas | prediction | {"num_train_timesteps": steps, "timestep_spacing": "trailing"}


def read_scheduler(theirs: dict[str, Any]) -> tuple[str, str]:
    """(schedule, parameterization) by our names; DiffusersError names what we do not have."""
    for key, known in (
        ("clip_sample", True), ("clip_sample_range", 1), ("thresholding", False), ("rescale_betas_zero_snr", False)
    ):  # fmt: skip
        if theirs.get(key, known) != known:
            raise DiffusersError(f"the scheduler's {key} = {theirs[key]!r}; only {known!r} is known here")
    kind = theirs.get("prediction_type", "epsilon")
    parameterization = next((ours for ours, name in PREDICTION.items() if name == kind), None)
    if parameterization is None:
        raise DiffusersError(f"the scheduler's prediction_type = {kind!r} is unknown here")
    steps, shape = theirs.get("num_train_timesteps", 1000), theirs.get("beta_schedule", "linear")
    if theirs.get("trained_betas") is not None:
        betas, shape = torch.tensor(theirs["trained_betas"], dtype=torch.float64), "trained_betas"
    elif shape == "linear":
        ends = theirs.get("beta_start", 1e-4), theirs.get("beta_end", 0.02)
        betas = torch.linspace(*ends, steps, dtype=torch.float64)
    else:
        betas = torch.empty(0)
    for name, ours in SCHEDULES.items():
        same = DiffusionSchedule.named(name).timesteps == steps == len(betas)
        if same and torch.allclose(ours(steps), betas, rtol=1e-4, atol=0):
            return name, parameterization
    raise DiffusersError(f"the scheduler's betas ({shape}, {steps} steps) are none of ours: {', '.join(SCHEDULES)}")


def refuse_what_diffusers_lacks(preset: Preset, net: nn.Module) -> None:
    """DiffusersError says which part of a model UNet2DModel cannot express."""
    if not isinstance(net, UNet2D):
        raise DiffusersError(
            f"diffusers has no network of our architecture {preset.unet.architecture} ({type(net).__name__}); "
            f"train one with the architecture unet2d, for instance `ddpm train --preset digits-unet2d`"
        )
    if preset.conditioning not in TAKES_CLASSES:
        known = ", ".join(TAKES_CLASSES)
        raise DiffusersError(f"UNet2DModel has no conditioning '{preset.conditioning}'; it has {known}")
    if preset.unet.context_dim:
        raise DiffusersError("UNet2DModel has no cross-attention to a context; a text model cannot be exported")


def export_pipeline(loaded: checkpoint.Loaded, out: Path, raw: bool = False) -> Path:
    """Write a checkpoint's averaged (or raw) network as a pipeline folder, all of it or nothing. A class-conditional
    network's `UNet2DModel` is called with `class_labels`, K being the null class."""
    preset, net = loaded.preset, loaded.raw if raw else loaded.ema
    refuse_what_diffusers_lacks(preset, net)
    scheduler = scheduler_config(preset)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DiffusersError(f"{out} is there already; choose another --out or remove it")
    from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel  # takes seconds to import

    state, conditional = net.state_dict(), TAKES_CLASSES[preset.conditioning]
    if not conditional:
        state = {k: v for k, v in state.items() if not k.startswith("class_table.")}  # never read by such a network
    theirs = UNet2DModel(**unets.to_diffusers_config(preset.unet, conditional))
    theirs.load_state_dict(unets.to_diffusers_weights(state, preset.unet))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        draft = Path(scratch) / "pipeline"
        DDIMPipeline(theirs, DDIMScheduler(**scheduler)).save_pretrained(draft)
        for file in draft.rglob("*.safetensors"):
            file.chmod(0o644)  # safetensors makes it private
        os.replace(draft, out)
    return out


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise DiffusersError(f"{file} is damaged: it is not JSON; fetch the folder again") from e
    if not isinstance(value, dict):
        raise DiffusersError(f"{file} is damaged: it holds no JSON object; fetch the folder again")
    return value


def read_unet(folder: Path) -> tuple[UNet2DConfig, dict[str, Tensor]]:
    """Config and weights, under our names, of the UNet2DModel in a pipeline folder or in a folder of its own."""
    root = folder / "unet" if (folder / "unet").is_dir() else folder
    if not (root / "config.json").is_file():
        raise DiffusersError(f"{folder} is no diffusers folder: neither it nor its unet/ holds a config.json")
    config = unets.from_diffusers_config(_json(root / "config.json"))
    if not (root / WEIGHTS).is_file():
        if pickles := sorted(root.glob("*.bin")):
            raise DiffusersError(
                f"{root} has its weights only as {pickles[0].name}, a pickle, which may run code when it is read; "
                f"ask for the safetensors file, or convert it with diffusers where you trust its source"
            )
        raise DiffusersError(f"{root} has no weights: {WEIGHTS} is missing")
    try:
        state = load_file(root / WEIGHTS)
    except (SafetensorError, OSError) as e:
        raise DiffusersError(f"{root / WEIGHTS} is truncated or damaged; fetch it again") from e
    return config, unets.from_diffusers_weights(state, config)


def import_pipeline(
    folder: Path, out: Path, data: str = "unknown", schedule: str | None = None, parameterization: str | None = None
) -> Path:
    """Write a checkpoint from a folder of diffusers; `data` names the data set that the network was trained on. A
    folder without a scheduler needs schedule and parameterization (ours), which also replace what one says."""
    if exists(out):
        raise DiffusersError(f"{checkpoint.stem(out)} is there already; choose another --out")
    config, state = read_unet(folder)
    files = [f / "scheduler_config.json" for f in (folder / "scheduler", folder)]
    file = next((f for f in files if f.is_file()), None)
    if not (schedule and parameterization):
        if file is None:
            remedy = f"say --schedule ({', '.join(SCHEDULES)}) and --parameterization"
            raise DiffusersError(f"{folder} has no scheduler_config.json; {remedy}")
        found = read_scheduler(_json(file))
        schedule, parameterization = schedule or found[0], parameterization or found[1]
    conditioning = "add" if config.num_classes else "none"
    net = build_unet(config, strategy(conditioning))
    try:
        net.load_state_dict(state)
    except RuntimeError as e:
        raise DiffusersError(f"the weights in {folder} do not fit its config.json; fetch both again") from e
    preset = Preset(data, conditioning, schedule, parameterization, config)
    state = TrainState.start(preset.diffusion(net), preset.train)
    return save_training(out, state, preset, resumable=False, provenance={"imported": folder.name})
