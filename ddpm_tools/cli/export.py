"""`ddpm export-diffusers`, `ddpm import-diffusers` and `ddpm export-onnx`."""

import argparse
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.schedule import SCHEDULES
from ddpm_tools.cli.base import CHECKPOINT, bare
from ddpm_tools.export.diffusers_files import EXACT
from ddpm_tools.export.diffusers_pipeline import export_pipeline, import_pipeline
from ddpm_tools.export.diffusers_scheduler import LOWEST_ABAR, PREDICTION, THEIRS
from ddpm_tools.export.onnx_models import export_onnx


def export(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint)
    out = export_pipeline(loaded, a.out, raw=a.raw)
    use = f'DDIMPipeline.from_pretrained("{out}")(num_inference_steps=50, use_clipped_model_output=True)'
    if loaded.preset.conditioning == "add" and (k := loaded.preset.unet.num_classes):
        null = f", {k} being the null class" if loaded.preset.unet.null_row else ""
        use = f'UNet2DModel.from_pretrained("{out}", subfolder="unet")(x, t, class_labels=y){null}'
    print(f"wrote {out}; in Python: {use}")
    if (out / EXACT).is_dir():
        abar = loaded.preset.make_schedule().alphas_cumprod[-1]
        print(
            f"At the last timestep almost nothing of the image is left (abar = {abar:.0e}), and solvers that do not "
            f"clamp x0 (DPM-Solver, UniPC, Euler, Heun, PNDM, DEIS) can diverge there. So scheduler/ ends at abar = "
            f"{LOWEST_ABAR:g}, which suits them all. For exactly our DDIM images, use the one in {EXACT}/."
        )


def imported(a: argparse.Namespace) -> None:
    path = import_pipeline(a.folder, a.out, a.data, a.schedule, a.parameterization, a.null_class)
    loaded = checkpoint.load(path)
    if k := loaded.preset.unet.num_classes:
        without = "no null class (draw with --w 1; if the last row of its class table is one, use --null-class)"
        null = without if loaded.ema.null_class is None else "the null class"
        classes = f"{k} class{'es' if k > 1 else ''} and {null}"
    else:
        classes = "unconditional"
    print(f"wrote {path}.safetensors and {path}.json: {classes}", *loaded.record["provenance"]["remarks"], sep="\n  ")


def onnx(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint)
    entry = export_onnx(loaded, a.out, a.name or checkpoint.stem(a.checkpoint).name, a.raw)
    for file in entry["files"].values():
        print(f"wrote {a.out / file['file']}: {file['bytes'] / 1e6:.1f} MB")


def register(sub: argparse._SubParsersAction) -> None:
    p = bare(sub, "export-diffusers", export)
    p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=Path, default=Path("build/pipeline"), help="default: build/pipeline")
    p.add_argument("--raw", action="store_true", help="the weights of the last step instead of the averaged ones")

    p = bare(sub, "import-diffusers", imported, "For example the folder of google/ddpm-cifar10-32.")
    p.add_argument("folder", type=Path, help="holds config.json and the weights, itself or in unet/ or unet_ema/")
    p.add_argument("--out", type=Path, default=Path("build/runs/imported"), help="default: build/runs/imported")
    p.add_argument("--data", default="unknown", help="the data set on which the network was trained")
    says = "default: as in the folder's scheduler"
    p.add_argument("--schedule", choices=[*SCHEDULES, *THEIRS], help=f"{says}, whose betas are kept if they fit")
    p.add_argument("--parameterization", choices=[*PREDICTION], help=says)
    row = "whether the last row of the class table means no class; default: judged by the number of --data's classes"
    p.add_argument("--null-class", action=argparse.BooleanOptionalAction, help=row)

    p = bare(sub, "export-onnx", onnx, "They run in the playground and in any ONNX runtime.")
    p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=Path, default=Path("build/onnx"), help="can hold other models (default: build/onnx)")
    p.add_argument("--raw", action="store_true", help="also the weights of the last step, besides the averaged ones")
    p.add_argument("--name", help="default: the checkpoint's file name")
