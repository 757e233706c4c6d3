"""`ddpm export-onnx`."""

import argparse
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_tools.cli.base import CHECKPOINT
from ddpm_tools.export.onnx_models import export_onnx


def export(a: argparse.Namespace) -> None:
    loaded = checkpoint.load(a.checkpoint)
    entry = export_onnx(loaded, a.out, a.name or checkpoint.stem(a.checkpoint).name, a.raw)
    for file in entry["files"].values():
        print(f"wrote {a.out / file['file']}: {file['bytes'] / 1e6:.1f} MB")


def register(sub: argparse._SubParsersAction) -> None:
    about = "Write a checkpoint and its classifier as ONNX models, for the playground or for any other runtime."
    example = "ddpm export-onnx --checkpoint data/checkpoints/digits --out build/onnx --raw"
    p = sub.add_parser("export-onnx", help=about, description=about, epilog=f"example: {example}")
    p.set_defaults(run=export)
    p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="default: the shipped digits model")
    p.add_argument("--out", type=Path, default=Path("build/onnx"), help="may hold others already (default: build/onnx)")
    p.add_argument("--raw", action="store_true", help="the weights of the last step besides the averaged ones")
    p.add_argument("--name", help="default: the checkpoint's file name")
