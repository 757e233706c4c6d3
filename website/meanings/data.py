"""What parameters mean in the data sets and exports of `ddpm_tools`. Places omit the package's name."""

PART = "train, heldout or all"
SCHEDULE = "name of the noise schedule, ours or diffusers', if the folder has none or a wrong one; None: the folder's"
TARGET = "epsilon, v or x0, if the folder has none or a wrong one; None: the folder's"
THEIRS = "diffusers' configuration, as in its JSON file"

DATA: dict[str, dict[str, str]] = {
    "datasets": {
        "names": "paths of the pictures inside the folder or zip", "split": PART,
        "path": "a folder or zip of pictures", "root": "folder for downloads",
        "bad": "position among the names -> why it cannot be read",
        "cache": "folder for decoded copies, which can be deleted at any time",
    },
    "datasets.layouts.from_dataset_json": {"text": "content of dataset.json", "pictures": "paths beside it"},
    "datasets.layouts.from_metadata": {
        "said": "what the metadata say, by path", "pictures": "paths of all pictures, named there or not",
    },
    "datasets.folders.split_alone": {"name": "the folder's name"},
    "datasets.pictures": {"picture": "the picture as Pillow opens it", "data": "the file's content"},
    "datasets.metadata": {
        "name": "path of the metadata file inside the folder or zip", "text": "its content",
        "normal": "a file name in a row -> a path below the metadata file", "names": "every file's path",
    },
    "datasets.files.visible": {"name": "a path inside a folder or zip"},
    "datasets.splits.held_out": {"labels": "the class of each picture"},
    "datasets.splits.positions": {"index": "the pictures, and the part that their folder puts them in"},
    "datasets.reading.read_each": {"take": "called with position, pixels (C, H, W) and whether it is grey"},
    "datasets.vision": {"name": "fashion-mnist or cifar10"},
    "datasets.load.load_data": {
        "name": "digits, digits28, fashion-mnist, cifar10, emoji, or the path of a folder or zip",
        "root": "folder for downloads and decoded copies",
        "size": "height and width in pixels; None: as the pictures are",
        "channels": "1 grey, 3 RGB; None: as the pictures are",
    },
    "export.diffusers_files": {
        "folder": "a diffusers folder, downloaded or from a training script", "root": "the folder with the weights",
    },
    "export.onnx_models": {
        "name": "the checkpoint's name, for file names and addresses: letters, digits, -, _ and .",
        "out": "folder for the models and their manifest, made if missing",
        "raw": "also export the raw weights",
    },
    "export.diffusers_unet": {
        "conditional": "with a class table, if the network has classes", "theirs": THEIRS,
        "state": "tensors by name, as in the network's `state_dict`",
    },
    "export.diffusers_pipeline": {
        "out": "the new folder, or the new checkpoint", "folder": "a diffusers folder, with config.json and weights",
        "schedule": SCHEDULE, "parameterization": TARGET, "loaded": "what `checkpoint.load` returned",
        "null_class": "whether the class table's last row is the null class; None: decided by `has_null_row`",
    },
    "export.diffusers_scheduler": {
        "steadied": "use betas that other solvers can use, see `steady`", "theirs": THEIRS,
    },
    "export.diffusers_scheduler.read_scheduler": {"schedule": SCHEDULE, "parameterization": TARGET},
}  # fmt: skip
