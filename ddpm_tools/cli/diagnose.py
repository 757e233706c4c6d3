"""`ddpm diagnose`: is it my training or my sampling?"""

import argparse
import importlib.util
import json
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ddpm_core import checkpoint
from ddpm_core.checkpoint import Loaded, write_text
from ddpm_core.config import Preset
from ddpm_core.data import ImageData
from ddpm_core.diffusion import Network
from ddpm_core.parameterization import PARAMETERIZATIONS
from ddpm_core.samplers import SampleConfig, sample
from ddpm_core.schedule import DiffusionSchedule
from ddpm_tools import outputs
from ddpm_tools.cli.arguments import json_option
from ddpm_tools.cli.base import CLASSIFIER, command, device_of, positive, scale
from ddpm_tools.datasets import load_data
from ddpm_tools.diagnosis import Settings, diagnose
from ddpm_tools.diagnosis.reference import reference_curve, save_reference
from ddpm_tools.diagnosis.sampling import Sampler
from ddpm_tools.evaluation.classifiers import load_classifier


def blame(error: Exception, file: str) -> str:
    """`line 3: ZeroDivisionError: division by zero`, with the last line of the traceback in that file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    lines += [error.lineno] if isinstance(error, SyntaxError) and error.filename == file else []
    said = next(iter(str(error).splitlines()), "")
    return f"{f'line {lines[-1]}: ' if lines else ''}{type(error).__name__}: {said}"


def user_sampler(text: str) -> Sampler:
    """FILE.py:NAME -> that file's function NAME(network, y) -> images; ValueError if there is none. Any error
    in it, on import or when called, becomes a ValueError that says where: it is not our code and can raise anything."""
    file, _, name = text.rpartition(":")
    if not file and Path(text).is_file():
        raise ValueError(f"--sampler takes FILE.py:FUNCTION; name the function that draws, such as {text}:sample")
    if not file or not Path(file).is_file():
        raise ValueError(f"--sampler takes FILE.py:FUNCTION, but there is no file '{file or text}'")
    spec = importlib.util.spec_from_file_location("user_sampler", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"--sampler takes a Python file, but '{file}' is not one")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look up their module there
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise ValueError(f"{file} cannot be imported: {blame(e, spec.origin)}") from e
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{file} defines no function '{name}'; it should be {name}(network, y) -> images")

    def told(network: Network, y: Tensor) -> Tensor:
        try:
            return function(network, y)
        except Exception as e:
            raise ValueError(f"{name}(network, y) in {file} failed: {blame(e, spec.origin)}") from e

    return told


def heldout(name: str, p: Preset, path: Path) -> ImageData:
    """Held-out images in the network's format; ValueError if their classes differ from the network's."""
    data, k = load_data(name, "heldout", size=p.unet.image_size, channels=p.unet.image_channels), p.unet.num_classes
    if k and k != len(data.classes):
        raise ValueError(f"{path} has {k} classes but {data.name} has {len(data.classes)}; choose other --data")
    return data


def losses_of(path: Path) -> list[float]:
    """The training loss of each step; ValueError if the file holds something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ValueError(f"--losses {path} cannot be read: {e}; it should be a JSON list of numbers") from e
    if not isinstance(values, list) or not all(type(v) in (int, float) for v in values):
        raise ValueError(f"--losses {path} is not a JSON list of numbers, the training loss step by step")
    return values


def course_sampler(loaded: Loaded, schedule: DiffusionSchedule, w: float, steps: int, seed: int) -> Sampler:
    def draw(network: Network, y: Tensor) -> Tensor:
        how = replace(loaded.diffusion(), schedule=schedule, network=network)
        return sample(how, y, w, steps, seed, SampleConfig(batch_size=len(y))).to(y.device)

    return draw


def run(a: argparse.Namespace) -> None:
    device = device_of(a.device)
    if a.save_reference:
        outputs.file(a.save_reference, "--save-reference")
    loaded = checkpoint.load(a.checkpoint, device)
    p = loaded.preset
    data = heldout(a.data or p.data, p, a.checkpoint)
    schedule = p.make_schedule()
    own = DiffusionSchedule.named(a.schedule) if a.schedule else schedule
    losses = losses_of(a.losses) if a.losses else loaded.record.get("losses", ())
    judge = load_classifier(CLASSIFIER).to(device) if data.name == CLASSIFIER.name else None
    report = diagnose(
        loaded.ema, schedule, data,
        user_sampler(a.sampler) if a.sampler else course_sampler(loaded, own, a.w, a.steps, a.seed),
        parameterization=PARAMETERIZATIONS[p.parameterization], raw=loaded.raw_or_none,
        initial=checkpoint.network_of(p).to(device), losses=losses,
        reference=reference_curve(data.name, schedule), judge=judge,
        settings=Settings(n=a.n, steps=a.steps, labels=not a.unconditional, seed=a.seed, device=device),
    )  # fmt: skip
    files = report.write(a.out)
    as_json = outputs.json_text(report.as_dict(), indent=1)
    write_text(a.out / "diagnosis.json", as_json + "\n")
    if a.save_reference:
        options = f"--n {a.n} --seed {a.seed} --save-reference data/references/{a.save_reference.name}"
        about = {"data": data.name, "n": a.n, "seed": a.seed, "weights": checkpoint.file_digest(a.checkpoint)}
        about["command"] = f"ddpm diagnose {options}"
        save_reference(a.save_reference, report.evidence.error, schedule, about)
    print(as_json if a.json else f"wrote {', '.join(str(f) for f in files)}\n\n{report}")


def register(sub: argparse._SubParsersAction) -> None:
    p = command(sub, "diagnose", run, "The verdict names the fault.", out="build/diagnosis")
    p.add_argument("--data", help="a name, or the path of a data set; default: the checkpoint's")
    p.add_argument("--sampler", metavar="FILE.py:NAME", help="your own NAME(network, y) -> images in [-1, 1]")
    p.add_argument("--schedule", choices=["linear", "cosine"], help="which you sample with (default: the checkpoint's)")
    p.add_argument("--steps", type=positive, default=50, help="the number of steps you sample with")
    p.add_argument("--w", type=scale, default=1.0, help="the guidance scale you sample with")
    p.add_argument("--n", type=positive, default=100, help="held-out images to examine")
    json_option(p)
    p.add_argument("--losses", type=Path, help="a JSON list of the training loss, step by step")
    p.add_argument("--unconditional", action="store_true", help="the model is meant to have no labels")
    p.add_argument("--save-reference", type=Path, help="save the denoising curve as a reference (a JSON file)")
