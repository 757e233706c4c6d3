"""diffusers' pipeline folders: export a checkpoint for `DDIMPipeline`, and import a published pipeline. The images
agree on both sides: `pipeline(num_inference_steps=n, use_clipped_model_output=True)` takes our DDIM steps if n divides
the number of timesteps (otherwise it steps past the next entry of its own list) and the scheduler has our betas: see
`export_pipeline`."""

import os
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.schedule import SCHEDULES
from ddpm_core.training import TrainState
from ddpm_core.unet import build_unet
from ddpm_tools.evaluation.judges import KNOWN_CLASSES
from ddpm_tools.export import diffusers_unet as unets
from ddpm_tools.export.diffusers_files import EXACT, Parts, find, read_json, read_weights
from ddpm_tools.export.diffusers_scheduler import THEIRS, ends_too_low, read_scheduler, scheduler_config
from ddpm_tools.export.diffusers_unet import DiffusersError
from ddpm_tools.train.resume import exists, save_training
from ddpm_tools.unet2d import UNet2D, UNet2DConfig

NULL = "_null_class"  # in the network's config.json; diffusers ignores keys that begin with _
TAKES_CLASSES = {"add": True, "none": False}  # the conditionings that UNet2DModel supports


def refuse_what_diffusers_lacks(preset: Preset, net: nn.Module) -> None:
    """DiffusersError names the part of a model that UNet2DModel cannot express."""
    if not isinstance(net, UNet2D):
        raise DiffusersError(
            f"diffusers has no network of our architecture {preset.unet.architecture} ({type(net).__name__}); "
            f"train one with the architecture unet2d, for example `ddpm train --preset digits-unet2d`"
        )
    if preset.conditioning not in TAKES_CLASSES:
        known = ", ".join(TAKES_CLASSES)
        raise DiffusersError(f"UNet2DModel has no conditioning '{preset.conditioning}'; it has {known}")
    if preset.unet.context_dim:
        raise DiffusersError("UNet2DModel has no cross-attention to a context; a text model cannot be exported")


def export_pipeline(loaded: checkpoint.Loaded, out: Path, raw: bool = False) -> Path:
    """Write a checkpoint's averaged (or raw) network as a pipeline folder, all of it or nothing. A class-conditional
    `UNet2DModel` is called with `class_labels`; K is the null class, if it has one. If too little of the image is left
    at T-1 for diffusers' other solvers, scheduler/ ends at less noise, and EXACT/ has our own betas."""
    preset, net = loaded.preset, loaded.raw if raw else loaded.ema
    refuse_what_diffusers_lacks(preset, net)
    scheduler, exact = scheduler_config(preset, low := ends_too_low(preset.make_schedule())), scheduler_config(preset)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DiffusersError(f"{out} exists already; choose another --out or remove it")
    from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel  # takes seconds to import

    state, conditional = net.state_dict(), TAKES_CLASSES[preset.conditioning]
    if not conditional:
        state = {k: v for k, v in state.items() if not k.startswith("class_table.")}  # such a network never reads it
    theirs = UNet2DModel(**unets.to_diffusers_config(preset.unet, conditional))
    theirs.load_state_dict(unets.to_diffusers_weights(state, preset.unet))
    theirs.register_to_config(**{NULL: net.null_class if theirs.config.num_class_embeds else None})
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        draft = Path(scratch) / "pipeline"
        DDIMPipeline(theirs, DDIMScheduler(**scheduler)).save_pretrained(draft)
        if low:
            DDIMScheduler(**exact).save_pretrained(draft / EXACT)
        for file in draft.rglob("*.safetensors"):
            file.chmod(0o644)  # safetensors makes files private
        os.replace(draft, out)
    return out


def has_null_row(network: dict[str, Any], data: str, said: bool | None = None) -> bool:
    """Whether the last row of a network's class table is the null class: if the user says so, or our export noted it,
    or the data are known and have one class less than the table has rows. Otherwise every row is a class."""
    if said is not None or NULL in network:
        return network[NULL] is not None if said is None else said
    return network.get("num_class_embeds") == len(KNOWN_CLASSES.get(data, ())) + 1 > 1


def read_networks(parts: Parts, null_row: bool) -> tuple[UNet2DConfig, list[dict[str, Tensor]]]:
    """The config, and the averaged and raw weights (once if they are the same), under our names."""
    config = unets.from_diffusers_config(read_json(parts.averaged / "config.json"), null_row)
    folders = dict.fromkeys((parts.averaged, parts.raw))
    return config, [unets.from_diffusers_weights(read_weights(f), config) for f in folders]


def import_pipeline(
    folder: Path, out: Path, data: str = "unknown", schedule: str | None = None, parameterization: str | None = None,
    null_class: bool | None = None,
) -> Path:  # fmt: skip
    """Write a checkpoint from a diffusers folder; `data` names the data set on which the network was trained. A folder
    without a scheduler needs schedule and parameterization; see read_scheduler and has_null_row for what counts if the
    folder disagrees with them. The record's provenance states what was used."""
    if exists(out):
        raise DiffusersError(f"{checkpoint.stem(out)} exists already; choose another --out")
    parts = find(folder)
    theirs = read_json(parts.averaged / "config.json")
    config, states = read_networks(parts, has_null_row(theirs, data, null_class))
    if parts.scheduler is None and not (schedule and parameterization):
        remedy = f"give --schedule ({', '.join((*SCHEDULES, *THEIRS))}) and --parameterization"
        raise DiffusersError(f"{folder} has no scheduler_config.json; {remedy}")
    told = read_json(parts.scheduler) if parts.scheduler else None
    fields, remarks = read_scheduler(told, schedule, parameterization)
    conditioning = "add" if config.num_classes else "none"
    preset = Preset(data, conditioning, unet=config, **fields)
    state = TrainState.start(preset.diffusion(build_unet(config, strategy(conditioning))), preset.train)
    try:
        state.ema.module.load_state_dict(states[0])
        state.model.load_state_dict(states[-1])
    except RuntimeError as e:
        raise DiffusersError(f"the weights in {folder} do not fit its config.json; fetch both again") from e
    if len(states) == 2:
        remarks.append(f"averaged weights from {parts.averaged.name}/, weights of the last step from {parts.raw.name}/")
    about = {"imported": folder.resolve().name, "remarks": remarks}
    return save_training(out, state, preset, resumable=False, provenance=about)
