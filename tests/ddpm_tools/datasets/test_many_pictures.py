"""The time to read a data set's index grows with the number of pictures, not with its square."""

import json
import time

import pytest

from ddpm_tools.datasets.layouts import Index, from_dataset_json, from_folders, from_metadata
from ddpm_tools.datasets.metadata import Said


def names(n: int) -> list[str]:
    return [f"{i % 10:03}/img{i:08}.png" for i in range(n)]


def dataset_json(n: int) -> Index:
    return from_dataset_json(json.dumps({"labels": [[p, i % 10] for i, p in enumerate(names(n))]}), names(n))


def metadata(n: int) -> Index:
    return from_metadata({p: Said(str(i % 10), "", "metadata.csv") for i, p in enumerate(names(n))}, names(n))


def splits(n: int) -> Index:
    """Folders such as train_k12 and test_k12, of ten pictures each."""
    classes = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(n // 20)]
    return from_folders([f"{part}_k{c}/{i}.png" for part in ("test", "train") for c in classes for i in range(10)])


def seconds(read, n: int) -> float:
    """Processor seconds, the best of two."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        assert len(read(n).names) == n
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize(
    "read",
    [dataset_json, metadata, lambda n: from_folders(names(n)), splits],
    ids=["json", "rows", "folders", "splits"],
)
def test_ten_times_as_many_pictures_take_about_ten_times_as_long(read):
    assert seconds(read, 10_000) < 40 * seconds(read, 1_000)  # were it the square, 100 times
