"""What folder names say about their pictures: a split, a class, or nothing if one folder wraps all."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPLIT_WORDS = dict.fromkeys(("train", "training", "trainval"), "train")
SPLIT_WORDS |= dict.fromkeys(("test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"), "heldout")
SPLIT_WORDS |= dict.fromkeys(("heldout", "holdout"), "heldout")
FILLERS = {"set", "data", "dataset", "datasets", "split", "images", "image", "imgs", "img", "pictures", "photos"}
KINDS = {"train", "heldout"}


@dataclass(frozen=True)
class Places:
    """For each picture, its class folder ('' if it is in none) and its part of a split ('' if no folder names one)."""

    classes: tuple[str, ...]  # one for each picture
    parts: tuple[str, ...]  # "train", "heldout" or '' for each


def words_of(name: str) -> list[str]:
    """'Training_Set-2' -> ['training']: the words that can carry meaning."""
    words = re.split(r"[^a-z]+", name.lower().replace("held-out", "heldout").replace("held_out", "heldout"))
    words = [w if w in SPLIT_WORDS else re.sub(r"(?<=.)(set|data|images|imgs)$", "", w) for w in words]
    return [w for w in words if len(w) > 1 and w not in FILLERS]


def split_word(name: str) -> tuple[str, str] | None:
    """(part, the rest of the name) of a folder such as 'training_set', 'seg_test', 'test_cats' or 'trainA'."""
    if both := re.fullmatch(r"(train|test|val)([A-Z])", name):
        return SPLIT_WORDS[both[1]], both[2]
    words = words_of(name)
    parts = [w for w in words if w in SPLIT_WORDS]
    return (SPLIT_WORDS[parts[0]], " ".join(w for w in words if w not in parts)) if len(parts) == 1 else None


def split_alone(name: str) -> bool:
    """'train', 'test_images': whether a folder names a part and nothing else."""
    word = split_word(name)
    return word is not None and not word[1]


def splits_among(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Folder -> (part, class or '') for folders that are parts of one split. Both parts must be there: a class may be
    called 'train'. If there are several such pairs, as in 'train_cats', 'test_cats', 'train_dogs', ..., the rest of
    the name is the class."""
    said: dict[str, dict[str, str]] = {}
    for name in sorted(set(names)):
        if word := split_word(name):
            said.setdefault(word[1], {})[name] = word[0]
    pairs = {rest: found for rest, found in said.items() if set(found.values()) == KINDS}
    named = len(pairs) > 1
    return {name: (part, rest * named) for rest, found in pairs.items() for name, part in found.items()}


def means_nothing(name: str) -> bool:
    """'images', 'data_set': whether a folder's name is not a class."""
    return not words_of(name) and any(w in FILLERS for w in re.split(r"[^a-z]+", name.lower()))


def unwrapped(paths: Sequence[list[str]], around: str | None = None) -> list[list[str]]:
    """Folders of each picture without those that wrap all of them. At the top (`around` is None) any folder without
    pictures of its own can be a wrapper; within the part `around`, only one with a similar or an empty name."""
    paths = list(paths)
    while paths and all(paths) and len({p[0] for p in paths}) == 1:
        top = paths[0][0]
        drop = all(len(p) > 1 for p in paths) if around is None else top.lower() == around.lower()
        if not (drop or means_nothing(top) or split_alone(top)):
            break
        paths = [p[1:] for p in paths]
    return paths


def places(names: Sequence[str]) -> Places:
    """The class folder and the part of each picture; pictures outside the folders of a split are in no part."""
    paths = unwrapped([n.split("/")[:-1] for n in names])
    if tops := splits_among(p[0] for p in paths if p):  # train/cat/1.png
        parts, classes = [""] * len(paths), [""] * len(paths)
        inside = defaultdict(list)
        for i, p in enumerate(paths):
            inside[p[0] if p else ""].append(i)
        for top, (part, cls) in tops.items():
            mine = inside[top]
            for i, rest in zip(mine, unwrapped([paths[i][1:] for i in mine], top)):
                parts[i], classes[i] = part, cls or (rest[0] if rest else "")
        return Places(tuple(classes), tuple(parts))
    second = splits_among(p[1] for p in paths if len(p) > 1)
    if second and all(len(p) > 1 and p[1] in second for p in paths):  # cat/train/1.png
        return Places(tuple(p[0] for p in paths), tuple(second[p[1]][0] for p in paths))
    return Places(tuple(p[0] if p else "" for p in paths), ("",) * len(paths))
