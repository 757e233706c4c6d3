"""What parameters mean in `ddpm_tools`' helpers of the lessons, drawing and training. Places leave out its name."""

from website.meanings.core import CHECKPOINT

TRAINING: dict[str, dict[str, str]] = {
    "lessons": {"objects": "functions or classes of the library, in the order to show them"},
    "lessons.student": {
        "name": "the function or class that the answer cell defines",
        "exercise": 'assignment and notebook, such as "5_1_unconditional/ddim"',
        "library": "returned where the answer is missing, unfinished or does not run",
        "given": "names that the answer may use besides the notebook's imports and its own earlier answers",
        "folder": "where the assignments are; None: the course's exercises/, the lesson's folder, or the one above it",
    },
    "guided_exercise": {
        "judge": "a classifier that offers `features` and `head`",
        "measure": "(network, w, n) -> scores, images and the labels asked for",
        "n": "images for each measurement",
    },
    "guided_exercise.unfold": {
        "step": "one of the functions below", "args": "its positional arguments", "options": "its keyword arguments",
    },
    "guided_exercise.by_class": {
        "asked": "labels asked for (n,)", "taken": "for each scale, the classes that the classifier sees (n,)",
    },
    "guided_exercise.walks": {"rows": "what varies in a row -> its images (N, C, H, W), all rows equally long"},
    "guided_exercise.class_grid": {"judge": "a classifier that offers `features` and `head`; None: only the figure"},
    "guided_exercise.ema_against_raw": {
        "versions": "name, ending in EMA or raw -> model; raw before averaged",
        "measure": "(network, w, n) -> scores, images and the labels asked for; None: nothing is measured",
    },
    "plain_pairs": {
        "name": "what the pair is called", "compute_training_target": "(x_0, noise, timesteps, schedule) -> target",
        "predict_x0": "(model_output, x_t, timesteps, schedule) -> x_0",
    },
    "captions.Tokenizer.build": {
        "length": "tokens of a caption, `<start>` included; None: as many as the longest has",
        "min_count": "how often a word must occur to have a token of its own",
    },
    "captions.Tokenizer.decode": {"tokens": "one caption's tokens (S,)"},
    "captions": {
        "conditioning": "name of the way in which a class would enter; the words enter by cross-attention",
        "layers": "transformer blocks of the text encoder", "heads": "attention heads of the text encoder",
        "config": "how the U-Net is built; it needs a `context_dim`", "path": CHECKPOINT,
    },
    "presets": {
        "name": "a key of PRESETS", "channels": "width of each level, the finest first",
        "batch_size": "images in a step, over all GPUs", "train": "fields of TrainConfig that differ from the protocol",
    },
    "drawing.draw": {"y": "class labels (B,), int64, or tokens (B, S)"},
    "drawing.between": {
        "ends": "the two class indices", "noises": "one starting noise for each walk (walks, C, H, W)",
        "how": "path between the embeddings, solver and steps",
    },
    "demo": {
        "out": "folder for the pictures and their figures, made where missing",
        "classifier": "measures adherence and the Fréchet distance; None: a shipped one that knows the classes",
        "pairs": "(from, to) class names", "sizes": "how much to draw; None: the defaults",
        "retrain": "train a model first and draw with that",
        "mode": "linear, spherical, or scores, which mixes the network's two outputs",
        "vary": "what changes along the strip: class, noise or both", "path": CHECKPOINT, "data": "the data set's name",
    },
    "unet2d": {
        "x": "noisy images (B, C, H, W)", "context": "tokens to attend to (B, S, context_dim); None: none",
        "channels": "width of a level",
    },
    "attention_maps.attention_weights": {"q": "queries (B, L, D)", "k": "keys (B, S, D)"},
    "attention_maps": {
        "model": "the network to watch", "maps": "what `attention_maps` recorded",
        "size": "height and width of the result",
    },
    # training
    "train.flows": {
        "evaluations": "how often the network is called for an image; Heun's step calls it twice",
        "step": "the solver: `heun_step` or `euler_step`", "n": "how many pairs", "made": "what `pairs` returned",
        "w": "guidance scale; 1: the conditional flow", "batch_size": "images in one pass of the network",
    },
    "train.speed": {
        "seconds": "how long to measure", "hw": "what the device offers", "steps": "training steps of the run",
        "data_bytes": "size of all training images, which may be kept on the GPU",
        "model": "the network to compile", "batch_size": "images in a training step",
    },
    "train.travel": {
        "path": CHECKPOINT, "folder": "where the parts lie", "part_bytes": "the largest size of a part, in bytes",
        "data": "name or path of the training data on this machine",
    },
    "train.interrupt": {"number": "the signal's number, such as signal.SIGINT"},
    "train.quick_gate": {"path": "the record of the designs that have passed, as JSON"},
    "train.objectives": {"batch": "how many timesteps, one for each image of the batch"},
    "train.objectives.logit_normal_times": {
        "mean": "of the normal variable; above 0 for noisier timesteps", "std": "its standard deviation",
    },
    "train.objectives.min_snr": {"gamma": "the SNR above which the weight grows no more"},
    "train.engine": {
        "data_bytes": "size of all training images, which may be kept on the GPU",
        "start": "number of the first batch: how many steps are done",
    },
    "train.runs": {
        "name": "the class's name", "classes": "names of the classes, in order", "out": CHECKPOINT,
        "processes": "how many processes share a batch", "callbacks": "saves, previews and logs; None: the defaults",
        "steps": "training steps; None: the preset's", "seed": "determines all random numbers; None: the preset's",
    },
    "train.callbacks": {
        "out": CHECKPOINT, "engine": "computes the steps", "options": "what to do besides training",
        "steps": "one report for each training step", "log": "where curves and previews go",
        "asked": "whether a signal has asked to stop", "step": "training steps done so far",
        "every": "steps from one time to the next; 0: never",
    },
    "train.resume": {
        "path": CHECKPOINT, "out": "the new checkpoint, named as `path` is",
        "resumable": "keep the optimiser's state, twice the network's size",
        "about": "further entries of the JSON record, such as provenance",
        "data": "the training images as they can be read now",
    },
    "train.distributed": {
        "batch_size": "images in a step, over all processes",
        "micro_batches": "parts of this process's share, one pass of the network each",
        "tensors": "replaced in place; equal shapes in all processes", "flag": "this process's answer",
        "value": "this process's value", "environment": "as `torchrun` sets it: WORLD_SIZE, RANK, LOCAL_RANK",
        "device": "cpu, or cuda for one GPU a process",
    },
    "train.logs": {
        "what": "what is lost, such as previews", "error": "why it could not be written",
        "folder": "for TensorBoard's files; None: nothing is logged", "start": "steps done before this run",
        "report": "the step just taken", "batch_size": "images in a step", "step": "training steps done so far",
    },
}  # fmt: skip
