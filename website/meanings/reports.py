"""What parameters mean in the diagnosis, reports and commands of `ddpm_tools`. Places omit the package's name."""

RESULTS = "folder of the records, one JSON file per run"

REPORTS: dict[str, dict[str, str]] = {
    # diagnosis
    "diagnosis": {
        "how": "how images and timesteps are passed to the network, and what its output means",
        "network": "(xt, t, y) -> output, in eval mode", "steps": "steps of the reference sampler",
        "sampler": "(network, y) -> images (B, C, H, W) in [-1, 1]: the code to check",
        "judge": "images -> logits (B, K): a classifier; None: the network itself classifies",
        "settings": "how much to measure; None: the defaults, about 15 seconds on one core",
    },
    "diagnosis.reference": {
        "name": "the data set's name", "path": "the JSON file", "errors": "the network's errors at `levels(T)`",
        "about": "how the curve was made, as plain values",
    },
    "diagnosis.denoising": {"stated": "the convention that the user states", "count": "number of timesteps"},
    "diagnosis.denoising.score": {
        "errors": "the network's errors at several timesteps (S,)", "bound": "`pixel_bound` at the same timesteps (S,)",
    },
    "diagnosis.sampling.energy_distance": {
        "a": "images to judge (N, C, H, W)", "b": "real images (M, C, H, W)",
    },
    "diagnosis.report.diagnose": {
        "schedule": "the schedule you believe it was trained with", "data": "real images, preferably held-out ones",
        "parameterization": "what you believe it predicts: eps, x0 or v",
        "known": "fields of `Known`: raw, initial, losses, null, reference",
    },
    "diagnosis.evidence": {"known": "what else is known about the training; None: nothing"},
    "diagnosis.verdict": {
        "fault": 'a short name, such as "output range"', "where": '"training", "sampling" or "none"',
        "remedy": "what to do next", "moved": "(class, label that fits it better)",
    },
    "diagnosis.weights": {
        "a": "the network after training", "b": "the network before", "network": "an nn.Module, or any function",
        "losses": "losses of the training, step by step",
    },
    "diagnosis.figure": {"verdict": "the likely fault, for the title"},
    "diagnosis.labels": {
        "true": "classes (N,), int64", "chosen": "labels (N,), int64", "candidates": "number of labels to try",
        "times": "timesteps to sum the errors over",
    },
    "diagnosis.labels.change": {"a": "an output", "b": "the output under another condition"},
    # reports
    "reports.evaluation_page": {
        "out": "folder for the page, made if missing", "e": "the evaluation of the first seed",
        "limit": "distance below which an image counts as a copy", "title": "title of the page",
        "made_with": "how the images were made, as plain values",
    },
    "reports.plots": {
        "scores": "one per scale", "title": 'title of the figure; "": extractor, n, steps, seed and reference',
        "frames": "images (N, C, H, W) in [-1, 1]", "path": "the file, ending in .gif",
        "zoom": "drawn side of a pixel", "ms": "how long a frame is shown, in milliseconds",
    },
    "reports.walks": {
        "votes": "(mode, pair) -> {kind: 1 if a classifier voted so (walks, points)}", "title": "the figure's title",
        "alphas": "positions (points,) along the path, 0 to 1",
        "record": "record of the walks: a row for each pair, w, path and alpha",
        "pictures": "one image (C, H, W) in [-1, 1] per caption", "words": "the words of each caption",
        "maps": "for each caption, each word's share of attention (S, H, W)",
    },
    "reports.walks.kinds": {
        "votes": "the class that a classifier sees (walks, points)", "a": "the walk's first class",
        "b": "its last class",
    },
    "reports.demo_page": {
        "out": "the demo's folder with its pictures", "more": "further values for the template",
    },
    "reports.results": {"result": "the run", "results": "the runs", "folder": RESULTS, "path": "a record's JSON file"},
    "reports.results.published": {"folder": "folder of the published tables, one CSV file per track"},
    "reports.results.published_tables": {"folder": "folder of the published tables, one CSV file per track"},
    "reports.moving": {
        "names": "below the images; (): none", "title": 'above them; "": none', "side": "the largest width in pixels",
        "way": "what `sample_trajectory` returned, one image per class", "shown": "pictures, and milliseconds for each",
        "path": "the file, ending in .webp", "quality": "quality of the compression, 0 to 100",
    },
    "reports.one_page": {
        "entry": "the module that the page loads", "file": "the JavaScript module", "page": "the HTML file",
        "links": "(title, address) for the bar at the top",
        "number": "each module's place in the order of loading",
    },
    "reports.html": {
        "values": "the template's variables; all are escaped", "path": "the page's file",
        "figure": "drawn at its own size", "image": "the file's content", "kind": "its format, as in a media type",
    },
    "reports.conditioning": {
        "runs": "records of the training, one per strategy", "live": "losses (steps,) of the run made here",
        "name": "its name in the legend", "values": "metric -> strategy -> one value per seed",
        "errors": "metric -> strategy -> half of the 95 % interval", "curves": "name -> loss at each timestep",
        "worth": "name -> (extra loss, its standard error or None)", "titles": "titles of the two panels",
        "unit": "the quantity with the error, such as eps", "four": "a map for each head and token (nh, S, H, W)",
        "alone": "the map of a single token (H, W)", "title": "title of the figure",
        "record": "the reruns' record", "rows": "names of the rows; (): every picture has its own caption",
        "captions": "one per picture, or one per column if `rows` are given",
        "x0": "a clean image (C, H, W) in [-1, 1]", "xt": "the same image with noise (C, H, W)",
    },
    # commands
    "outputs": {
        "value": "numbers, texts, lists and dictionaries", "how": "options of json.dumps",
        "path": "where to write; it need not exist yet",
    },
    "tables": {"rows": "cells, equally many in each row", "e": "the estimate", "spec": "format of each number"},
    "cli.terminal.Parser": {
        "args": "words to parse; None: those typed", "namespace": "filled with the options; None: a new one",
    },
    "cli.terminal.Root": {"commands": "what the help lists", "options": "options of argparse.ArgumentParser"},
    "cli.terminal.parse": {"argv": "words to parse; None: those typed"},
    "cli.main": {"command": "the command that was typed; None: all commands in full"},
    "cli.base": {
        "text": "what was typed", "values": "what was typed", "name": "the command's name in COMMANDS",
        "run": "called with the parsed options", "more": "a second sentence for the help",
        "out": "default of --out", "checkpoint": "add the option --checkpoint",
        "writes": "checks --out before anything is done; ValueError if it cannot be written",
    },
    "cli.base.device_of": {"name": "auto, cpu, cuda, cuda:1, mps"},
    "cli.base.room_for": {"n": "number of images"},
}  # fmt: skip
