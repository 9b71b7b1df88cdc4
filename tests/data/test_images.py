"""Batches: shapes, types and values of every source, the seeded choice, and one clear line for each bad argument."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from lswag_fast import data, score
from lswag_fast.data import sources
from lswag_fast.errors import DataError, InputError
from lswag_fast.spaces import AutoFormer
from support.published import published_file


@pytest.fixture
def shared_images():
    return partial(published_file, "images")


@pytest.fixture
def arrays(tmp_path):
    """An .npz of 20 colour images in three classes, drawn at random."""
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "small.npz", x=x, y=np.arange(20) % 3)
    return tmp_path / "small.npz"


def assert_is_batch(loaded, batch_size, image_size):
    images, labels = loaded.batch
    assert images.shape == (batch_size, 3, image_size, image_size)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.shape == (batch_size,)
    assert 0 <= labels.min() <= labels.max() < loaded.num_classes
    assert images.is_contiguous()
    assert torch.isfinite(images).all()


def assert_is_standardised(images):
    std, mean = torch.std_mean(images.double(), dim=(0, 2, 3), correction=0)
    # Float32 rounding of single pixels, averaged over thousands of them.
    torch.testing.assert_close(mean, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(std, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_the_packaged_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    theirs, ours = datasets.load_digits(), sources.digits()
    assert ours.labels.tolist() == theirs.target.tolist()
    pixels = np.stack([ours.read(i).numpy()[0] for i in range(len(ours.labels))])
    assert np.array_equal(pixels, theirs.images.astype(np.float32) / np.float32(16))


def test_digits_are_the_default():
    loaded = data.load(batch_size=40, image_size=32)
    assert_is_batch(loaded, 40, 32)
    assert_is_standardised(loaded.images)
    assert loaded.num_classes == 10
    assert loaded.description == "digits (UCI, 8 x 8), 40 of 1797 images, seed 0"
    assert torch.equal(loaded.images[:, 0], loaded.images[:, 2])


def test_a_batch_feeds_a_space():
    space = AutoFormer(embed_dim=16, depth=1, num_heads=1, mlp_ratio=2, image_size=16, patch_size=4, num_classes=10)
    loaded = data.load("digits", batch_size=4, image_size=space.image_size, num_classes=space.num_classes)
    assert space.build(space.sample(random.Random(0)))(loaded.images).shape == (4, 10)


@pytest.mark.parametrize("source", ["digits", "synthetic"])
def test_the_seed_decides_alone(source):
    first = data.load(source, batch_size=16, image_size=8, seed=1)
    torch.manual_seed(99)
    again = data.load(source, batch_size=16, image_size=8, seed=1)
    other = data.load(source, batch_size=16, image_size=8, seed=2)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)


def test_choice_is_without_replacement(arrays):
    everything = data.load(arrays, batch_size=20, image_size=8).images
    assert len({image.numpy().tobytes() for image in everything}) == 20


def test_pixels_and_labels_stay_together(tmp_path):
    labels = np.arange(50) % 7
    np.savez(tmp_path / "flat.npz", x=np.repeat(labels, 16).reshape(50, 4, 4).astype(np.float32), y=labels)
    loaded = data.load(tmp_path / "flat.npz", batch_size=30, image_size=6)
    centres = loaded.images[:, 0, 3, 3]
    slope, offset = np.polyfit(loaded.labels, centres, 1)
    np.testing.assert_allclose(centres, slope * loaded.labels.numpy() + offset, atol=1e-5)  # float32 pixels
    assert slope > 0.1


def test_same_size_keeps_the_pixels(arrays):
    loaded = data.load(arrays, batch_size=20, image_size=8, normalize="imagenet")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    pixels = ((loaded.images * std + mean) * 255).round().to(torch.uint8)
    source = {image.tobytes() for image in np.load(arrays)["x"]}
    assert {image.numpy().tobytes() for image in pixels} == source


def test_resize_averages_the_central_square(tmp_path):
    x = np.full((1, 4, 12), 77, dtype=np.uint8)  # what lies left and right of the central square must not be seen
    x[:, :, 4:8] = [0, 0, 0, 240]
    np.savez(tmp_path / "wide.npz", x=x, y=[0])
    images = data.load(tmp_path / "wide.npz", batch_size=1, image_size=1, normalize="imagenet").images
    # Antialiased from 4 to 1 pixel, a triangle of half-width 4 weighs distances 1.5, 0.5, 0.5, 1.5 by 5 : 7 : 7 : 5.
    expected = (240 / 255 * 5 / 24 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(images.flatten(), expected)


def test_channel_without_variation_becomes_zero(tmp_path):
    x = np.random.default_rng(0).random((6, 3, 30, 30), dtype=np.float32)
    x[:, 1] = 0.3
    np.savez(tmp_path / "flat.npz", x=x, y=np.zeros(6, dtype=int))
    images = data.load(tmp_path / "flat.npz", batch_size=6, image_size=7).images
    assert not images[:, 1].any()
    assert images[:, 0].std() > 0.5


def test_synthetic():
    loaded = data.load("synthetic", batch_size=64, image_size=16, num_classes=4)
    assert_is_batch(loaded, 64, 16)
    assert loaded.num_classes == 4
    assert set(loaded.labels.tolist()) == {0, 1, 2, 3}
    assert abs(loaded.images.std() - 1) < 0.02
    assert data.load("synthetic", batch_size=1, image_size=1).num_classes == 10


def test_a_folder_of_parts_says_how_to_take_one(tmp_path):
    for name in ("val/cat", "train/cat", "train/dog"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"no image in its 2 sub-folders .*; to take a part of it, say split='train'"):
        data.load(tmp_path, batch_size=2, image_size=8)
    with pytest.raises(DataError, match=r"no image in its 2 sub-folders \([^;]*$"):
        data.load(tmp_path, batch_size=2, image_size=8, split="train")


def test_folder_with_splits(tmp_path):
    for split, shade in (("train", 10), ("val", 200)):
        for label in ("cat", "dog"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for i in range(3):
                Image.new("L", (20, 10), shade + i).save(folder / f"{i}.png")
    loaded = data.load(tmp_path, batch_size=6, image_size=8, split="val", normalize="imagenet")
    assert_is_batch(loaded, 6, 8)
    assert sorted(loaded.labels.tolist()) == [0, 0, 0, 1, 1, 1]
    assert loaded.images.min() > 1.0  # bright images only
    with pytest.raises(DataError, match="no sub-folder 'test'"):
        data.load(tmp_path, batch_size=2, image_size=8, split="test")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"batch_size": 0}, InputError, "batch_size: found 0"),
        ({"batch_size": 2.5}, InputError, "batch_size: found 2.5"),
        ({"image_size": -1}, InputError, "image_size: found -1"),
        ({"num_classes": 0}, InputError, "num_classes: found 0"),
        ({"normalize": "yes"}, InputError, "normalize: found 'yes'"),
        ({"split": "train"}, InputError, "split: found 'train', but digits has no splits"),
        ({"source": "synthetic", "split": "train"}, InputError, "synthetic has no splits"),
        ({"batch_size": 1798}, DataError, "found 1797 images, too few for batch_size 1798"),
        ({"num_classes": 5}, DataError, r"8\) has 10 classes, .* only 5 apart; build them with num_classes=10"),
        ({"source": "nowhere"}, DataError, "data nowhere: no such file or folder; built in are 'digits'"),
        ({"source": __file__}, DataError, "expected a folder or an .npz file"),
    ],
)
def test_bad_arguments(change, error, words):
    with pytest.raises(error, match=words) as caught:
        data.load(**({"source": "digits", "batch_size": 4, "image_size": 8} | change))
    assert "\n" not in str(caught.value)


def test_float_pixels_have_no_imagenet_range(tmp_path):
    np.savez(tmp_path / "f.npz", x=np.random.default_rng(0).random((4, 3, 8, 8)), y=np.arange(4))
    with pytest.raises(DataError, match="float pixels of unknown range"):
        data.load(tmp_path / "f.npz", batch_size=2, image_size=8, normalize="imagenet")


def test_pixels_that_are_not_finite(tmp_path):
    x = np.zeros((3, 8, 8), dtype=np.float32)
    x[1, 0, 0] = np.nan
    np.savez(tmp_path / "nan.npz", x=x, y=np.arange(3))
    with pytest.raises(DataError, match="image 1 holds NaN or infinite pixels"):
        data.load(tmp_path / "nan.npz", batch_size=3, image_size=8)


@pytest.mark.parametrize(
    ("name", "split", "n_images", "num_classes"),
    [
        ("cifar10_subset.npz", None, 8000, 10),
        ("cifar10_subset.npz", "test", 2000, 10),
        ("mnist_test10k.npz", None, 10000, 10),
        ("imagenet_samples_224_jpeg.npz", None, 1000, 1000),
    ],
)
def test_shared_images(shared_images, name, split, n_images, num_classes):
    loaded = data.load(shared_images(name), batch_size=16, image_size=32, split=split)
    assert_is_batch(loaded, 16, 32)
    assert_is_standardised(loaded.images)
    assert loaded.num_classes == num_classes
    assert f"16 of {n_images} images" in loaded.description


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_noise_and_grey_have_as_many_channels_as_are_asked_for(channels):
    noise, grey = (
        data.load(source, batch_size=4, image_size=8, channels=channels).images for source in ("synthetic", "digits")
    )
    assert noise.shape == grey.shape == (4, channels, 8, 8)
    assert torch.equal(grey, grey[:, :1].expand_as(grey))
    assert torch.equal(grey[:, :1], data.load("digits", batch_size=4, image_size=8).images[:, :1])


def test_colours_become_grey_and_other_channels_are_refused(arrays, tmp_path):
    colours = data.load(arrays, batch_size=20, image_size=8).images
    grey = data.load(arrays, batch_size=20, image_size=8, channels=1).images
    assert grey.shape == (20, 1, 8, 8)
    luma = 0.299 * colours[:, 0] + 0.587 * colours[:, 1] + 0.114 * colours[:, 2]  # up to each channel's own scale
    assert torch.corrcoef(torch.stack([grey.flatten(), luma.flatten()]))[0, 1] > 0.99
    np.savez(tmp_path / "five.npz", x=np.random.default_rng(0).random((4, 5, 8, 8)), y=np.arange(4))
    with pytest.raises(DataError, match=r"five\.npz \(x\): has 5 channels, the networks take 3"):
        data.load(tmp_path / "five.npz", batch_size=4, image_size=8, channels=3)


def test_targets_of_tasks_are_made_of_the_images(arrays):
    plain = data.load(arrays, batch_size=6, image_size=12)
    own = data.load(arrays, batch_size=6, image_size=12, task="autoencoder")
    assert torch.equal(own.images, plain.images)
    assert own.labels.shape == own.images.shape and own.labels.abs().max() == 1
    assert own.description == f"{plain.description}; targets: the images"
    dense = data.load("synthetic", batch_size=6, image_size=12, task="segmentation", output_shape=(17, 12, 12))
    assert dense.labels.shape == (6, 12, 12) and "targets: drawn at random" in dense.description
    puzzle = data.load(arrays, batch_size=6, image_size=24, task="jigsaw")
    assert puzzle.images.shape == (6, 3, 24, 24) and puzzle.labels.max() > 20
    assert_is_standardised(puzzle.images)
    # More classes than outputs do not matter to a task that has none of them.
    numbers = data.load(arrays, batch_size=6, image_size=12, num_classes=2, task="room_layout", output_shape=(9,))
    assert numbers.labels.shape == (6, 9)
    for task, shape in (("regression", 9), ("segmentation", (0, 16, 16)), ("regression", (0,)), ("jigsaw", ())):
        with pytest.raises(InputError, match=r"output_shape: found .*, expected positive whole numbers"):
            data.load("digits", batch_size=4, image_size=18, task=task, output_shape=shape)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="output_shape: the task 'regression' needs the shape of what the networks"):
        data.load(arrays, batch_size=6, image_size=12, task="regression")


def test_images_of_another_number_of_channels_keep_it(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "many.npz", x=rng.integers(0, 256, (8, 5, 6, 6), dtype=np.uint8), y=np.arange(8) % 3)
    images, labels = data.load(tmp_path / "many.npz", batch_size=4, image_size=8).batch
    assert images.shape == (4, 5, 8, 8)
    model = torch.nn.Sequential(torch.nn.Conv2d(5, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    assert score(model, (images, labels), pattern_samples=4).error is None
    with pytest.raises(DataError, match="has 5 channels, and the constants of ImageNet are those of three"):
        data.load(tmp_path / "many.npz", batch_size=4, image_size=8, normalize="imagenet")


@pytest.mark.parametrize("source", ["digits", "synthetic"])
@pytest.mark.parametrize(
    "options",
    [
        {"channels": 1},
        {"normalize": "imagenet"},
        {"task": "jigsaw"},
        {"task": "regression", "output_shape": (9,)},
        {"task": "segmentation", "output_shape": (5, 48, 48)},
        {"task": "surface_normals", "output_shape": (3, 48, 48)},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_default_device_that_is_not_the_cpu_changes_nothing(source: str, options: dict[str, object]) -> None:
    arguments = {"batch_size": 4, "image_size": 48, **options}
    if source == "synthetic":
        arguments.pop("normalize", None)
    images, targets = data.load(source, **arguments).batch
    with torch.device("meta"):
        found = data.load(source, **arguments).batch
    assert torch.equal(found[0], images)
    assert torch.equal(found[1], targets)
