"""Splits: no image in two parts, the share of each class, the scale of the training part, and what cannot be split."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
import torch

from lswag_fast.data import splits
from lswag_fast.data.splits import split_as_before, split_images
from lswag_fast.errors import DataError, InputError

N_CLASSES = 3


def images(n, seed=0, channels=3, side=6):
    return np.random.default_rng(seed).integers(0, 256, (n, channels, side, side), dtype=np.uint8)


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "images.npz", **arrays)
    return tmp_path / "images.npz"


def contents(split):
    """The images of a part, as sets of their bytes."""
    return {split[i][0].numpy().tobytes() for i in range(len(split))}


def assert_no_leak(found):
    parts = found.train, found.validation, found.test
    for one, other in combinations(parts, 2):
        assert not set(one.rows) & set(other.rows)
        assert not contents(one) & contents(other)


def test_no_digit_is_in_two_parts_and_each_is_in_one():
    found = split_images("digits", image_size=8, channels=1)
    assert_no_leak(found)
    rows = [*found.train.rows, *found.validation.rows, *found.test.rows]
    assert sorted(rows) == [("train", i) for i in range(1797)]


def test_copies_stay_together(tmp_path):
    once = images(30)
    x, y = np.concatenate([once, once[:12], once[:12]]), np.tile(np.arange(N_CLASSES), 18)
    for seed in range(5):  # were each copy drawn by itself, some would part
        found = split_images(saved(tmp_path, x=x, y=y), image_size=6, validation=0.3, test=0.3, seed=seed)
        assert_no_leak(found)
        assert found.to_dict()["repeated"] == 24
        assert len(found.train) + len(found.validation) + len(found.test) == 54


def test_copies_with_other_labels_stay_together_too(tmp_path):
    once = images(30)
    x, y = np.concatenate([once, once[:12]]), np.concatenate([np.arange(30) % N_CLASSES, np.arange(1, 13) % N_CLASSES])
    assert_no_leak(split_images(saved(tmp_path, x=x, y=y), image_size=6, validation=0.3, test=0.3))


def test_the_test_of_the_source_is_kept_whole_and_its_copies_are_not_trained_on(tmp_path):
    x, x_test = images(30), images(6, seed=1)
    x[:4], y = x_test[:4], np.arange(30) % N_CLASSES
    found = split_images(saved(tmp_path, x_train=x, y_train=y, x_test=x_test, y_test=np.arange(6) % 3), image_size=6)
    assert_no_leak(found)
    assert sorted(found.test.rows) == [("test", i) for i in range(6)]
    assert found.to_dict()["left_out"] == 4
    assert found.to_dict()["shares"] == {"validation": 0.1, "test": None}
    assert len(found.train) + len(found.validation) == 26


@pytest.mark.parametrize("layout", [(40, 8, 8), (40, 1, 8, 8), (40, 8, 8, 1)])
@pytest.mark.parametrize("channels", [3, 4])
def test_copies_of_grey_images_are_found_among_those_with_all_channels(tmp_path, layout, channels):
    grey, coloured = images(40, channels=1, side=8), images(6, seed=1, channels=channels, side=8)
    grey_again = grey[:6].repeat(channels, axis=1)
    arrays = {"x_train": grey.reshape(layout), "x_test": np.concatenate([grey_again, coloured])}
    labels = {"y_train": np.arange(40) % N_CLASSES, "y_test": np.arange(12) % N_CLASSES}
    found = split_images(saved(tmp_path, **arrays, **labels), image_size=8, channels=channels)
    assert_no_leak(found)
    assert (found.to_dict()["repeated"], found.to_dict()["left_out"], len(found.test)) == (6, 6, 12)
    swapped = {"x_train": arrays["x_test"], "x_test": arrays["x_train"][:6]}
    labels = {"y_train": labels["y_test"], "y_test": labels["y_train"][:6]}
    found = split_images(saved(tmp_path, **swapped, **labels), image_size=8, channels=channels, validation=0.4)
    assert_no_leak(found)
    assert found.to_dict()["left_out"] == 6


def test_the_checksum_of_images_of_one_kind_stays_what_it_was(tmp_path):
    assert split_images("digits", image_size=8).to_dict()["checksum"] == "6c6c406942578a4d"
    x, y = images(12, channels=1).repeat(3, axis=1), np.arange(12) % N_CLASSES  # grey, and none with a single channel
    expected = hashlib.sha256()
    for image, label in zip((x / np.float32(255)).astype(np.float32), y, strict=True):
        expected.update(hashlib.blake2b(b"(3, 6, 6)" + image.tobytes(), digest_size=16).digest() + str(label).encode())
    assert split_images(saved(tmp_path, x=x, y=y), image_size=6).to_dict()["checksum"] == expected.hexdigest()[:16]


def test_a_validation_of_the_source_gives_way_to_its_test(tmp_path):
    x, held_out = images(12), images(6, seed=1)
    parts = {"x_val": held_out, "y_val": np.arange(6) % 3, "x_test": held_out[:2], "y_test": np.arange(2) % 3}
    found = split_images(saved(tmp_path, x=x, y=np.arange(12) % 3, **parts), image_size=6)
    assert_no_leak(found)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [12, 4, 2]


def test_each_class_has_its_share(tmp_path):
    y = np.repeat([0, 1, 2], [60, 20, 5])
    found = split_images(saved(tmp_path, x=images(85), y=y), image_size=6, validation=0.2, test=0.1)
    counts = [torch.bincount(part.labels).tolist() for part in (found.train, found.validation, found.test)]
    assert counts == [[42, 14, 3], [12, 4, 1], [6, 2, 1]]  # of 5, half an image becomes one


def test_labels_are_those_of_the_images(tmp_path):
    y = np.arange(30) % N_CLASSES
    x = np.broadcast_to((y * 80 + 5)[:, None, None, None], (30, 3, 6, 6)) + np.arange(30)[:, None, None, None]
    found = split_images(saved(tmp_path, x=x.astype(np.uint8), y=y), image_size=6)
    for part in (found.train, found.validation, found.test):
        for i, (image, label) in enumerate(part):
            grey = float(image[0, 0, 0]) * found.std[0] + found.mean[0]
            assert int(round(grey * 255) - 5) // 80 == label == int(part.labels[i])


def test_the_scale_is_that_of_the_training_part(tmp_path):
    x = images(40, channels=5)
    path = saved(tmp_path, x=x, y=np.arange(40) % 2)
    found = split_images(path, image_size=6, channels=5)
    trained = np.stack([x[i] for _, i in found.train.rows]).astype(np.float64) / 255
    # Pixels are float32, whose rounding is averaged over.
    np.testing.assert_allclose(found.mean, trained.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(found.std, trained.std((0, 2, 3)), rtol=1e-6)
    _, i = found.test.rows[0]
    expected = (x[i] / 255 - trained.mean((0, 2, 3))[:, None, None]) / trained.std((0, 2, 3))[:, None, None]
    np.testing.assert_allclose(found.test[0][0].numpy(), expected, atol=1e-5)


def test_a_channel_without_variation_becomes_zero(tmp_path):
    x = images(20)
    x[:, 1] = 77
    found = split_images(saved(tmp_path, x=x, y=np.arange(20) % 2), image_size=6)
    assert found.std[1] == 1
    pixels, _ = found.train.tensors()
    assert pixels[:, 1].abs().max() < 1e-6  # the mean's rounding


def test_the_seed_decides_alone():
    first, again = (split_images("digits", image_size=size, seed=1) for size in (8, 4))
    assert first.train.rows == again.train.rows
    assert first.to_dict() == again.to_dict()
    other = split_images("digits", image_size=8, seed=2)
    assert set(first.test.rows) != set(other.test.rows)


def test_other_pixels_are_other_data(tmp_path):
    x, y = images(20), np.arange(20) % 2
    first = split_images(saved(tmp_path, x=x, y=y), image_size=6).to_dict()
    x[3, 0, 0, 0] ^= 1
    assert split_images(saved(tmp_path, x=x, y=y), image_size=6).to_dict()["checksum"] != first["checksum"]


def test_images_are_split_as_before_wherever_they_are_now(tmp_path):
    x, y = images(30), np.arange(30) % N_CLASSES
    path = saved(tmp_path, x=x, y=y, x_test=images(6, seed=1), y_test=np.arange(6) % 3)
    before = split_images(path, image_size=6, validation=0.3, seed=7)
    moved = path.rename(tmp_path / "moved.npz")
    again = split_as_before(before.to_dict(), image_size=6, source=moved)
    assert [again.train.rows, again.validation.rows] == [before.train.rows, before.validation.rows]
    np.savez(moved, x=x[::-1], y=y, x_test=images(6, seed=1), y_test=np.arange(6) % 3)
    with pytest.raises(DataError, match=r"not the images of .* that were split before: checksum is"):
        split_as_before(before.to_dict(), image_size=6, source=moved)


def test_images_that_do_not_fit_into_memory_are_read_when_asked_for(monkeypatch):
    kept = split_images("digits", image_size=8)
    monkeypatch.setattr(splits, "MAX_MEMORY_BYTES", 1000)
    read = split_images("digits", image_size=8)
    for ours, theirs in zip(kept.test.tensors(50), read.test.tensors(50), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 20, "has one class, and nothing to tell apart"),
        ([0] * 19 + [1], "class 1 has 1 different image; it needs 3, one for each of the parts"),
        ([0] * 18 + [1] * 2, "class 1 has 2 different images; it needs 3"),
    ],
)
def test_classes_that_cannot_be_split(tmp_path, labels, message):
    with pytest.raises(DataError, match=message):
        split_images(saved(tmp_path, x=images(20), y=np.array(labels)), image_size=6)


def test_copies_do_not_make_a_class_larger(tmp_path):
    x, y = images(20), np.repeat([0, 1], 10)
    x[10:] = x[10]
    with pytest.raises(DataError, match="class 1 has 1 different image;"):
        split_images(saved(tmp_path, x=x, y=y), image_size=6)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"channels": 1}, DataError, "image 0 has 3 channels, the networks take 1"),
        ({"num_classes": 2}, DataError, "has 3 classes, and the networks tell only 2 apart"),
        ({"validation": 0.5, "test": 0.5}, InputError, "leave no images to train on"),
        ({"test": 0}, InputError, "test: found 0, expected a share"),
        ({"image_size": 0}, InputError, "image_size: found 0"),
    ],
)
def test_impossible_arguments(tmp_path, changed, error, message):
    path = saved(tmp_path, x=images(20), y=np.arange(20) % N_CLASSES)
    with pytest.raises(error, match=message):
        split_images(path, **{"image_size": 6, **changed})


@pytest.mark.parametrize("kept", [True, False])
def test_a_default_device_and_dtype_of_another_kind_change_nothing(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "MAX_MEMORY_BYTES", splits.MAX_MEMORY_BYTES if kept else 0)
    expected = split_images("digits", image_size=8).train.tensors(4)
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = split_images("digits", image_size=8).train.tensors(4)
    finally:
        torch.set_default_dtype(dtype)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
