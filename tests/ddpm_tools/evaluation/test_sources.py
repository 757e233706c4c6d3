import pytest
import torch
from PIL import Image

from ddpm_core.data import digits
from ddpm_tools.evaluation.sources import folder_source


def write(folder, images, names):
    for image, name in zip(images, names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)


def test_class_folders_give_labels_by_name_and_other_folders_none(tmp_path):
    data = digits("heldout")
    write(tmp_path / "a", data.images[:6], [f"{y}/{i}.png" for i, y in enumerate(data.labels[:6].tolist())])
    source = folder_source(tmp_path / "a", data)
    order = data.labels[:6].argsort(stable=True)
    assert torch.equal(source.labels, data.labels[order])
    assert torch.equal(torch.cat(list(source.chunks())), data.images[order]) and source.n == 6
    assert torch.equal(torch.cat(list(source.chunks())), data.images[order])  # a second time, from the start
    write(tmp_path / "b", data.images[:3], ["x.png", "y.png", "z.png"])
    assert folder_source(tmp_path / "b", data).labels is None


def test_colour_pictures_become_the_datas_channels_and_sizes_are_never_changed_silently(tmp_path):
    data = digits("heldout")
    Image.new("RGB", (8, 8), (60, 60, 60)).save(tmp_path / "a.png")
    assert next(folder_source(tmp_path, data).chunks()).shape == (1, 1, 8, 8)
    Image.new("L", (16, 16), 60).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png is 16×16, the data 8×8; .*--resize"):
        list(folder_source(tmp_path, data).chunks())
    assert next(folder_source(tmp_path, data, resize=True).chunks()).shape == (2, 1, 8, 8)


def test_what_cannot_be_judged_is_named(tmp_path):
    data = digits("heldout")
    with pytest.raises(ValueError, match="no folder of pictures at"):
        folder_source(tmp_path / "none", data)
    write(tmp_path / "c", data.images[:2], ["cat/1.png", "dog/1.png"])
    with pytest.raises(ValueError, match="has the classes cat, dog, unknown in digits"):
        folder_source(tmp_path / "c", data)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1 of 1 pictures of d cannot be read .*: a\.png .* nothing is left to judge"):
        folder_source(tmp_path / "d", data)
    write(tmp_path / "d", data.images[:2], ["b.png", "c.png"])
    source = folder_source(tmp_path / "d", data)
    assert source.n == 2 and torch.equal(next(source.chunks()), data.images[:2]) and "a.png" in source.notes[0]
    with pytest.raises(ValueError, match=r"1 of 3 .*: a\.png .* with --strict this is an error"):
        folder_source(tmp_path / "d", data, strict=True)
