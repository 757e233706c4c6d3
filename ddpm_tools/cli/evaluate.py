"""`ddpm evaluate`, `reference` and `results`: how good are the images? (Metrics are imported only when needed.)"""

import argparse
from dataclasses import asdict
from pathlib import Path

from ddpm_core import checkpoint
from ddpm_core.data import ImageData
from ddpm_tools.cli.arguments import json_option
from ddpm_tools.cli.base import STRICT, bare, command, device_of, distinct, positive, room_for, scale
from ddpm_tools.datasets import load_data
from ddpm_tools.datasets.splits import SPLITS
from ddpm_tools.outputs import json_text


def real_images(a: argparse.Namespace, loaded: checkpoint.Loaded | None) -> ImageData:
    """The real images to compare with, in the format of the checkpoint's network."""
    if loaded is None:
        return load_data(a.data, a.split, size=a.size, channels=a.channels, strict=a.strict)
    u = loaded.preset.unet
    name = a.data or loaded.preset.data
    return load_data(name, a.split, size=u.image_size, channels=u.image_channels, strict=a.strict)


def unseen(data: ImageData, name: str) -> ImageData | None:
    """Held-out images in the same format, if there are any: they show how near to training images honest ones come."""
    if data.split != "train":
        return None
    try:
        return load_data(name, "heldout", size=data.images.shape[2], channels=data.images.shape[1])
    except ValueError:
        return None


def default_network(data: ImageData) -> str:
    """The course's classifier for digits, where a network trained on photographs is of no use."""
    own = (data.name, data.images.shape[2]) in (("digits", 8), ("digits28", 28))
    return f"{data.name}-classifier" if own else "efficientnet-lite0-320"


def evaluate(a: argparse.Namespace) -> None:
    from ddpm_tools.drawing import Drawing
    from ddpm_tools.evaluation import record
    from ddpm_tools.evaluation.candidates import drawn, given
    from ddpm_tools.evaluation.evaluation import evaluate as judge_images
    from ddpm_tools.evaluation.features import network
    from ddpm_tools.evaluation.judges import find_judge
    from ddpm_tools.evaluation.metrics import METRICS, EvaluationConfig, check_metrics
    from ddpm_tools.evaluation.reference import reference_for
    from ddpm_tools.evaluation.results import over_seeds
    from ddpm_tools.reports import evaluation_page

    metrics = a.metrics or list(METRICS)
    check_metrics(metrics)
    if a.images and not a.data:
        raise ValueError("--images are compared with real ones; name those with --data")
    seeds = distinct(a.seeds or [a.seed], "--seeds")
    before = record.read(a.against) if a.against else None
    device = device_of(a.device)
    loaded = None if a.images else checkpoint.load(a.checkpoint, device)
    if loaded:
        room_for(a.n, loaded)
    data = real_images(a, loaded)
    net, judge = network(a.extractor or default_network(data), device), find_judge(data, a.classifier, device)
    reference = reference_for(data, net, unseen(data, a.data or loaded.preset.data), progress=True)
    config, runs, made = EvaluationConfig(metrics, a.repeats, progress=True), [], []
    for seed in seeds[:1] if a.images else seeds:
        how = Drawing(a.n, a.w, a.steps, seed, a.raw, progress=True)
        c = given(a.images, data, a.resize, a.strict) if a.images else drawn(a.checkpoint, loaded, data, how)
        runs.append(judge_images(c.source, data, reference, net, c.about, judge, config))
        made.append(c.made_with)
    results = [over_seeds(same) for same in zip(*(run.results for run in runs))]
    made_with = {
        "images": made,
        "reference": {**asdict(reference.config), "copy_limit": reference.copy_limit},
        "extractor": {"name": net.name, "version": net.version, "dimension": net.dimension, "input": net.input_range},
        "classifier": judge and {k: v for k, v in vars(judge).items() if k != "model"},
        "metrics": metrics,
        "bootstrap_repeats": a.repeats,
        "software": record.software(),
    }
    record.write(a.out / "metrics.json", results, runs, made_with)
    title = f"{runs[0].name}, judged against {data.name} ({data.split})"
    path = evaluation_page.write(a.out, results, runs[0], data, reference.copy_limit, made_with, title)
    if a.json:
        print((a.out / "metrics.json").read_text(encoding="utf-8"), end="")
        return
    print(record.text_table(results))
    if runs[0].per_class:
        print(f"\n{record.class_lines(runs[0])}")
    print("".join(f"\n{note}" for note in runs[0].notes))
    if before is not None:
        print(f"\nchange since {a.against}\n{record.difference_lines(before, results)}")
    print(f"\nwrote {a.out / 'metrics.json'} and {path}")


def reference(a: argparse.Namespace) -> None:
    from ddpm_tools.evaluation.features import network
    from ddpm_tools.evaluation.reference import make_reference, reference_for, save_reference, shipped_name

    data = load_data(a.data, a.split, size=a.size, channels=a.channels, strict=a.strict)
    net = network(a.extractor or default_network(data), device_of(a.device))
    heldout = unseen(data, a.data)
    if a.out is None:
        made = reference_for(data, net, heldout, progress=True)
        print(f"{made.config}: {made.config.dimension} features of {net.name} {net.version}, available")
        return
    made = make_reference(data, net, heldout, True, a.keep)
    where = Path(a.out.name) if a.out.is_absolute() else a.out  # shipped files name nobody's folders
    options = f"--split {a.split} --extractor {net.name} --keep {a.keep} --out {where}"
    about = {"command": f"ddpm reference --data {Path(a.data).name} {options}"}
    path = save_reference(a.out / shipped_name(made.config), made, provenance=about)
    print(f"wrote {path}.safetensors and {path}.json")


def results(a: argparse.Namespace) -> None:
    from ddpm_tools.reports import results as records

    folder = a.folder or records.RESULTS
    if a.folder and not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; scripts/full_scale.py writes the records that belong there")
    runs = records.read_all(folder)
    if a.json:
        print(json_text({"runs": [asdict(r) for r in runs], "published": records.published()}, indent=1))
        return
    if runs:
        print(f"{records.runs_table(runs)}\n\n{records.figure_tables(runs)}\n")
    else:
        print("No run is on record yet; scripts/full_scale.py records them.\n")
    print(records.published_tables())


def register(sub: argparse._SubParsersAction) -> None:
    p = command(sub, "evaluate", evaluate, "Images are drawn from a checkpoint, or supplied.", out="build/evaluation")
    made = "pictures made by another program: a folder or zip with class folders, or an .npz or .npy file of samples"
    p.add_argument("--images", type=Path, help=made)
    p.add_argument("--data", help="the real images: a name or a path; default: what the checkpoint was trained on")
    p.add_argument("--split", choices=SPLITS, default="train", help="split of the real images; default: train")
    p.add_argument("--metrics", nargs="+", metavar="NAME", help="default: all that apply")
    p.add_argument("--extractor", metavar="NAME", help="feature network: inception, efficientnet-lite0-320, ...")
    p.add_argument("--classifier", type=Path, help="to measure adherence; default: a shipped one with the same classes")
    p.add_argument("--n", type=positive, default=1000, help="images to draw; default: 1000")
    p.add_argument("--w", type=scale, default=1.0, help="guidance scale; default: 1, purely conditional")
    p.add_argument("--steps", type=positive, default=50, help="DDIM steps")
    p.add_argument("--raw", action="store_true", help="raw weights instead of their moving average")
    several = "one or more sampling seeds; intervals cover these, not training runs"
    p.add_argument("--seeds", type=int, nargs="+", help=several)
    p.add_argument("--repeats", type=positive, default=100, help="bootstrap repeats; default: 100")
    p.add_argument("--against", type=Path, metavar="JSON", help="an earlier metrics.json: print what changed")
    json_option(p)
    p.add_argument("--resize", action="store_true", help="resize the pictures of --images to the size of the data")
    p.add_argument("--strict", action="store_true", help=STRICT)
    for name in ("size", "channels"):
        p.add_argument(f"--{name}", type=positive, help=f"{name} of the real images, with --images")

    p = command(sub, "reference", reference, checkpoint=False, out="")
    p.set_defaults(out=None)
    p.add_argument("--data", default="digits", help="a name or a path")
    p.add_argument("--split", choices=SPLITS, default="train")
    p.add_argument("--extractor", metavar="NAME", help="feature network")
    p.add_argument("--strict", action="store_true", help=STRICT)
    p.add_argument("--keep", type=positive, default=10_000, help="how many images' features to store; default: 10000")
    for name in ("size", "channels"):
        p.add_argument(f"--{name}", type=positive)

    p = bare(sub, "results", results, "Figures from different extractors never share a column.")
    p.add_argument("folder", type=Path, nargs="?", default=None, help="default: data/results of the course")
    json_option(p)
