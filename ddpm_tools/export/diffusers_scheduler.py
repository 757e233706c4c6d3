"""Conversion between our noise schedules and the scheduler configurations of diffusers. diffusers has about thirty
schedulers, most of which accept each other's configuration. From it a checkpoint keeps only the betas and what the
network predicts. The rest is about sampling, which our samplers decide for themselves."""

import inspect
import math
from typing import Any

import torch
from torch import Tensor

from ddpm_core.config import Preset
from ddpm_core.samplers.timesteps import LOWEST_HALF_LOG_SNR
from ddpm_core.schedule import SCHEDULES, DiffusionSchedule
from ddpm_tools.export.diffusers_unet import DiffusersError

PREDICTION = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}  # ours: theirs
FAMILY = {"linear": "linear", "squaredcos_cap_v2": "cosine"}  # theirs: ours of that shape, with other betas
THEIRS = ("squaredcos_cap_v2", "scaled_linear", "sigmoid")  # names that --schedule accepts besides ours
MOST_STEPS = 100_000
LOWEST_ABAR = 1e-3  # from here every solver of diffusers starts well, even PNDM in ten steps


def scheduler_config(preset: Preset, steadied: bool = False) -> dict[str, Any]:
    """DDIMScheduler's arguments for a preset: our betas (or the `steady` ones), clamped x0, and timesteps from T-1
    down ("trailing")."""
    if preset.parameterization not in PREDICTION:
        raise DiffusersError(
            f"diffusers' schedulers do not know the parameterization '{preset.parameterization}'; "
            f"they know {', '.join(PREDICTION)}"
        )
    steps = preset.make_schedule().timesteps
    own = betas_of(preset)  # theirs of the same name differ slightly
    theirs = preset.schedule == "linear" and not preset.betas
    betas = {"trained_betas": (steady(own) if steadied else own).tolist()}
    betas = {"beta_schedule": "linear"} if theirs and not steadied else betas
    prediction = {"prediction_type": PREDICTION[preset.parameterization], "clip_sample": True}
    return betas | prediction | {"num_train_timesteps": steps, "timestep_spacing": "trailing"}


def betas_of(preset: Preset) -> Tensor:
    """The betas (T,) with which a preset is trained, in float64."""
    if preset.betas:
        return torch.tensor(preset.betas, dtype=torch.float64)
    return SCHEDULES[preset.schedule](preset.timesteps)


def ends_too_low(schedule: DiffusionSchedule) -> bool:
    """Whether so little of the image is left at T-1 that solvers which do not clamp x0 diverge: there the network's
    error in x0 is divided by sqrt(abar). Ours clamp, and so do diffusers' DDIM and DDPM."""
    return bool(schedule.half_log_snr[-1] < LOWEST_HALF_LOG_SNR)


def steady(betas: Tensor) -> Tensor:
    """The same betas (T,), except that abar ends at LOWEST_ABAR: its tail falls geometrically, joining the schedule at
    about the same rate. A constant floor would not work: solvers extrapolate by the ratio of steps in log-SNR."""
    abar = torch.cumprod(1 - betas.double(), 0)
    m = int((abar < LOWEST_ABAR * math.e**2).sum())  # in the tail the image is pure noise to the eye and to the network
    start = abar[-m - 1] if m < len(abar) else torch.ones(()).double()
    share = torch.arange(1, m + 1, dtype=torch.float64) / m  # (m,)
    abar = torch.cat([abar[: len(abar) - m], start * (LOWEST_ABAR / start) ** share])
    return 1 - abar / torch.cat([torch.ones(1).double(), abar[:-1]])


def read_scheduler(
    theirs: dict[str, Any] | None, schedule: str | None = None, parameterization: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The fields of a Preset (schedule, timesteps, betas, parameterization), and remarks for the user. Names given by
    the user override the configuration, except that a schedule of the same family keeps the betas used in training.
    DiffusersError names what cannot be read."""
    remarks: list[str] = []
    if theirs is None and schedule in THEIRS:
        theirs = {"beta_schedule": schedule}
    shape = "linear" if theirs is None else shape_of(theirs)
    if schedule in SCHEDULES and FAMILY.get(shape) != schedule:
        steps = 1000 if theirs is None else steps_of(theirs)
        fields = {"schedule": schedule, "timesteps": steps, "betas": ()}
        remarks += [f"betas: {schedule}, as --schedule says" + (f", not the folder's {shape}" if theirs else "")]
    else:
        fields, told = named(read_betas(theirs or {}), shape)
        remarks += [told]
    fields["parameterization"] = parameterization or prediction_of(theirs or {})
    if fields["betas"] and fields["betas"][-1] == 1 and fields["parameterization"] == "epsilon":
        raise DiffusersError(
            "the scheduler leaves nothing of the image at the last timestep (rescale_betas_zero_snr), where a "
            "prediction of the noise is useless; if the network predicts v or x0, give --parameterization"
        )
    return fields, [*remarks, *drawing_remarks(theirs or {})]


def shape_of(theirs: dict[str, Any]) -> str:
    return "trained_betas" if theirs.get("trained_betas") is not None else str(theirs.get("beta_schedule", "linear"))


def steps_of(theirs: dict[str, Any]) -> int:
    steps = theirs.get("num_train_timesteps", 1000)
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise DiffusersError(f"the scheduler's num_train_timesteps = {steps!r} must be whole, up to {MOST_STEPS}")
    return steps


def prediction_of(theirs: dict[str, Any]) -> str:
    kind = theirs.get("prediction_type", "epsilon")
    for ours, name in PREDICTION.items():
        if name == kind:
            return ours
    raise DiffusersError(f"the scheduler's prediction_type = {kind!r} is unknown here; known: {', '.join(PREDICTION)}")


def read_betas(theirs: dict[str, Any]) -> Tensor:
    """The betas (T,) that diffusers itself computes from a scheduler's configuration, in float64."""
    import diffusers  # takes seconds to import

    name, steps = theirs.get("_class_name", "DDPMScheduler"), steps_of(theirs)
    kind = getattr(diffusers, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        raise DiffusersError(f"the scheduler's _class_name = {name!r} is not a scheduler of diffusers")
    known = set(inspect.signature(kind).parameters)
    try:
        made = kind(**{k: v for k, v in theirs.items() if k in known})
        if getattr(made, "betas", None) is None:
            raise ValueError("it has none, so its model is not a DDPM")
        betas = torch.as_tensor(made.betas, dtype=torch.float64)  # float32 in most schedulers
        DiffusionSchedule.from_betas(betas)
    except Exception as e:  # diffusers refuses bad values in no uniform way
        why = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise DiffusersError(f"the betas of the scheduler {name} ({steps} steps) cannot be computed: {why}") from e
    return betas


def named(betas: Tensor, shape: str) -> tuple[dict[str, Any], str]:
    """A Preset's fields for these betas, under our name if they are ours, and a description of them."""
    steps = len(betas)
    for name, ours in SCHEDULES.items():
        if torch.allclose(ours(steps), betas, rtol=1e-4, atol=0):
            return {"schedule": name, "timesteps": steps, "betas": ()}, f"betas: {name}, {steps} timesteps"
    told = f"betas: the folder's own, {shape}, {steps} timesteps, {betas[0]:.3g} to {betas[-1]:.3g}"
    fields = {"schedule": FAMILY.get(shape, "cosine"), "timesteps": steps, "betas": tuple(betas.tolist())}
    return fields, told


def drawing_remarks(theirs: dict[str, Any]) -> list[str]:
    """How its sampling differs from our defaults, and which option matches it."""
    out = []
    if theirs.get("thresholding"):
        out.append("its scheduler thresholds x0 dynamically; here x0 is clamped to [-1, 1]")
    elif theirs.get("clip_sample") is False:
        out.append("its scheduler does not clamp x0; draw with --no-clip to do the same")
    elif (reach := theirs.get("clip_sample_range", 1)) != 1:
        out.append(f"its scheduler clamps x0 at {reach}; here at 1, or not at all with --no-clip")
    return out
