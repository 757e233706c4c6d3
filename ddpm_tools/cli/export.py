"""`ddpm export-diffusers` and `ddpm import-diffusers`."""

import argparse
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.schedule import SCHEDULES
from ddpm_tools.cli.base import CHECKPOINT
from ddpm_tools.export.diffusers_pipeline import PREDICTION, export_pipeline, import_pipeline


def export(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint)
    out = export_pipeline(loaded, a.out, raw=a.raw)
    if loaded.preset.conditioning == "add" and (k := loaded.preset.unet.num_classes):
        use = f'UNet2DModel.from_pretrained("{out}", subfolder="unet")(x, t, class_labels=y), {k} being the null class'
    else:
        use = f'DDIMPipeline.from_pretrained("{out}")(num_inference_steps=50, use_clipped_model_output=True)'
    print(f"wrote {out}; in Python: {use}")


def imported(a: argparse.Namespace) -> None:
    path = import_pipeline(a.folder, a.out, a.data, a.schedule, a.parameterization)
    k = checkpoint.load(path).preset.unet.num_classes
    print(f"wrote {path}.safetensors and {path}.json: {f'{k} classes and the null class' if k else 'unconditional'}")


def register(sub: argparse._SubParsersAction) -> None:
    about = "Write a checkpoint as a diffusers pipeline folder."
    example = "ddpm export-diffusers --checkpoint build/runs/digits-unet2d --out build/digits-pipeline"
    p = sub.add_parser("export-diffusers", help=about, description=about, epilog=f"example: {example}")
    p.set_defaults(run=export)
    p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=Path, default=Path("build/pipeline"), help="default: build/pipeline")
    p.add_argument("--raw", action="store_true", help="the weights of the last step in place of the averaged ones")

    about = "Read a diffusers UNet2DModel folder, such as google/ddpm-cifar10-32, into a checkpoint."
    example = "ddpm import-diffusers build/ddpm-cifar10-32 --data cifar10 --out build/runs/ddpm-cifar10-32"
    p = sub.add_parser("import-diffusers", help=about, description=about, epilog=f"example: {example}")
    p.set_defaults(run=imported)
    p.add_argument("folder", type=Path, help="with config.json and the weights in it, or in unet/")
    p.add_argument("--out", type=Path, default=Path("build/runs/imported"), help="default: build/runs/imported")
    p.add_argument("--data", default="unknown", help="the data set that the network was trained on")
    p.add_argument("--schedule", choices=[*SCHEDULES], help="default: what the folder's scheduler says")
    p.add_argument("--parameterization", choices=[*PREDICTION], help="default: what the folder's scheduler says")
