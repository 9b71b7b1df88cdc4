"""Sources: each layout gives the same images, and each faulty file is named with its fault."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lswag_fast.data import load, sources
from lswag_fast.data.sources import folder, npz
from lswag_fast.data.tables import read_table
from lswag_fast.errors import DataError, TableError

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


def test_objects_are_refused_as_such_however_large_they_would_be(tmp_path):
    images = np.array([None] * 2000, dtype=object).reshape(20, 1, 10, 10)
    with pytest.raises(DataError, match=r"x holds pickled objects.*its type is object; store images as uint8 or float"):
        sources.npz(saved(tmp_path, x=images, y=np.arange(20)), None)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (0, 8, 8), (0,)])
def test_an_array_of_no_images_is_refused(tmp_path, shape):
    with pytest.raises(DataError, match=r"x has shape \(0,.*\), and with it no images"):
        sources.npz(saved(tmp_path, x=np.zeros(shape), y=LABELS[:0]), None)


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


def test_a_folder_refuses_classes_without_an_image(tmp_path):
    for name in ("ant", "bee", "cat"):
        (tmp_path / name).mkdir()
    (tmp_path / "ant" / "1.png").touch()
    (tmp_path / "bee" / "1.heic").touch()
    with pytest.raises(DataError, match=r"found no image in bee, cat; each sub-folder is a class.*\.png"):
        sources.folder(tmp_path)
    (tmp_path / "bee" / "1.jpg").touch()
    with pytest.raises(DataError, match="found no image in cat;"):
        sources.folder(tmp_path)
    for i in range(9):
        (tmp_path / f"dog{i}").mkdir()
    with pytest.raises(DataError, match=r"found no image in cat, dog0, dog1, dog2, dog3 and 5 more;"):
        sources.folder(tmp_path)


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


def with_header(path: Path, shape: tuple[int, ...], held: bytes) -> Path:
    """An .npz whose images claim a shape, whatever it holds of them."""
    header, labels = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    np.save(labels, np.arange(8) % 3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + held)
        archive.writestr("y.npy", labels.getvalue())
    return path


def test_an_array_that_claims_more_than_it_holds_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = with_header(tmp_path / "a.npz", (10**8, 3, 1000, 1000), b"0" * 100)
    with pytest.raises(DataError, match=r"x claims 272\.8 TiB, the file holds \d+ B of it"):
        npz(path, None)


def test_an_array_that_unpacks_to_far_more_than_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_header(tmp_path / "a.npz", (8, 3, 300, 300), bytes(8 * 3 * 300 * 300))
    assert len(npz(path, None).labels) == 8
    monkeypatch.setattr("lswag_fast.data.sources.MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(DataError, match=r"x unpacks from .* to 2\.1 MiB; above 1\.0 MiB the limit is 200 times"):
        npz(path, None)
    monkeypatch.setattr("lswag_fast.data.sources.MAX_ARRAY_BYTES", 2**20)
    with pytest.raises(DataError, match=r"x has 2\.1 MiB, the limit is 1\.0 MiB; store part of it"):
        npz(path, None)


@pytest.mark.filterwarnings("error")
def test_floats_of_any_width_become_float32_and_what_does_not_fit_is_infinite(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((2, 3, 4, 4))
    for dtype in (">f8", "<f2", np.longdouble):
        np.savez(tmp_path / "a.npz", x=pixels.astype(dtype), y=[0, 1])
        found = npz(tmp_path / "a.npz", None).read(1)
        assert found.dtype == torch.float32
        assert np.array_equal(found.numpy(), pixels.astype(dtype).astype(np.float32)[1])
    np.savez(tmp_path / "a.npz", x=np.where(pixels > 0.5, 1e300, np.nan), y=[0, 1])
    assert not torch.isfinite(npz(tmp_path / "a.npz", None).read(0)).any()


@pytest.mark.parametrize("dtype", ["bool", "int16", "complex64", "datetime64[s]", "U1"])
def test_pixels_of_another_type_are_refused_by_its_name(tmp_path: Path, dtype: str) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3, 4, 4)).astype(dtype), y=[0, 1])
    with pytest.raises(DataError, match=r"x has type .*, expected uint8 or float"):
        npz(tmp_path / "a.npz", None)


@pytest.mark.parametrize("label", [2**62, 2**63 + 5])
def test_a_label_that_no_network_has_is_refused(tmp_path: Path, label: int) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3, 4, 4)), y=np.array([0, label], dtype=np.uint64))
    with pytest.raises(DataError, match=f"y holds the label {label}, more than any network has classes"):
        npz(tmp_path / "a.npz", None)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    os.mkfifo(tmp_path / "cat" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: has the name of an image and is no file"):
        folder(tmp_path)
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load(tmp_path / "a.npz", batch_size=2, image_size=4)
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(TableError, match="is no file"):
        read_table(tmp_path / "a.csv")
