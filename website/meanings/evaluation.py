"""What parameters mean in `ddpm_tools.evaluation`. Places omit the package's name."""

KEEP = "the largest number of images whose features are kept, drawn at random"
STATISTICS = "path of the statistics, with or without .safetensors or .json"
CLASSIFIER = "path of the classifier, with or without .safetensors or .json"
SHIPPED = f"{CLASSIFIER}; None: a shipped one that knows the classes"
LOWEST = "the smallest possible value, which bounds every interval; 0 for distances and shares"
LARGEST = "the largest possible value, which bounds every interval; 1 for shares"
NEIGHBOUR = "a ball reaches to its image's k-th nearest neighbour, k from 1"

EVALUATION: dict[str, dict[str, str]] = {
    "evaluation.missing": {"wanted": "names of the metrics asked for"},
    "reference": {
        "k": "the class's index", "keep": KEEP, "path": STATISTICS, "config": "what the statistics must describe",
        "heldout": "real images that are not among the data, for `copy_limit`; None: a tenth of the data",
        "about": "further entries of the JSON record, such as provenance",
        "cache": "folder for statistics made here, which can be deleted at any time",
    },
    "reference.shipped_reference": {"data": "name of the data set"},
    "evaluation": {"config": "what to measure; None: every metric"},
    "evaluation.evaluate": {"data": "the real images, which are searched for copies"},
    "neighbours": {
        "limit": "a distance, from `copy_limit`", "images": "generated images (N, C, H, W), uint8",
        "chunk": "images of each set compared at a time; limits memory",
        "train": "the images that the model was trained on", "heldout": "real images that the model has not seen",
    },
    "neighbours.nearest": {"train": "training images (M, C, H, W), uint8"},
    "inception": {"folder": "folder for the weights, which are downloaded once"},
    "extractor": {"images": "images (N, C, H, W), uint8, of 1 or 3 channels"},
    "classifiers": {
        "name": "name of a data set, or path of a folder or zip", "path": CLASSIFIER, "out": CLASSIFIER,
        "steps": "training steps; None: 1,500 up to 16 pixels, 2,340 above",
        "heldout": "other data to measure accuracy on; None: the held-out part of the same data",
    },
    "resampling": {"features": "features (N, D) of the images to draw from"},
    "record": {
        "path": "the file metrics.json", "runs": "one evaluation for each seed", "old": "the earlier results",
        "new": "the later results", "results": "one per metric",
    },
    "metrics": {"names": "names to look up in METRICS"},
    "caption_judge": {
        "data": "real pictures with captions, to fit to", "tokenizer": "defines which words count",
        "shuffles": "number of random assignments of the captions; the smallest possible p is 1 / (shuffles + 1)",
    },
    "streaming": {
        "dimension": "D, the length of a feature vector", "keep": KEEP, "features": "a chunk of features (B, D)",
        "columns": "tensors of equal length, by name", "chunks": "images (B, C, H, W), uint8",
        "classifier": "predicts each image's class; None: no classes are predicted",
        "total": "number of images, for the progress bar; None: unknown",
    },
    "streaming.Reservoir": {"keep": "the largest number of rows to keep"},
    "results": {
        "reference": "the real images, as named in Provenance",
        "varying": '("weights",) to compare averaged with raw weights; else ()',
        "training_seeds": "seeds of the runs behind the results, in order; (): one checkpoint, sampled repeatedly",
        "results": "one result for each seed, of one metric",
    },
    "estimates": {
        "statistic": "indices (n,) of images -> the value for these images", "low": LOWEST, "top": LARGEST,
        "own": "one value for each run (n,)", "hits": "0 or 1 for each image (N,)",
        "others": "values of other designs' runs, assumed to scatter as much",
        "a": "the first estimate", "b": "the second estimate", "repeats": "number of resamplings",
    },
    "estimates.interval": {
        "value": "the estimate", "se": "its standard error",
        "df": "degrees of freedom behind the standard error; None: as if infinitely many",
    },
    "estimates.paired": {"a": "seed -> value of the first design", "b": "seed -> value of the second design"},
    "estimates.verdict": {"d": "the estimated difference; None counts as not resolved"},
    "sources": {
        "name": "name for messages and reports", "images": "images (N, C, H, W), uint8",
        "labels": "classes asked for (N,), int64; None: unknown",
        "path": "folder or zip of pictures, or a file .npz or .npy",
        "data": "real images, which set size, channels and classes",
    },
    "candidates": {"data": "real images, which set size, channels and classes"},
    "candidates.drawn": {"path": "path of the checkpoint, for the record"},
    "candidates.given": {"path": "folder or zip of pictures, or a file .npz or .npy"},
    "finite_n": {
        "distance": "indices of images -> their distance", "indices": "the images to draw from (N,)",
        "sizes": "the numbers of images n", "values": "the distance at each size", "points": "number of sizes",
        "draws": "subsets of each size to average the distance over",
        "share": "the smallest size as a share of n; smaller sizes follow the law 1/n less well",
    },
    "manifold": {
        "generated": "features (N, D) of generated images", "real": "features (M, D) of real ones", "k": NEIGHBOUR,
        "most": "images used of each set; time and memory grow with its square",
    },
    "arrays": {"path": "the file to look at", "shape": "(C, H, W) of the real images, to tell the axes apart"},
    "plain_classifier": {
        "path": CLASSIFIER, "model": "the classifier", "config": "its config", "network": "the class to build",
        "about": "provenance and classes for the JSON record", "make": "builds the network, unseeded",
        "steps": "training steps",
    },
    "plain_classifier.load_classifier": {"config": "the dataclass of its config"},
    "plain_classifier.optimised": {
        "model": "the classifier to train, in place", "opt": "the optimiser", "rate": "the learning rate's schedule",
        "batches": "images (B, C, H, W) in [-1, 1] and labels (B,)",
        "smoothing": "share of the target spread evenly over all classes, 0 to 1",
    },
    "judges": {
        "image_shape": "(C, H, W) of the images to judge", "path": CLASSIFIER,
        "data": "real images, whose size and classes the judge must know",
    },
    "judges.known_classifier": {"path": SHIPPED},
    "judges.find_judge": {"path": SHIPPED},
    "judges.judge_of": {"path": SHIPPED},
    "features": {
        "name": "inception, efficientnet-lite0-320 (or -112, -1280), digits-classifier and the like, or a path",
        "path": CLASSIFIER,
    },
    "scores": {
        "real": "real images, or their statistics to save time",
        "classifier": "tells which class an image shows; its features give distance and diversity",
        "repeats": "resamplings for each error bar; the standard error is then known to about 7 %",
    },
    "resnet": {
        "config": "how the network is built", "recipe": "how it is trained",
        "x": "images (B, C, H, W) in [-1, 1]",
        "shift": "the largest shift in either direction, in pixels", "flip": "mirror half of the images",
        "rng": "source of random numbers",
    },
    "kernel": {
        "x": "features (N, D) of generated images", "y": "features (M, D) of real ones",
        "subsets": "number of random subsets to average over", "size": "images in a subset; 1,000 as published",
    },
}  # fmt: skip
