"""Rules about training, in order. Each docstring gives the rule's reason and threshold."""

from ddpm_tools.diagnosis.evidence import Evidence
from ddpm_tools.diagnosis.verdict import Verdict, pairs, rule

EMA_LAG = 1.5  # averaged score / raw score
CONVENTION = 0.8  # score of another convention / score as stated
MIN_SCORE_OF_BEST_CONVENTION = 0.75  # score of another convention
LEARNT = 0.9  # score
MAX_RELATIVE_MOVE = 1.0  # how far training moved the weights / their initial norm
JUMP = 3.0  # loss / its best so far
MIN_RELATIVE_MOVE = 0.1  # distance moved, as above
BEHIND = 1.6  # score / the reference's
RENAMED = 0.1  # gain in accuracy by renaming
GUESSED = 0.4  # accuracy of random labels after the best renaming, ten classes
NO_CHANGE = 1e-3  # relative change of the output

SAME_SCHEDULE = "Use one schedule object for training and sampling."
NAMES = {  # aspect of a convention: how the network was trained instead, and the remedy
    "range": ("on images in {} instead of [-1, 1]", "Rescale training images with x / 127.5 - 1, and train again."),
    "time": ("with {} as its timestep instead of t", "Pass the network the same integer t in training and sampling."),
    "schedule": ("with the {} schedule, not the stated one", SAME_SCHEDULE),
    "target": (
        "to predict {}, which is not how its output is read",
        "Use one parameterization in training and sampling.",
    ),
}


@rule(
    "not finite", "training",
    "Train again with a tenth of the learning rate, and stop at the first loss that is not finite.",
)  # fmt: skip
def broken(e: Evidence) -> str | None:
    """A single weight that is not finite makes every output not finite."""
    said = "The weights, or the network's outputs for finite images, are not finite: the training diverged."
    return None if e.finite else said


@rule("ema", "training", "Call ema.update(model) after every optimiser step; until then, sample from the raw weights.")
def stale_average(e: Evidence) -> str | None:
    """The average of good weights is good. If the raw weights beat the pixel bound and the averaged ones score 1.5
    times as high, the average has not kept up. (In healthy runs the two differ by less than 0.05.)"""
    if e.raw_score is None or e.raw_score >= 1 or e.score < EMA_LAG * e.raw_score:
        return None
    how = "lag far behind: the EMA was hardly updated, or its decay is too close to 1 for so short a run"
    if e.ema_moved is not None and e.moved and e.ema_moved < 0.05 * e.moved:
        how = "are still the initial ones: the EMA was never updated"
    return f"The raw weights denoise well (score {e.raw_score:.2f}), the averaged do not ({e.score:.2f}); they {how}."


def other_convention(e: Evidence) -> Verdict | None:
    """A network denoises best in the convention it was trained with. Another one is named if its score is a fifth lower
    than the stated one's, and below 0.75: an untrained network, which outputs 0, scores 0.8 through clamping."""
    value, how = e.best
    if not how.aspect or value >= min(MIN_SCORE_OF_BEST_CONVENTION, CONVENTION * e.score):
        return None
    words, remedy = NAMES[how.aspect]
    gain = f"read that way, its score is {value:.2f} instead of {e.score:.2f}"
    return Verdict(how.aspect, "training", f"The network was trained {words.format(how.value)}: {gain}.", remedy)


@rule("learning rate", "training", "Train again with a tenth of the learning rate, with warm-up and gradient clipping.")
def restless(e: Evidence) -> str | None:
    """Nothing is learnt (score 0.9 or more), yet the weights moved farther than their initial norm (sound runs: 0.3 to
    0.5 of it), or the loss jumped to three times the lowest it had reached: each step undoes the last."""
    moved = e.moved or 0
    signs = [f"training moved the weights by {moved:.1f} times their initial norm"] * (moved > MAX_RELATIVE_MOVE)
    signs += [f"the loss jumped to {e.spikes:.1f} times the lowest it had reached"] * (e.spikes > JUMP)
    if e.score < LEARNT or not signs:
        return None
    return f"The learning rate was too high: the network has not learnt to denoise, and {' and '.join(signs)}."


@rule("time unused", "training", "Feed the time embedding into every residual block.")
def time_unused(e: Evidence) -> str | None:
    """The output must depend on the noise level. A change below 0.1 % between two distant timesteps does not count."""
    said = "The network gives the same output at every timestep: t never reaches it."
    return None if e.time_change > NO_CHANGE else said


def unlearnt(e: Evidence) -> Verdict | None:
    """A score of 0.9 or more is hardly better than denoising each pixel alone. Sound short runs score below 0.75."""
    if e.score < LEARNT:
        return None
    if e.moved is not None and e.moved < MIN_RELATIVE_MOVE:
        how = f"training moved the weights by only {e.moved:.1%} of their initial norm"
        remedy = "Train longer, or with a higher learning rate."
    else:
        how = "none of the conventions tried explains it"
        remedy = "Overfit one batch of ten images; if that fails, the loss or the network is wrong, not the data."
    said = f"The network denoises no better than a guess from each pixel alone (score {e.score:.2f}); {how}."
    return Verdict("not learnt", "training", said, remedy)


def guessed(e: Evidence) -> float:
    """The accuracy below which labels count as unused."""
    return max(GUESSED, min(0.9, 1.5 / len(e.classes)))


@rule(
    "labels unused", "training",
    "Check that the training loop passes the label to the model, does not always drop it, and does not shuffle it.",
)  # fmt: skip
def labels_unused(e: Evidence) -> str | None:
    """An image should be easiest to denoise with its true label. With ten images of each of ten classes, random choices
    reach an accuracy of about 0.25 under the best renaming of the labels, and sound short runs 0.8 and more: the
    threshold is 0.4."""
    if e.seen is None or len(e.classes) < 2 or max(e.seen.accuracy, e.seen.renamed_accuracy) > guessed(e):
        return None
    how = "its output changes with the label, but at random: it never saw the true labels"
    if e.label_change < NO_CHANGE:
        how = "its output is the same with and without a label, so they never reach it"
    return f"The network does not use its labels (it recognises {e.seen.accuracy:.0%} of the images): {how}."


@rule("labels swapped", "training", "Compare the class order of your data loader with the data's class names.")
def labels_swapped(e: Evidence) -> str | None:
    """Most images of a class fit one other label best, and renaming the labels gains a tenth of all images. One swapped
    pair among ten classes gains a fifth, chance confusions a few per cent."""
    s = e.seen
    if s is None or not s.moved or s.renamed_accuracy < s.accuracy + RENAMED:
        return None
    told = f"{s.renamed_accuracy:.0%} of images fit their label when renamed so, {s.accuracy:.0%} as they are"
    return f"The network learnt labels other than the data's ({pairs(e, s.moved)}): {told}."


@rule("behind", "training", "Train longer, then run the diagnosis again.")
def behind(e: Evidence) -> str | None:
    """1.6 times the reference's score. Half the training, another conditioner or another target changes the score by a
    factor below 1.4."""
    if e.reference_score is None or e.score < BEHIND * e.reference_score:
        return None
    scores = f"score {e.score:.2f} against {e.reference_score:.2f}"
    return f"No known fault, but the network denoises worse than the reference ({scores}): it looks undertrained."


RULES = (broken, stale_average, other_convention, restless, time_unused, unlearnt, labels_unused, labels_swapped)
