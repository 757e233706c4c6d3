"""The commands of `ddpm`: what each is for, and its module, which is imported only when the command is used."""

from ddpm_tools.cli.terminal import Command

DRAW, TRAIN, JUDGE, EXCHANGE = "Draw", "Train", "Judge", "Exchange with other programs"

COMMANDS = (
    Command("sample", DRAW, "Draw a grid of samples, one row per class.",
            "--classes 3 8 --w 4 --n 10 --out build/three.png", "draw"),
    Command("sweep", DRAW, "Sweep the guidance scale: images, a plot, and metrics with error bars.",
            "--w 1 2 4 --n 500 --out build/sweep", "draw"),
    Command("interpolate", DRAW, "Interpolate from one class to another, from one noise.",
            "--pair 3 8 --pair 1 7 --out build/walk", "draw"),
    Command("demo", DRAW, "All pictures of the course's model on one page.", "--train", "draw"),
    Command("train", TRAIN, "Train a preset; an interrupted run resumes where it stopped.",
            "--preset digits --conditioner adagn --out build/runs/adagn", "train"),
    Command("classifier", TRAIN, "Train a classifier for adherence and features.",
            "--data digits --seed 7 --out build/classifier", "train"),
    Command("shrink", TRAIN, "Write only the averaged weights, in float16: a quarter of the size.",
            "--checkpoint build/runs/digits --out build/digits-half", "train"),
    Command("evaluate", JUDGE, "Judge images: distances, diversity, adherence and copies, with error bars.",
            "--checkpoint data/checkpoints/digits --n 1000 --w 2 --out build/evaluation", "evaluate"),
    Command("diagnose", JUDGE, "Is it my training or my sampling? Evidence, and a one-sentence verdict.",
            "--checkpoint build/runs/digits --sampler mine.py:sample --out build/diagnosis", "diagnose"),
    Command("reference", JUDGE, "Compute reference statistics of real images, or load stored ones.",
            "--data digits", "evaluate"),
    Command("results", JUDGE, "Show recorded full-scale runs in tables, beside the published figures.", "", "evaluate"),
    Command("export-diffusers", EXCHANGE, "Write a checkpoint as a diffusers pipeline folder.",
            "--checkpoint build/runs/digits-unet2d --out build/digits-pipeline", "export"),
    Command("import-diffusers", EXCHANGE, "Read a diffusers UNet2DModel folder into a checkpoint.",
            "build/ddpm-cifar10-32 --data cifar10 --out build/runs/ddpm-cifar10-32", "export"),
    Command("export-onnx", EXCHANGE, "Write a checkpoint and its classifier as ONNX models.",
            "--checkpoint data/checkpoints/digits --out build/onnx --raw", "export"),
)  # fmt: skip
