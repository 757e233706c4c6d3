"""Folders and zips in every layout, with what people and their packers put into them."""

import json
import os
import re
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_tools.datasets import load_data, reading
from ddpm_tools.datasets.files import open_files, visible
from ddpm_tools.datasets.layouts import from_folders
from ddpm_tools.datasets.pictures import ImageSpec
from ddpm_tools.datasets.splits import held_out

from .conftest import png


def test_class_folders(make, levels):
    data = load_data(
        make({"dog/2.png": 2, "cat/b.PNG": 1, "cat/a.png": 0, "cat/notes.txt": "x", "dog/deep/3.png": 3}), "all"
    )
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 0, 1, 1] and levels(data) == [0, 1, 2, 3]
    assert data.name == "data" and data.images.shape == (4, 3, 4, 4) and not data.captions


def test_folders_named_by_number_are_in_the_numbers_order(make):
    assert load_data(make({f"{i}/x.png": i for i in range(11)}), "all").classes == tuple(map(str, range(11)))


def test_hidden_files_forks_and_folders_around_everything(make, levels):
    files = {"pets/cat/a.png": 1, "pets/.cat/x.png": 9, "pets/cat/.x.png": 9, "pets/dog/é ü.png": 2}
    files |= {"__MACOSX/pets/cat/._a.png": b"fork", "pets/Thumbs.db": b"x"}
    data = load_data(make(files), "all")
    assert data.classes == ("cat", "dog") and levels(data) == [1, 2]


def test_one_class_folder_and_no_folder_at_all(make, levels):
    one = load_data(make({"cat/a.png": 1, "cat/b.png": 2}, "one"), "all")
    assert one.classes == ("cat",)
    bare = load_data(make({"a.png": 1, "b.png": 2}, "bare"), "all")
    assert bare.classes == ("all",) and bare.labels.tolist() == [0, 0] and levels(bare) == [1, 2]


def test_empty_class_folders_do_not_count(tmp_path):
    for name in ("cat", "empty"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data/cat/a.png").write_bytes(png(1))
    assert load_data(str(tmp_path / "data"), "all").classes == ("cat",)


def test_a_train_and_a_test_folder_are_the_split(make, levels):
    path = make({"train/cat/1.png": 1, "train/dog/2.png": 2, "test/dog/3.png": 3})
    assert [levels(load_data(path, s)) for s in ("train", "heldout", "all")] == [[1, 2], [3], [3, 1, 2]]
    assert load_data(path, "heldout").labels.tolist() == [1]


def test_styleGAN_layout(make, levels):
    meta = {"labels": [["00/b.png", 1], ["00/a.png", 0]], "classes": ["x", "y"], "captions": [["00/a.png", "an a"]]}
    data = load_data(make({"00/a.png": 1, "00/b.png": 2, "dataset.json": json.dumps(meta)}), "all")
    assert levels(data) == [2, 1] and data.labels.tolist() == [1, 0] and data.classes == ("x", "y")
    assert data.captions == ("", "an a")


def test_styleGAN_layout_without_names_or_labels(make):
    files = {"a.png": 1, "b.png": 2}
    data = load_data(make(files | {"dataset.json": '{"labels": [["a.png", 2], ["b.png", 0]]}'}, "named"), "all")
    assert data.classes == ("0", "1", "2") and data.labels.tolist() == [2, 0]
    captions = [["a.png", "one"], ["b.png", "two"]]
    data = load_data(make(files | {"dataset.json": json.dumps({"labels": None, "captions": captions})}, "null"), "all")
    assert data.classes == ("all",) and data.labels.tolist() == [0, 0] and data.captions == ("one", "two")
    data = load_data(make(files | {"dataset.json": '{"labels": null}'}, "bare"), "all")
    assert data.classes == ("all",) and len(data) == 2 and not data.captions


def test_captions_as_hugging_face_has_them(make, levels):
    rows = [{"file_name": "b.png", "text": "a bird", "label": "bird"}]
    rows += [{"file_name": "x/a.png", "text": "ein Äffchen", "label": "ape"}]
    text = "\ufeff" + "\n\n".join(json.dumps(r) for r in rows) + "\n"  # with a byte-order mark and an empty line
    data = load_data(make({"b.png": 2, "x/a.png": 1, "metadata.jsonl": text}), "all")
    assert data.captions == ("a bird", "ein Äffchen") and data.classes == ("ape", "bird")
    assert data.labels.tolist() == [1, 0] and levels(data) == [2, 1]


def test_every_bad_picture_is_named_and_left_out(make, levels, caplog):
    files = {f"cat/{i:02}.png": i for i in range(20)} | {"cat/03.png": b"broken", "cat/17.png": png(1)[:50]}
    path = make(files)
    data = load_data(path, "all")
    assert levels(data) == [i for i in range(20) if i not in (3, 17)] and data.left_out == ("cat/03.png", "cat/17.png")
    says = (
        r"^2 of 20 pictures of data.* cannot be read and are left out: cat/03.png \(it is not .*\), cat/17.png \(.*\)$"
    )
    assert [r.levelname for r in caplog.records if re.search(says, r.getMessage())] == ["WARNING"]
    with pytest.raises(ValueError, match=says[:-1] + "; with --strict this is an error: replace or remove them$"):
        load_data(path, "all", strict=True)
    with pytest.raises(ValueError, match=r"2 of 2 .*: a.png \(it is empty\), b.png \(it is not .*\); nothing is left"):
        load_data(make({"a.png": b"", "b.png": b"<html>"}, "all_bad"), "all")
    many = {f"{i:02}.png": b"x" for i in range(15)}
    with pytest.raises(ValueError, match=r"15 of 15 .*: 00.png .*, 09.png .* and 5 more; "):
        load_data(make(many, "many"))


def test_a_bad_picture_moves_no_other_between_the_parts(make, levels):
    files = {f"cat/{i:02}.png": i for i in range(30)}
    whole = {split: levels(load_data(make(files), split)) for split in ("train", "heldout")}
    bad = {whole["train"][3], whole["heldout"][1]}
    files |= {f"cat/{i:02}.png": b"bad" for i in bad}
    for split, before in whole.items():
        assert levels(load_data(make(files, "bad"), split)) == [i for i in before if i not in bad]


def test_pictures_of_other_sizes_are_named_and_can_be_resized(make):
    path = make({"a.png": 1, "b.png": png(2, (5, 3)), "c.png": 3, "d.png": b"broken"}, "both")
    says = r"1 of 4 .* are not 4×4 like the first: b.png \(5×3\); make them"
    with pytest.raises(ValueError, match=says):
        load_data(path, "all")
    path = make({"a.png": 1, "b.png": png(2, (5, 3)), "c.png": 3})
    assert load_data(path, "all", size=2).images.shape == (3, 3, 2, 2)


def test_grey_only_where_all_are(make, levels):
    grey, colour = png(7, mode="L"), png(9)
    assert load_data(make({"a.png": grey, "b.png": grey}, "grey"), "all").images.shape == (2, 1, 4, 4)
    path = make({"a.png": grey, "b.png": colour}, "mixed")
    mixed = load_data(path, "all")
    assert mixed.images.shape == (2, 3, 4, 4) and levels(mixed) == [7, 9]
    assert load_data(path, "all", channels=1).images.shape == (2, 1, 4, 4)


UNUSABLE = [
    ({"dataset.json": '{"no": 1}', "a.png": 1}, "dataset.json cannot be used: it has neither `labels` nor `captions`"),
    ({"dataset.json": "{", "a.png": 1}, "dataset.json cannot be used"),
    ({"dataset.json": "[1]", "a.png": 1}, "dataset.json cannot be used"),
    ({"dataset.json": '{"labels": ["a.png"]}', "a.png": 1}, "dataset.json cannot be used"),
    ({"dataset.json": '{"labels": [["a.png", -1]]}', "a.png": 1}, "whole numbers, 0 or more, not -1 of 'a.png'"),
    ({"dataset.json": '{"labels": [["a.png", 0.5]]}', "a.png": 1}, "whole numbers, 0 or more, not 0.5 of 'a.png'"),
    ({"dataset.json": '{"labels": [["a.png", true]]}', "a.png": 1}, "whole numbers, 0 or more, not True of 'a.png'"),
    ({"dataset.json": '{"labels": [["a.png", 1]], "classes": ["x"]}', "a.png": 1}, "label 1 has no name among the 1"),
    (
        {"dataset.json": '{"labels": [["no.png", 0]]}', "a.png": 1},
        "1 of 1 .* cannot be read .*: no.png .the file does not",
    ),
    ({"metadata.jsonl": '{"text": "x"}', "a.png": 1}, "metadata.jsonl cannot be used: it needs one column `file_name`"),
    ({"metadata.jsonl": '{"file_name": 3}', "a.png": 1}, "a file name must be text, got 3"),
    ({"readme.txt": "x"}, "holds no pictures"),
    ({"cat/a.png": 1, "b.png": 2, "c.png": 3}, "2 pictures lie outside the class folders, such as b.png; move them"),
]


@pytest.mark.parametrize("files,says", UNUSABLE)
def test_what_cannot_be_used_is_one_sentence(make, files, says):
    with pytest.raises(ValueError, match=says) as e:
        load_data(make(files), "all")
    assert "\n" not in str(e.value)


def test_neither_folder_nor_zip(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="neither a folder nor a readable zip"):
        load_data(str(tmp_path / "x.tar"))
    with pytest.raises(ValueError, match="'mnist'; known: digits, digits28, fashion-mnist, cifar10, emoji, or"):
        load_data("mnist")
    with pytest.raises(ValueError, match="unknown split 'test'; known: train, heldout, all"):
        load_data("digits", "test")


def test_names_that_climb_out_reach_nothing(tmp_path, levels):
    """A zip is never extracted, and a folder's dataset.json cannot point outside of it."""
    (tmp_path / "secret.png").write_bytes(png(99))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as z:
        for name in ("../secret.png", "/etc/a.png", "cat/../../b.png", "C:/c.png", "cat/a.png", "cat\\b.png"):
            z.writestr(name, png(1))
    data = load_data(str(tmp_path / "x.zip"), "all")
    assert data.classes == ("cat",) and len(data) == 2
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.png").write_bytes(png(1))
    for outside in ("../secret.png", str(tmp_path / "secret.png")):
        (tmp_path / "folder/dataset.json").write_text(json.dumps({"labels": [["a.png", 0], [outside, 0]]}))
        data = load_data(str(tmp_path / "folder"), "all")
        assert levels(data) == [1] and len(data.left_out) == 1 and data.left_out[0].endswith("secret.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "secret.png", "x.zip"]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="a./\\:_", min_size=1, max_size=12))
def test_no_visible_name_leaves_its_folder(name):
    name = name.replace("\\", "/")
    if visible(name):
        assert os.path.normpath(os.path.join("/base", name)).startswith("/base/")


def test_utf8_names_that_are_not_marked(tmp_path):
    """macOS packs UTF-8 names without the flag that says so."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("käfer/a.png", png(1))
    raw = path.read_bytes()
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of the local and of the central header
        i = raw.index(header) + at
        raw = raw[:i] + b"\x00\x00" + raw[i + 2 :]
    path.write_bytes(raw)
    assert zipfile.ZipFile(path).namelist() != ["käfer/a.png"]
    assert load_data(str(path), "all").classes == ("käfer",)


def test_a_link_back_ends(tmp_path):
    (tmp_path / "d/cat").mkdir(parents=True)
    (tmp_path / "d/cat/a.png").write_bytes(png(1))
    (tmp_path / "d/cat/up").symlink_to(tmp_path / "d")
    (tmp_path / "far").mkdir()
    (tmp_path / "far/b.png").write_bytes(png(2))
    (tmp_path / "d/dog").symlink_to(tmp_path / "far")
    data = load_data(str(tmp_path / "d"), "all")
    assert data.classes == ("cat", "dog") and len(data) == 2


def test_a_zip_bomb_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ddpm_tools.datasets.files.LARGEST", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.png", png(1))
        z.writestr("b.png", bytes(10_000))
    with pytest.raises(ValueError, match=r"1 of 2 .* cannot be read .*: b.png .larger than 1000 bytes"):
        load_data(str(tmp_path / "x.zip"), "all", strict=True)
    assert load_data(str(tmp_path / "x.zip"), "all").left_out == ("b.png",)


def test_more_than_memory_is_refused_before(make, monkeypatch):
    monkeypatch.setattr(reading.psutil, "virtual_memory", lambda: type("M", (), {"available": 100})())
    with pytest.raises(ValueError, match=r"the 3 pictures of data.* need .* GB at 4×4"):
        load_data(make({f"{i}.png": i for i in range(3)}), "all")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.randoms())
def test_a_tenth_of_each_class_is_held_out_whatever_the_order(labels, random):
    names = [f"{i}.png" for i in range(len(labels))]
    chosen = held_out(names, labels)
    for k in set(labels):
        n = labels.count(k)
        assert sum(c for c, y in zip(chosen, labels) if y == k) == (n + 5) // 10
    order = list(range(len(labels)))
    random.shuffle(order)
    again = held_out([names[i] for i in order], [labels[i] for i in order])
    assert [chosen[i] for i in order] == again


def test_train_and_heldout_are_disjoint_and_all_is_both(make, levels):
    path = make({f"{c}/{i}.png": 60 * k + i for k, c in enumerate("ab") for i in range(20)})
    train, heldout, everything = (levels(load_data(path, s)) for s in ("train", "heldout", "all"))
    assert len(heldout) == 4 and sorted(train + heldout) == sorted(everything) and not set(train) & set(heldout)
    with pytest.raises(ValueError, match="too few pictures for a held-out part"):
        load_data(make({"a/1.png": 1}, "few"), "heldout")


def test_a_folder_of_one_class_is_the_same_whatever_lies_around_it():
    assert from_folders(["cat/a.png"]).classes == ("cat",)


def large(monkeypatch):
    monkeypatch.setattr(reading, "LARGE", 5)


def decoded(monkeypatch):
    """Counts the pictures that are decoded."""
    calls, real = [], reading.decode
    monkeypatch.setattr(reading, "decode", lambda *a: calls.append(1) or real(*a))
    return calls


def test_large_sets_are_decoded_once(make, levels, monkeypatch, tmp_path):
    large(monkeypatch)
    calls = decoded(monkeypatch)
    path = make({f"c/{i}.png": i for i in range(200)})
    first = load_data(path, "all", tmp_path / "root")
    assert len(calls) >= 200 and levels(first) == [int(n) for n in sorted(map(str, range(200)))]
    calls.clear()
    second = load_data(path, "all", tmp_path / "root")
    assert torch.equal(first.images, second.images) and not calls
    assert len(load_data(path, "train", tmp_path / "root")) == 180 and not calls
    load_data(path, "all", tmp_path / "root", size=2)  # other pixels, another copy
    assert len(calls) >= 200
    assert len(list((tmp_path / "root/cache").iterdir())) == 2


def test_a_kept_copy_leaves_out_the_same_and_says_so(make, levels, monkeypatch, tmp_path, caplog):
    large(monkeypatch)
    path = make({f"c/{i}.png": i for i in range(8)} | {"c/5.png": b"bad"})
    for _ in range(2):
        caplog.clear()
        data = load_data(path, "all", tmp_path / "root")
        assert levels(data) == [0, 1, 2, 3, 4, 6, 7] and data.left_out == ("c/5.png",)
        assert [r for r in caplog.records if "c/5.png" in r.getMessage()]
    (kept,) = (tmp_path / "root/cache").glob("*.json")
    for damage in ("{}", "[", '{"x": 1}', "[1]"):
        kept.write_text(damage)
        assert load_data(path, "all", tmp_path / "root").left_out == ("c/5.png",)


def test_a_disk_that_fails_leaves_nothing_out(tmp_path, monkeypatch):
    """What is left out must be the same the next time, and a failing disk is not."""
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(ValueError, match=r"0.png could not be read \(Input/output error\); try again when the disk"):
        load_data(str(tmp_path), "all")


def test_a_changed_picture_is_decoded_again(make, levels, monkeypatch, tmp_path):
    large(monkeypatch)
    files = {f"c/{i}.png": i for i in range(6)}
    path = make(files)
    load_data(path, "all", tmp_path / "root")
    changed = levels(load_data(make(files | {"c/3.png": 77}), "all", tmp_path / "root"))
    assert changed == [0, 1, 2, 77, 4, 5]


def test_a_damaged_copy_is_made_again(make, levels, monkeypatch, tmp_path):
    large(monkeypatch)
    path = make({f"c/{i}.png": i for i in range(6)})
    load_data(path, "all", tmp_path / "root")
    (kept,) = (tmp_path / "root/cache").iterdir()
    for damage in (b"", b"rubbish", kept.read_bytes()[:-20], kept.read_bytes()[:40]):
        kept.write_bytes(damage)
        assert levels(load_data(path, "all", tmp_path / "root")) == list(range(6))
    np.save(kept, np.zeros((6, 2), np.float32))
    assert levels(load_data(path, "all", tmp_path / "root")) == list(range(6))


def test_a_full_disk_does_not_stop_the_load(make, levels, monkeypatch, tmp_path):
    large(monkeypatch)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading.np, "save", full)
    path = make({f"c/{i}.png": i for i in range(6)})
    assert levels(load_data(path, "all", tmp_path / "root")) == list(range(6))
    assert not list((tmp_path / "root/cache").iterdir())


def test_threads_put_every_picture_in_its_place(make, levels, tmp_path):
    n = 500
    path = make({f"c/{i:03}.png": i % 251 for i in range(n)})
    with open_files(path) as files:
        out = reading.read_pictures(files, [f"c/{i:03}.png" for i in range(n)], ImageSpec()).images
    assert out[:, 0, 0, 0].tolist() == [i % 251 for i in range(n)]
