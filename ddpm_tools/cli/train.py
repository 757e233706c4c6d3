"""`ddpm train`, `ddpm shrink` and `ddpm classifier`."""

import argparse
import os
import sys
from dataclasses import fields, replace

from ddpm_core import checkpoint
from ddpm_core.config import Preset
from ddpm_tools import outputs
from ddpm_tools.cli.base import STRICT, command, device_of, number, place, positive
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.load import OURS
from ddpm_tools.presets import PRESETS, preset
from ddpm_tools.train import quick_gate, resume
from ddpm_tools.train.beginning import Source
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.distributed import processes
from ddpm_tools.train.interrupt import Interrupted
from ddpm_tools.train.logs import available
from ddpm_tools.train.runs import shortened, train_run
from ddpm_tools.train.speed import Speed


def rate(text: str) -> float:
    value = number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, got {text}")
    return value


def switches(words: list[str]) -> Speed:
    """`bf16=off compile=graphs` -> Speed; ValueError lists the known names."""
    known, values = [f.name for f in fields(Speed)], {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known or not value:
            raise ValueError(f"--speed takes NAME=VALUE, where NAME is one of {', '.join(known)}; got '{word}'")
        on_off = {"on": True, "off": False} if name != "compile" else {}
        values[name] = int(value) if value.isdecimal() else on_off.get(value, value)
    return Speed(**values)


def config_of(a: argparse.Namespace) -> Preset:
    """The preset, changed by the options; a network for other data gets the number of classes of those data."""
    config = shortened(preset(a.preset), a.steps, a.seed)
    changes = {"data": a.data, "split": a.split, "conditioning": a.conditioner, "parameterization": a.parameterization}
    config = replace(config, **{k: v for k, v in changes.items() if v})
    flip = config.train.flip and config.data not in OURS if a.flip is None else a.flip  # a mirrored 2 is not a 2
    training = {"batch_size": a.batch_size, "lr": a.lr, "preview_every": a.preview_every}
    config = replace(config, train=replace(config.train, flip=flip, **{k: v for k, v in training.items() if v}))
    if a.data and a.data != preset(a.preset).data and (u := config.unet).num_classes:
        classes = load_data(a.data, size=u.image_size, channels=u.image_channels, strict=a.strict).classes
        config = replace(config, unet=replace(u, num_classes=len(classes)))
    return config


def train(a: argparse.Namespace) -> None:
    log = None if a.no_log or not (a.log or available()) else a.log or a.out.with_name(f"{a.out.name}.log")
    for path, option in ((log, "--log"), (a.previews, "--previews")):
        if path:
            outputs.folder(path, option)
    if a.cooldown and not a.source:
        raise ValueError("--cooldown needs --from, the run to finish early")
    source = Source(a.source, a.cooldown or 0) if a.source else None
    config, gate = config_of(a), ""
    if a.strict:
        load_data(config.data, config.split, size=config.unet.image_size, strict=True)
    if a.preset in quick_gate.FULL_SCALE:
        gate = "not asked for (--ungated)" if a.ungated else quick_gate.require(config)
    callbacks = CallbackConfig(a.save_seconds, a.save_every, a.snapshot_every, a.previews, log, quick_gate=gate)
    with processes(os.environ, device_of(a.device)) as (ranks, device):
        if ranks.first and (tenth := config.train.steps // 10) < config.train.warmup:
            print(f"warm-up shortened to a tenth of this short run: {tenth} steps instead of {config.train.warmup}")
        try:
            path = train_run(config, a.out, device, callbacks, switches(a.speed), ranks, source)
        except KeyboardInterrupt as e:
            if ranks.first:
                print(f"\ninterrupted; the same command goes on where {a.out} stopped", file=sys.stderr)
            raise SystemExit(e.code if isinstance(e, Interrupted) else 130) from None
        except FloatingPointError:
            if ranks.first:
                raise
            raise SystemExit(2) from None  # all processes know; one prints it
        if ranks.first:
            print(f"wrote {path}.safetensors and {path}.json")


def shrink(a: argparse.Namespace) -> None:
    path = resume.shrink(a.checkpoint, a.out)
    size = checkpoint.with_suffix(path, ".safetensors").stat().st_size / 1e6
    print(f"wrote {path}.safetensors ({size:.1f} MB) and {path}.json")


def classifier(a: argparse.Namespace) -> None:
    from ddpm_tools.evaluation.classifiers import fit_and_save

    for name in filter(None, (a.data, a.heldout) if a.strict else ()):
        load_data(name, "all", strict=True)
    told = fit_and_save(a.data, a.out, a.seed, a.steps, heldout=a.heldout)
    print(f"held-out accuracy {told:.4f}; wrote {a.out}")


def register(sub: argparse._SubParsersAction) -> None:
    p = command(
        sub, "train", train,
        "A resumed run equals an unbroken one: on a CPU bit for bit, on a GPU nearly. "
        "Several GPUs: torchrun --standalone --nproc-per-node N -m ddpm_tools.cli train ...",
        checkpoint=False, out="build/runs/digits", writes=outputs.checkpoint,
    )  # fmt: skip
    p.add_argument("--preset", default="digits", help=f"one of {', '.join(PRESETS)}")
    p.add_argument("--data", help="another data set: a name, or the path of a folder or zip (see docs/data.md)")
    p.add_argument("--split", choices=("train", "all"), help="all: train on all of --data, hold nothing out")
    p.add_argument("--strict", action="store_true", help=STRICT)
    p.add_argument("--conditioner", help="how the class enters the network (see ddpm_core/conditioning.py)")
    p.add_argument("--parameterization", choices=["epsilon", "v", "x0", "blend"], help="what the network predicts")
    p.add_argument("--steps", type=positive, help="default: the preset's")
    p.add_argument("--batch-size", type=positive, help="total over all processes; default: the preset's")
    p.add_argument("--lr", type=rate, help="default: the preset's")
    p.add_argument(
        "--flip", action=argparse.BooleanOptionalAction,
        help="mirror training images at random: right for photographs, wrong for letters; default: the preset's, but "
        "never for digits",
    )  # fmt: skip
    ungated = "train at full scale even if the design has not passed the quick gate"
    p.add_argument("--ungated", action="store_true", help=ungated)
    p.add_argument("--previews", type=place, help="a folder for sample grids during training")
    p.add_argument("--preview-every", type=positive, metavar="STEPS", help="default: the preset's, every few epochs")
    log = "a folder for TensorBoard; default: OUT.log, if TensorBoard is installed"
    p.add_argument("--log", type=place, help=log)
    p.add_argument("--no-log", action="store_true")
    p.add_argument("--save-seconds", type=positive, default=60, help="time between saves; default: 60")
    p.add_argument("--save-every", type=positive, default=0, metavar="STEPS", help="also save every STEPS steps")
    p.add_argument("--snapshot-every", type=positive, default=0, metavar="STEPS", help="also keep OUT-STEP, this often")
    p.add_argument(
        "--from", dest="source", type=place, metavar="RUN",
        help="begin with this run's averaged weights; with --cooldown: finish this interrupted run early, in --out",
    )  # fmt: skip
    falls = "how many more steps --from gets, while its learning rate falls to zero"
    p.add_argument("--cooldown", type=positive, metavar="STEPS", help=falls)
    p.add_argument(
        "--speed", nargs="+", default=[], metavar="NAME=VALUE",
        help="bf16, channels_last, fused, data_on_device = on, off; compile = off, default, graphs, eager; "
        "check_every, micro_batches = a number; what is omitted is chosen for the device",
    )  # fmt: skip

    p = command(sub, "shrink", shrink, out="build/shrunk", writes=outputs.checkpoint, device=False)

    p = command(
        sub, "classifier", classifier,
        checkpoint=False, out="build/classifier", writes=outputs.checkpoint, device=False,
    )  # fmt: skip
    p.add_argument("--data", default="digits")
    p.add_argument("--strict", action="store_true", help=STRICT)
    p.add_argument("--heldout", help="data on which to measure the accuracy; default: the held-out part of --data")
    p.add_argument("--steps", type=positive, help="default: 1500 up to 16 pixels, 2340 above")
