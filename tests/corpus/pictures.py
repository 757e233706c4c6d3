"""Data sets and files of samples as people have them, each with its right value: made by these lines, nothing copied.

The kinds are those of public reports about torchvision's ImageFolder, Hugging Face's image folders, StyleGAN's
dataset_tool, Pillow, and samplers that write arrays.
"""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

Content = bytes | str | int  # int: the grey level of an 8×8 PNG


def picture(level: int = 0, kind: str = "png", mode: str = "L", size: tuple[int, int] = (8, 8), **options) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).convert(mode).save(out, kind, **options)
    return out.getvalue()


def broken_exif(orientation: int) -> bytes:
    """Two entries: the orientation, and a resolution of -1/0, which some telephones write."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack("<HHII", 0x011A, 10, 1, 38)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<Iii", 0, -1, 0)


def broken_tiff(pixels: np.ndarray, orientation: int) -> bytes:
    """Grey pixels (H, W) with the same two entries among the file's own."""
    h, w = pixels.shape
    tags = [(256, 4, w), (257, 4, h), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 146), (274, 3, orientation)]
    tags += [(277, 3, 1), (278, 4, h), (279, 4, h * w)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    entries += struct.pack("<HHII", 282, 10, 1, 138 + 4)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags) + 1) + entries + struct.pack("<I", 0)
    return head + struct.pack("<ii", -1, 0)[: 146 - len(head)].ljust(146 - len(head), b"\0") + pixels.tobytes()


RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8)


def ramp(**options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(RAMP).save(out, "png", **options)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims 30,000 × 30,000 pixels."""
    good = picture()
    head = b"IHDR" + struct.pack(">II", 30_000, 30_000) + good[24:29]
    import zlib

    return good[:12] + head + struct.pack(">I", zlib.crc32(head)) + good[33:]


# ---------------------------------------------------------------- how a set is packed


def as_folder(path: Path, files: dict[str, Content]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(as_bytes(content))
    return path


def as_bytes(content: Content) -> bytes:
    return picture(content) if isinstance(content, int) else content.encode() if isinstance(content, str) else content


def zipped(files: dict[str, Content], **options) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as z:
        for name, content in files.items():
            z.writestr(zipfile.ZipInfo(name), as_bytes(content))
    return out.getvalue()


def as_zip(path: Path, files: dict[str, Content]) -> Path:
    (target := path.with_suffix(".zip")).write_bytes(zipped(files))
    return target


def patched(path: Path, files: dict[str, Content], name: str, what: str) -> Path:
    """A zip, one member of which has a password ('locked'), an unknown method ('packed') or wrong sum ('crc')."""
    raw = bytearray(zipped(files))
    for header, flags, method, crc, title in ((b"PK\x03\x04", 6, 8, 14, 30), (b"PK\x01\x02", 8, 10, 16, 46)):
        at = raw.find(header)
        while raw[at + title : at + title + len(name)] != name.encode():
            at = raw.find(header, at + 1)
        if what == "locked":
            raw[at + flags] |= 1
        elif what == "packed":
            raw[at + method : at + method + 2] = struct.pack("<H", 99)
        else:
            raw[at + crc] ^= 255
    (target := path.with_suffix(".zip")).write_bytes(raw)
    return target


def as_tar(path: Path, files: dict[str, Content], mode: str = "w:gz") -> Path:
    import tarfile

    with tarfile.open(target := path.with_suffix(".tar" + ".gz" * mode.endswith("gz")), mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data := as_bytes(content))
            tar.addfile(info, io.BytesIO(data))
    return target


@dataclass(frozen=True)
class Case:
    """A data set and its right value: either what it holds, or a word of the sentence that refuses it."""

    name: str
    files: dict[str, Content]
    classes: dict[str, int] = field(default_factory=dict)  # class -> how many pictures
    captions: tuple[str, ...] = ()
    heldout: int | None = None  # where the set's own folders say how many
    says: tuple[str, ...] = ()  # words of what is said besides
    refused: str = ""
    pack: Callable[[Path, dict[str, Content]], Path] = as_folder
    strict: bool = True  # whether --strict takes it all the same


def each(*folders: str, n: int = 6, end: str = "png") -> dict[str, Content]:
    """n pictures a folder."""
    names = [(f"{folder}/{i}.{end}", (7 * i + 31 * k) % 256) for k, folder in enumerate(folders) for i in range(n)]
    return dict(names)


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


PETS = each("cats", "dogs")
TWO = {"cats": 6, "dogs": 6}
SPLIT = {"cats": 12, "dogs": 12}
FORTY = each("cats", "dogs", n=40)


def parts(train: str, heldout: str, *rest: str) -> dict[str, Content]:
    return each(f"{train}/cats", f"{train}/dogs", f"{heldout}/cats", f"{heldout}/dogs", *rest)


def bad_one(content: bytes | str, name: str, says: str) -> Case:
    named = ("1 of 13 pictures", f"cats/{name} ({says}")
    return Case(f"one is {name}", PETS | {f"cats/{name}": content}, {"cats": 7, "dogs": 6}, says=named, strict=False)


def good_one(content: bytes, name: str) -> Case:
    return Case(f"one is {name}", PETS | {f"cats/{name}": content}, {"cats": 7, "dogs": 6})


UNREADABLE = [
    bad_one(b"", "empty.png", "it is empty"),
    bad_one(picture(9, "png", size=(64, 64))[:60], "cut.png", ""),
    bad_one(picture(9, "jpeg", size=(64, 64))[:300], "cut.jpg", ""),
    bad_one("<html>404</html>", "page.jpg", "it is not a picture"),
    bad_one(bomb(), "bomb.png", ""),
    bad_one(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "script.png", "it is not a picture"),
    bad_one(picture(9, "tiff", "F"), "floats.tif", "its pixels are floating-point"),
]
READABLE = [
    *(good_one(ramp(exif=broken_exif(turn)), f"telephone{turn}.png") for turn in (6, 1, 0, 99)),
    good_one(ramp(exif=b"Exif\0\0rubbish"), "rubbish.png"),
    good_one(picture(9, "jpeg", "CMYK"), "cmyk.jpg"),
    good_one(picture(9, "png", "I;16"), "deep.png"),
    good_one(picture(9, "png", "LA"), "la.png"),
    good_one(picture(9, "png", "P"), "palette.png"),
    good_one(picture(9, "gif", save_all=True, append_images=[Image.new("L", (8, 8), 1)]), "film.gif"),
    good_one(picture(9, "jpeg"), "really_a_jpeg.png"),
    good_one(broken_tiff(RAMP, 6), "scan.tif"),
]
ENDINGS = {".jfif": "jpeg", ".jpe": "jpeg", ".JPG": "jpeg", ".avif": "avif", ".jp2": "jpeg2000", ".tga": "tga",
           ".webp": "webp", ".tif": "tiff", ".qoi": "qoi", ".bmp": "bmp", ".ppm": "ppm"}  # fmt: skip
ALL_ENDINGS = {f"cats/{i}{end}": picture(i, kind, "RGB") for i, (end, kind) in enumerate(ENDINGS.items())}
LABELLED = [{"file_name": f"{i}.png", "label": ("cat", "dog")[i % 2], "text": f"pet {i}"} for i in range(8)]
LOOSE = {f"{i}.png": i for i in range(8)}
FOUR = {"cat": 4, "dog": 4}
TEXTS = tuple(f"pet {i}" for i in range(8))


def table(rows: list[dict], between: str = ",") -> str:
    return "\n".join(between.join(map(str, line)) for line in [list(rows[0]), *(row.values() for row in rows)]) + "\n"


def under(folder: str, files: dict[str, Content]) -> dict[str, Content]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def without(key: str) -> list[dict]:
    return [{k: v for k, v in row.items() if k != key} for row in LABELLED]


BOTH = [row | {"file_name": f"{part}/{row['file_name']}"} for part in ("train", "test") for row in LABELLED]


def with_labels(*labels) -> list[dict]:
    return [row | {"label": labels[i % len(labels)]} for i, row in enumerate(LABELLED)]


METADATA = [
    Case("at the root", LOOSE | {"metadata.jsonl": lines(*LABELLED)}, FOUR, TEXTS),
    Case("a table", LOOSE | {"metadata.csv": "\ufeff" + table(LABELLED)}, FOUR, TEXTS),
    Case("a table with spaces", LOOSE | {"metadata.csv": table(LABELLED, ", ")}, FOUR, TEXTS),
    Case("a table of semicolons", LOOSE | {"metadata.csv": table(LABELLED, ";")}, FOUR, TEXTS),
    Case("in each part",
         under("train", LOOSE | {"metadata.jsonl": lines(*LABELLED)})
         | under("test", LOOSE | {"metadata.jsonl": lines(*LABELLED)}), {"cat": 8, "dog": 8}, TEXTS * 2, 8),
    Case("a table in each part",
         under("Train", LOOSE | {"metadata.csv": table(LABELLED)})
         | under("validation", LOOSE | {"metadata.csv": table(LABELLED)}), {"cat": 8, "dog": 8}, TEXTS * 2, 8),
    Case("one for both parts",
         under("train", LOOSE) | under("test", LOOSE)
         | {"metadata.jsonl": lines(*BOTH)},
         {"cat": 8, "dog": 8}, TEXTS * 2, 8),
    Case("only names", LOOSE | {"metadata.jsonl": lines(*({"file_name": n} for n in LOOSE))}, {"all": 8}),
    Case("no label", LOOSE | {"metadata.jsonl": lines(*without("label"))}, {"all": 8}, TEXTS),
    Case("labels null", LOOSE | {"metadata.jsonl": lines(*with_labels(None))}, {"all": 8}, TEXTS),
    Case("labels -1", LOOSE | {"metadata.jsonl": lines(*with_labels(-1))}, {"all": 8}, TEXTS),
    Case("some labels null", LOOSE | {"metadata.jsonl": lines(*with_labels("cat", "dog", None, "cat"))},
         {"cat": 4, "dog": 2}, tuple(t for i, t in enumerate(TEXTS) if i % 4 != 2), strict=False,
         says=("left out: 2 pictures without a class, while others have one, such as 2.png",)),
    Case("whole numbers", LOOSE | {"metadata.jsonl": lines(*with_labels(10, 9))}, {"9": 4, "10": 4}, TEXTS),
    Case("a table with a gap", LOOSE | {"metadata.csv": table(with_labels("1.0", "0.0", "", "0.0"))},
         {"0": 4, "1": 2}, tuple(t for i, t in enumerate(TEXTS) if i % 4 != 2), strict=False, says=("2 pictures",)),
    Case("captions with line separators",
         LOOSE | {"metadata.jsonl": lines(*(r | {"text": "a@b"} for r in LABELLED)).replace("@", "\u2028")},
         FOUR, ("a\u2028b",) * 8),
    Case("another name of the column",
         under("images", LOOSE)
         | {"metadata.jsonl": lines(*({"image_file_name": f"images/{n}", "caption": n} for n in LOOSE))},
         {"all": 8}, tuple(LOOSE)),
    Case("captions of class folders",
         PETS | {"metadata.csv": table([{"file_name": n, "prompt": "x"} for n in PETS])}, TWO, ("x",) * 12),
    Case("a picture without a row", LOOSE | {"metadata.jsonl": lines(*LABELLED[:6])}, {"cat": 3, "dog": 3}, TEXTS[:6],
         says=("left out: 2 pictures not named in metadata.jsonl, such as 6.png",), strict=False),
    Case("a name without a picture",
         LOOSE | {"metadata.jsonl": lines(*LABELLED, {"file_name": "no.png", "label": "cat", "text": ""})},
         {"cat": 5, "dog": 4}, (*TEXTS, ""), says=("no.png (the file does not exist)",), strict=False),
    Case("no name is right", under("images", LOOSE) | {"metadata.jsonl": lines(*LABELLED)},
         refused="none of its file names"),
    Case("parquet", LOOSE | {"metadata.parquet": b"PAR1"}, refused="labels in metadata.parquet would be lost"),
    Case("several labels", LOOSE | {"metadata.jsonl": lines(*with_labels([1, 2]))}, refused="a word or a whole number"),
    Case("an unquoted comma", LOOSE | {"metadata.csv": "file_name,text\n0.png,a red, fast car\n"},
         refused="row 2 has more"),
    Case("two labels", LOOSE | {"metadata.jsonl": lines(*LABELLED, LABELLED[0] | {"label": "dog"})},
         refused="two labels"),
    Case("a list in place of lines", LOOSE | {"metadata.jsonl": json.dumps(LABELLED)}, refused="line 1 is not a JSON"),
]  # fmt: skip

SPLITS = [
    *(Case(f"{a} and {b}", parts(a, b), SPLIT, heldout=12)
      for a, b in (("training_set/training_set", "test_set/test_set"), ("TRAIN", "Test"), ("train", "val"),
                   ("Training", "dev"), ("train", "eval"), ("data/archive/train", "data/archive/valid"),
                   ("train/images", "test/images"), ("train.X1", "val.X"),
                   ("images/train", "images/validation"), ("train2017", "val2017"),
                   ("seg_train/seg_train", "seg_test/seg_test"), ("train-data", "held-out"))),
    Case("classes first", each("cats/train", "cats/test", "dogs/train", "dogs/test"), SPLIT, heldout=12),
    Case("classes in the names", each("train_cats", "test_cats", "train_dogs", "test_dogs"), SPLIT, heldout=12),
    Case("a case apart", each("train/Cats", "test/cats"), {"Cats": 6, "cats": 6}, heldout=6,
         says=("classes only in its held-out part: cats",)),
    Case("letters for classes", each("trainA", "trainB", "testA", "testB"), {"A": 12, "B": 12}, heldout=12),
    Case("loose in the parts", each("train", "test"), {"all": 12}, heldout=6),
    Case("train alone", each("train/cats", "train/dogs"), TWO),
    Case("a class called train", each("bus", "car", "train"), {"bus": 6, "car": 6, "train": 6},
         says=("'train' is taken as a class",)),
    Case("nothing but images", each("images"), {"all": 6}),
    Case("other folders beside", parts("training_set", "test_set", "single_prediction"), SPLIT, heldout=12,
         strict=False, says=("6 pictures outside the folders of the split, such as single_prediction/0.png",)),
    Case("a test part without classes", each("train/cats", "train/dogs", "test"), TWO, strict=False,
         says=("left out: 6 pictures without a class, while others have one, such as test/0.png",)),
]  # fmt: skip

DATASET = PETS | {
    "dataset.json": json.dumps({"labels": [[n, int("dogs" in n)] for n in PETS], "classes": ["cat", "dog"]})
}
ARCHIVES = [
    Case("zip", PETS, TWO, pack=as_zip),
    Case("folders around", {f"./a/b//{n}": c for n, c in PETS.items()}, TWO, pack=as_zip),
    Case("names that lead out", PETS | {"../x.png": 1, "/etc/y.png": 2}, TWO, pack=as_zip, strict=False,
         says=("2 names in names that lead out.zip point outside it, such as ../x.png",)),
    Case("the same name twice", PETS | {"cats\\0.png": 200}, TWO, pack=as_zip, strict=False,
         says=("cats/0.png more than once",)),
    Case("dataset.json with a password", DATASET, pack=partial(patched, name="dataset.json", what="locked"),
         refused="dataset.json cannot be used: it is password-protected"),
    Case("dataset.json packed otherwise", DATASET, pack=partial(patched, name="dataset.json", what="packed"),
         refused="dataset.json cannot be used: compressed by an unsupported method"),
    Case("dataset.json damaged", DATASET, pack=partial(patched, name="dataset.json", what="crc"),
         refused="dataset.json cannot be used: damaged"),
    Case("metadata.jsonl with a password", LOOSE | {"metadata.jsonl": lines(*LABELLED)},
         pack=partial(patched, name="metadata.jsonl", what="locked"), refused="metadata.jsonl cannot be used: it is"),
    Case("one picture with a password", PETS, TWO, pack=partial(patched, name="cats/3.png", what="locked"),
         strict=False, says=("1 of 12 pictures", "cats/3.png (it is password-protected)")),
    Case("one picture damaged", PETS, TWO, pack=partial(patched, name="dogs/0.png", what="crc"), strict=False,
         says=("1 of 12 pictures", "dogs/0.png (damaged")),
    Case("zips in a zip", {"train.zip": zipped(PETS), "test.zip": zipped(PETS)}, pack=as_zip, refused="2 .zip"),
    Case("tar", PETS, pack=partial(as_tar, mode="w"), refused="is a tar archive, which is not read; unpack it"),
    Case("tar.gz", PETS, pack=as_tar, refused=r"is a tar \(gzip\) archive, which is not read; unpack it"),
    Case("cut off", {"x": zipped(PETS)[:400]}, refused="damaged or truncated",
         pack=lambda path, files: (path.with_suffix(".zip").write_bytes(files["x"]), path.with_suffix(".zip"))[1]),
    Case("two of dataset.json", {f"{p}/{n}": c for p in "ab" for n, c in DATASET.items()}, refused="there are several"),
]  # fmt: skip

CASES = [
    *UNREADABLE,
    *READABLE,
    Case("all endings", ALL_ENDINGS | each("dogs"), {"cats": len(ENDINGS), "dogs": 6}),
    Case("telephones of today", PETS | {"cats/a.heic": b"x", "cats/b.HEIC": b"x", "readme.md": "x"}, TWO, strict=False,
         says=("2 .heic, 1 .md", "save the .heic as PNG or JPEG")),
    Case("nothing but heic", {"cats/a.heic": b"x"}, refused="holds no pictures .1 .heic."),
    Case("no class is lost in silence", PETS | {"labels.csv": "x"}, TWO, 
         says=("1 .csv", "labels.csv is not read; labels and captions must be in metadata.jsonl")),
    *METADATA,
    *SPLITS,
    *ARCHIVES,
]  # fmt: skip

# ---------------------------------------------------------------- files of samples

SAMPLES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
SAMPLES[0, 0, :2, 0] = 0, 255  # so that every range is filled
CLASSES = np.arange(20) % 10
FLOATS = SAMPLES.astype(np.float32)


def npz(*arrays: np.ndarray, **named: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, *arrays, **named)
    return out.getvalue()


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


OBJECTS = np.array([{"a": 1}] * 20, dtype=object)
FIRST = np.moveaxis(SAMPLES, 3, 1)
# file name, content, whether there are labels, a word of what is assumed
TAKEN: list[tuple[str, bytes, bool, str]] = [
    ("openai.npz", npz(SAMPLES, CLASSES), True, ""),
    ("unlabelled.npz", npz(SAMPLES), False, ""),
    ("named.npz", npz(labels=CLASSES.astype(np.int32), images=SAMPLES), True, ""),
    ("statistics.npz", npz(SAMPLES, mu=np.zeros(20), sigma=np.eye(20)), False, ""),
    ("plain.npy", npy(SAMPLES), False, ""),
    ("no_ending", npz(SAMPLES, CLASSES), True, ""),
    ("grey.npy", npy(SAMPLES[..., 0]), False, ""),
    ("first.npz", npz(FIRST, CLASSES[:, None]), True, "channels read from axis 1"),
    ("fortran.npy", npy(np.asfortranarray(SAMPLES)), False, ""),
    ("rgb.npy", npy(np.repeat(SAMPLES, 3, 3)), False, ""),
    ("unit.npy", npy(FLOATS / 255), False, "read as [0, 1]"),
    ("signed.npy", npy((FLOATS / 127.5 - 1).astype(np.float64)), False, "read as [-1, 1]"),
    ("levels.npy", npy(FLOATS), False, "read as 0 to 255"),
    ("wide.npy", npy(SAMPLES.astype(np.int64)), False, "read as 0 to 255"),
    ("float_labels.npz", npz(SAMPLES, CLASSES.astype(np.float32)), True, ""),
    ("words.npz", npz(SAMPLES, CLASSES.astype(str)), True, ""),
]
REFUSED: list[tuple[str, bytes, str]] = [
    ("objects.npy", npy(OBJECTS), "never unpickled"),
    ("object_labels.npz", npz(SAMPLES, OBJECTS), "never unpickled"),
    ("beyond.npy", npy(FLOATS / 100 - 1), "not a known range"),
    ("nan.npy", npy(FLOATS * np.nan), "not finite"),
    ("sixteen.npy", npy(SAMPLES.astype(np.uint16) * 257), "not a known range"),
    ("cut.npz", npz(SAMPLES, CLASSES)[:700], "no complete .npy or .npz"),
    ("text.npz", b"hello", "no complete .npy or .npz"),
    ("empty.npy", npy(SAMPLES[:0]), "holds no images"),
    ("nothing.npz", npz(), "holds no images"),
    ("few_labels.npz", npz(SAMPLES, CLASSES[:7]), "20 images and 7"),
    ("one_hot.npz", npz(SAMPLES, np.eye(10)[CLASSES]), "give one whole number per image"),
    ("class_10.npz", npz(SAMPLES, CLASSES + 1), "has the label 10; digits has the classes 0 to 9"),
    ("larger.npy", npy(SAMPLES.repeat(2, 1).repeat(2, 2)), "16×16, the data 8×8"),
    ("latents.npy", npy(np.zeros((20, 5, 8, 8), np.uint8)), "neither axis 1 nor 3"),
    ("film.npy", npy(np.zeros((20, 2, 8, 8, 3), np.uint8)), "images of shape"),
]
