"""Parts: which ones a source has of its own, and what does not fit together is named."""

import numpy as np
import pytest
from PIL import Image

from lswag_fast.data.parts import read_parts
from lswag_fast.errors import DataError

PIXELS = np.arange(6 * 3 * 4 * 4, dtype=np.uint8).reshape(6, 3, 4, 4)
LABELS = np.array([0, 0, 0, 1, 1, 1])


def images_in(folder, classes, n=3):
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(np.full((4, 4, 3), 40 * label + i, np.uint8)).save(folder / name / f"{i}.png")


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "images.npz", **arrays)
    return tmp_path / "images.npz"


def test_a_folder_of_classes_has_one_part_even_where_a_class_is_called_train(tmp_path):
    images_in(tmp_path, ["bus", "test", "train"])
    parts = read_parts(tmp_path)
    assert list(parts) == ["train"]
    assert parts["train"].class_names == ("bus", "test", "train")


def test_the_parts_of_a_folder(tmp_path):
    images_in(tmp_path / "train", ["cat", "dog"], 3)
    images_in(tmp_path / "val", ["cat", "dog"], 1)
    images_in(tmp_path / "test", ["cat", "dog"], 2)
    assert {name: len(part.labels) for name, part in read_parts(tmp_path).items()} == {
        "train": 6,
        "validation": 2,
        "test": 4,
    }


def test_the_parts_of_a_file(tmp_path):
    parts = read_parts(saved(tmp_path, x_train=PIXELS, y_train=LABELS, x_test=PIXELS[2:4], y_test=LABELS[2:4]))
    assert {name: part.labels.tolist() for name, part in parts.items()} == {"train": LABELS.tolist(), "test": [0, 1]}


def test_other_classes_in_the_test_are_refused(tmp_path):
    images_in(tmp_path / "train", ["cat", "dog"])
    images_in(tmp_path / "test", ["cat", "fox"])
    with pytest.raises(DataError, match="test: its classes are not those to train on; different: dog, fox"):
        read_parts(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_test": LABELS + 1}, r"x_test\): holds the label 2; those to train on end at 1"),
        ({"x_test": PIXELS / 255}, r"x_test\): pixels are of another type"),
        ({"x_val": PIXELS, "y_val": LABELS, "x_valid": PIXELS}, "has valid and val, which mean the same"),
    ],
)
def test_parts_of_a_file_that_do_not_fit(tmp_path, changed, message):
    given = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS, "y_test": LABELS}
    with pytest.raises(DataError, match=message):
        read_parts(saved(tmp_path, **{**given, **changed}))


def test_a_test_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none to train on; expected x_train or x"):
        read_parts(saved(tmp_path, x_test=PIXELS, y_test=LABELS))


@pytest.mark.parametrize(
    ("source", "message"),
    [("synthetic", "is noise"), ("nowhere", "no such file or folder"), (__file__, r"a folder or an \.npz file")],
)
def test_sources_that_cannot_be_split(source, message):
    with pytest.raises(DataError, match=message):
        read_parts(source)
