"""Sources: each layout gives the same images, and each faulty file is named with its fault."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lswag_fast.data import sources
from lswag_fast.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 7), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])


def saved(path, **arrays):
    np.savez_compressed(path / "images.npz", **arrays)
    return path / "images.npz"


def expected(i):
    return torch.from_numpy(PIXELS[i]).float() / 255


def test_digits():
    pool = sources.digits()
    assert len(pool.labels) == 1797
    images = torch.stack([pool.read(i) for i in range(1797)])
    assert images.shape == (1797, 1, 8, 8)
    assert (images.min(), images.max()) == (0, 1)
    assert sorted(set(pool.labels.tolist())) == list(range(10))


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": PIXELS, "y": LABELS},
        {"x": PIXELS.transpose(0, 2, 3, 1), "y": LABELS[:, None]},
        {"x_train": PIXELS, "y_train": LABELS.astype(np.uint8), "x_test": PIXELS[:1], "y_test": LABELS[:1]},
        {"x": (PIXELS / 255).astype(np.float64), "y": LABELS},
    ],
    ids=["channels first", "channels last", "train before test", "float"],
)
def test_npz_layouts(tmp_path, arrays):
    pool = sources.npz(saved(tmp_path, **arrays), None)
    assert pool.labels.tolist() == LABELS.tolist()
    assert pool.labels.dtype == np.int64
    assert pool.num_classes == 3
    for i in range(5):
        torch.testing.assert_close(pool.read(i), expected(i))


@pytest.mark.parametrize("channels", [2, 4, 7, 12])
@pytest.mark.parametrize("last", [False, True])
def test_npz_of_square_images_with_any_number_of_channels(tmp_path, channels, last):
    pixels = np.random.default_rng(0).random((5, channels, 6, 6), dtype=np.float32)
    np.savez(tmp_path / "data.npz", x=np.moveaxis(pixels, 1, -1) if last else pixels, y=np.eye(3, dtype=int)[LABELS])
    source = sources.npz(tmp_path / "data.npz", None)
    assert torch.equal(source.read(2), torch.from_numpy(pixels[2]))
    assert source.labels.tolist() == LABELS.tolist()  # one-hot rows


def test_npz_grey_and_split(tmp_path):
    path = saved(tmp_path, x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:2, 0], y_test=LABELS[:2])
    pool = sources.npz(path, "test")
    assert len(pool.labels) == 2
    torch.testing.assert_close(pool.read(1), expected(1)[:1])
    assert "x_test" in pool.description


def test_npz_of_jpegs(tmp_path):
    smooth = np.repeat(np.arange(0, 240, 8, dtype=np.uint8), 90).reshape(30, 30, 3)
    files = []
    for image in (smooth, 255 - smooth):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95)
        files.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, files)])
    path = saved(tmp_path, jpeg_bytes=np.frombuffer(b"".join(files), np.uint8), offsets=offsets)
    pool = sources.npz(path, None)
    assert (pool.labels.tolist(), pool.num_classes) == ([0, 1], 2)
    # JPEG at quality 95 loses a few of 256 grey levels on a smooth image.
    torch.testing.assert_close(pool.read(1), torch.from_numpy(255 - smooth).permute(2, 0, 1) / 255, rtol=0, atol=0.03)
    broken = saved(tmp_path, jpeg_bytes=np.frombuffer(b"".join(files), np.uint8), offsets=offsets + 5)
    with pytest.raises(DataError, match="rising offsets into it"):
        sources.npz(broken, None)
    garbage = saved(tmp_path, jpeg_bytes=np.zeros(20, np.uint8), offsets=np.array([0, 10, 20]))
    with pytest.raises(DataError, match=r"images\.npz image 1: not a readable image"):
        sources.npz(garbage, None).read(1)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": PIXELS}, "labels are missing, no array 'y'"),
        ({"images": PIXELS, "y": LABELS}, "found the arrays images, y; expected x and y"),
        ({"x": PIXELS, "y": LABELS[:4]}, "found 5 images in x and 4 labels in y"),
        ({"x": PIXELS[0, 0], "y": LABELS}, r"x has shape \(6, 7\), expected N x C x H x W"),
        ({"x": np.zeros((5, 4, 6, 7), np.uint8), "y": LABELS}, r"x has shape \(5, 4, 6, 7\).*square images of another"),
        ({"x": np.zeros((5, 6, 6, 6), np.uint8), "y": LABELS}, r"x has shape \(5, 6, 6, 6\)"),
        ({"x": np.zeros((5, 3, 0, 6), np.uint8), "y": LABELS}, r"x has shape \(5, 3, 0, 6\)"),
        ({"x": PIXELS.astype(np.int64), "y": LABELS}, "x has type int64, expected uint8 or float"),
        ({"x": PIXELS, "y": LABELS.astype(float)}, "y is float64"),
        ({"x": PIXELS, "y": LABELS - 1}, "y holds the label -1"),
        ({"x": PIXELS, "y": 2 * np.eye(5, dtype=int)}, r"y is int64 of shape \(5, 5\)"),
        ({"jpeg_bytes": np.zeros(4, np.uint8)}, "no array 'offsets'; found jpeg_bytes"),
    ],
)
def test_faulty_npz(tmp_path, arrays, words):
    with pytest.raises(DataError, match=words) as caught:
        sources.npz(saved(tmp_path, **arrays), None)
    assert "images.npz" in str(caught.value)


def test_missing_split(tmp_path):
    with pytest.raises(DataError, match="no array 'x_val'; found x, y"):
        sources.npz(saved(tmp_path, x=PIXELS, y=LABELS), "val")


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("code in a data file was run",))


@pytest.mark.parametrize("name", ["x", "y"])
def test_pickles_are_refused(tmp_path, name):
    arrays = {"x": PIXELS, "y": LABELS} | {name: np.array([Malicious()] * 5, dtype=object)}
    with pytest.raises(DataError, match="holds pickled objects, which are never loaded"):
        sources.npz(saved(tmp_path, **arrays), None)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "npy"])
def test_damaged_npz(tmp_path, damage):
    path = saved(tmp_path, x=PIXELS, y=LABELS)
    whole = path.read_bytes()
    if damage == "npy":
        with path.open("wb") as file:
            np.save(file, PIXELS)
    else:
        path.write_bytes({"empty": b"", "text": b"x, y", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(DataError, match=r"images\.npz"):
        sources.npz(path, None)


def test_flipped_bytes_are_noticed(tmp_path):
    path = saved(tmp_path, x=PIXELS, y=LABELS)
    content = bytearray(path.read_bytes())
    content[200:260] = b"\x55" * 60
    path.write_bytes(content)
    with pytest.raises(DataError, match="x unreadable"):
        sources.npz(path, None)


def test_folder_is_sorted_and_skips_other_files(tmp_path):
    for name, shade in (("b/1.PNG", 1), ("b/0.bmp", 2), ("a/x.jpg", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 3), (shade, 0, 0)).save(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    pool = sources.folder(tmp_path)
    assert (pool.labels.tolist(), pool.num_classes) == ([0, 1, 1], 2)
    assert [round(pool.read(i)[0, 0, 0].item() * 255) for i in (1, 2)] == [2, 1]
    assert pool.read(0).shape == (3, 3, 4)


def test_faulty_folders(tmp_path):
    with pytest.raises(DataError, match="found no sub-folder; expected one per class"):
        sources.folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="found no image in its 1 sub-folders"):
        sources.folder(tmp_path)
    (tmp_path / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DataError, match=r"cat/broken\.png: not a readable image"):
        sources.folder(tmp_path).read(0)
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "cat" / "broken.png")
    with pytest.raises(DataError, match="more than 8 bits per channel"):
        sources.folder(tmp_path).read(0)
