"""What parameters mean in the lesson helpers, drawing and training of `ddpm_tools`. Places omit the package's name."""

from website.meanings.core import CHECKPOINT

TRAINING: dict[str, dict[str, str]] = {
    "lessons": {"objects": "functions or classes of the library, in the order to show them"},
    "lessons.student": {
        "name": "the function or class that the answer cell defines",
        "exercise": 'assignment and notebook, such as "5_1_unconditional/ddim"',
        "library": "returned if the answer is missing, unfinished or does not run",
        "given": "names that the answer can use besides the notebook's imports and its own earlier answers",
        "folder": "folder of the assignments; None: the course's exercises/, the lesson's folder, or the one above",
    },
    "guided_exercise": {
        "judge": "a classifier with `features` and `head`",
        "measure": "(network, w, n) -> scores, images and the labels asked for",
        "n": "images per measurement",
    },
    "guided_exercise.unfold": {
        "step": "one of the functions below", "args": "its positional arguments", "options": "its keyword arguments",
    },
    "guided_exercise.by_class": {
        "asked": "labels asked for (n,)", "taken": "for each scale, the classes that the classifier predicts (n,)",
    },
    "guided_exercise.walks": {"rows": "what varies in a row -> its images (N, C, H, W), all rows equally long"},
    "guided_exercise.class_grid": {"judge": "a classifier with `features` and `head`; None: only the figure"},
    "guided_exercise.ema_against_raw": {
        "versions": "name, ending in EMA or raw -> model; raw before averaged",
        "measure": "(network, w, n) -> scores, images and the labels asked for; None: measure nothing",
    },
    "plain_pairs": {
        "name": "the pair's name", "compute_training_target": "(x_0, noise, timesteps, schedule) -> target",
        "predict_x0": "(model_output, x_t, timesteps, schedule) -> x_0",
    },
    "captions.Tokenizer.build": {
        "length": "tokens per caption, including `<start>`; None: as many as the longest caption needs",
        "min_count": "how often a word must occur to have a token of its own",
    },
    "captions.Tokenizer.decode": {"tokens": "one caption's tokens (S,)"},
    "captions": {
        "conditioning": "name of the strategy for a class; the words enter by cross-attention",
        "layers": "transformer blocks of the text encoder", "heads": "attention heads of the text encoder",
        "config": "the U-Net's config, which needs a `context_dim`", "path": CHECKPOINT,
    },
    "presets": {
        "name": "a key of PRESETS", "channels": "width of each level, the finest first",
        "batch_size": "images per step, over all GPUs", "train": "fields of TrainConfig that differ from the protocol",
    },
    "drawing.draw": {"y": "class labels (B,), int64, or tokens (B, S)"},
    "drawing.between": {
        "ends": "the two class indices", "noises": "one starting noise per path (walks, C, H, W)",
        "how": "path between the embeddings, solver and steps",
    },
    "demo": {
        "out": "folder for the pictures and their figures, made if missing",
        "classifier": "measures adherence and the Fréchet distance; None: a shipped one that knows the classes",
        "pairs": "(from, to) class names", "sizes": "how much to draw; None: the defaults",
        "retrain": "train a model first and draw with it",
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
        "evaluations": "calls of the network per image; Heun's step makes two",
        "step": "the solver: `heun_step` or `euler_step`", "n": "number of pairs", "made": "what `pairs` returned",
        "w": "guidance scale; 1: the conditional flow", "batch_size": "images per pass of the network",
    },
    "train.speed": {
        "seconds": "how long to measure", "hw": "what the device supports", "steps": "training steps of the run",
        "data_bytes": "size of all training images, which can be kept on the GPU",
        "model": "the network to compile", "batch_size": "images per training step",
    },
    "train.travel": {
        "path": CHECKPOINT, "folder": "folder of the parts", "part_bytes": "the largest size of a part, in bytes",
        "data": "name or path of the training data on this machine",
    },
    "train.interrupt": {"number": "the signal's number, such as signal.SIGINT"},
    "train.quick_gate": {"path": "the record of the designs that have passed, as JSON"},
    "train.objectives": {"batch": "number of timesteps, one per image of the batch"},
    "train.objectives.logit_normal_times": {
        "mean": "mean of the normal variable; above 0 for noisier timesteps", "std": "its standard deviation",
    },
    "train.objectives.min_snr": {"gamma": "the SNR above which the weight stops growing"},
    "train.optimizers": {
        "g": "a matrix (M, N), such as a gradient", "iterations": "Newton-Schulz iterations",
        "pixels": "number of channels of an image", "matrices": "parameters with orthogonal updates",
        "others": "parameters left to AdamW", "momentum": "share of the old momentum kept in each step",
        "how": "options of torch.optim.AdamW", "name": "adamw or muon", "default": "the one for adamw",
    },
    "train.cooldown": {"step": "training steps done", "state": "the state of the run"},
    "train.warm_start": {
        "path": CHECKPOINT, "record": "its JSON file", "state": "a fresh state of the new run",
    },
    "train.beginning": {
        "path": CHECKPOINT, "before": "its config", "cooldown": "None: the run ends as planned",
        "warm_start": "None: the run begins with random weights", "out": CHECKPOINT,
        "source": "another run to begin with; None: none",
    },
    "train.engine": {
        "optimizer": "adamw or muon",
        "data_bytes": "size of all training images, which can be kept on the GPU",
        "start": "index of the first batch, which is the number of steps done",
    },
    "train.runs": {
        "source": "another run to begin with; None: none",
        "name": "the class's name", "classes": "names of the classes, in order", "out": CHECKPOINT,
        "processes": "number of processes per batch", "callbacks": "saves, previews and logs; None: the defaults",
        "steps": "training steps; None: the preset's", "seed": "determines all random numbers; None: the preset's",
    },
    "train.callbacks": {
        "begin": "where the run begins or continues",
        "out": CHECKPOINT, "engine": "computes the steps", "options": "what to do besides training",
        "steps": "one report per training step", "log": "takes curves and previews",
        "asked": "whether a signal has asked to stop", "step": "training steps done so far",
        "every": "interval in steps; 0: never",
    },
    "train.resume": {
        "config": "a Preset, or its dictionary (`flat`)",
        "path": CHECKPOINT, "out": "the new checkpoint, named like `path`",
        "resumable": "keep the optimiser's state, twice the network's size",
        "about": "further entries of the JSON record, such as provenance",
        "data": "the training images as read now",
    },
    "train.distributed": {
        "batch_size": "images per step, over all processes",
        "micro_batches": "parts of this process's share, one pass of the network each",
        "tensors": "tensors to replace in place; equal shapes in all processes", "flag": "this process's answer",
        "value": "this process's value", "environment": "set by `torchrun`: WORLD_SIZE, RANK, LOCAL_RANK",
        "device": "cpu, or cuda for one GPU per process",
    },
    "train.logs": {
        "what": "what is lost, such as previews", "error": "why it could not be written",
        "folder": "folder for TensorBoard's files; None: log nothing", "start": "steps done before this run",
        "report": "the step just taken", "batch_size": "images per step", "step": "training steps done so far",
    },
}  # fmt: skip
