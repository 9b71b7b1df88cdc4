"""Which images each command reads: nothing but the last lines of a training sees those of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands.test_supernet import FACTORY
from lswag_fast.cli import main
from lswag_fast.data import images, splits
from lswag_fast.data.splits import ImageSplits, Row, split_images
from training.runs import write_images

SOURCE = "images.npz"
TRAINING = ["--epochs", "1", "--device", "cpu", "--threads", "1", "--data", SOURCE, "--batch-size", "16"]
ARCH = '{"embed_dim":16,"depth":1,"num_heads":[1],"mlp_ratio":[2.0]}'
SPACE = "tiny_space:make"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, a supernet that was trained on them, and a benchmark table of it."""
    path = tmp_path_factory.mktemp("leak")
    (path / "tiny_space.py").write_text(FACTORY)
    write_images(path / SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert main(["supernet", SPACE, *TRAINING, "--out", "supernet"]) == 0
        assert main(["benchmark", SPACE, "--supernet", "supernet", "--trials", "3", "--out", "table.csv"]) == 0
    return path


@pytest.fixture
def parts(folder: Path) -> ImageSplits:
    return split_images(folder / SOURCE, image_size=8)


@pytest.fixture
def reads(folder: Path, parts: ImageSplits, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Every image that is handed to a network, in order: of a split, or of a batch drawn from the whole source."""
    monkeypatch.chdir(folder)
    found: list[Row] = []
    read, choose = splits._Images.read, images._choose

    def of_split(self: splits._Images, row: Row) -> object:
        found.append(row)
        return read(self, row)

    def of_source(*arguments: object) -> list[int]:
        places = choose(*arguments)  # type: ignore[arg-type]
        found.extend((splits.TRAIN, place) for place in places)
        return places

    monkeypatch.setattr(splits._Images, "read", of_split)
    monkeypatch.setattr(images, "_choose", of_source)
    return found


TRAINED_ON = {
    "supernet": ["supernet", SPACE, *TRAINING, "--out", "again"],
    "evaluate": ["evaluate", SPACE, "--table", "table.csv", "--proxies", "params,nwot", "--out", "scores.csv"],
    "search": ["search", SPACE, "--supernet", "supernet", "--proxies", "params,nwot", "--repeats", "2", "--out", "a"],
}
RETRAIN = ["--trials", "10", "--retrain", "10", "--epochs", "1"]
CHOSEN_ON = {
    "benchmark": ["benchmark", SPACE, "--supernet", "supernet", *RETRAIN, "--out", "more.csv"],
    "search": ["search", SPACE, "--supernet", "supernet", "--proxies", "inherited_accuracy", "--out", "b"],
}
ALL = ["--batch-size", "48"]  # as many as there are to train on


@pytest.mark.parametrize("name", TRAINED_ON)
def test_weights_and_proxies_see_images_to_train_on(name: str, parts: ImageSplits, reads: list[Row]) -> None:
    more = {"supernet": [], "evaluate": ALL, "search": [*ALL, "--trials", "3"]}[name]
    assert main([*TRAINED_ON[name], *more]) == 0
    validation = set(parts.validation.rows) if name == "supernet" else set()  # what it says of two networks at the end
    assert set(reads) == {*parts.train.rows, *validation}


@pytest.mark.parametrize("name", CHOSEN_ON)
def test_inherited_accuracies_see_validation_images(name: str, parts: ImageSplits, reads: list[Row]) -> None:
    more = {"benchmark": [], "search": ["--trials", "3"]}[name]
    assert main([*CHOSEN_ON[name], *more]) == 0
    # Those to train on are for the statistics of BatchNorm.
    assert set(reads) == {*parts.validation.rows, *parts.train.rows}


def test_a_trained_network_sees_test_images_last_and_once(parts: ImageSplits, reads: list[Row]) -> None:
    assert main(["train", f"{SPACE}:{ARCH}", *TRAINING, "--out", "trained"]) == 0
    assert_seen_last_and_once(parts, reads)


def test_inherited_weights_are_tested_on_images_that_they_never_saw(
    folder: Path, parts: ImageSplits, reads: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = split_images(folder / SOURCE, image_size=8, seed=1)
    assert set(drawn.test.rows) != set(parts.test.rows)  # what another seed alone would test on
    words = ["train", f"{SPACE}:{ARCH}", *TRAINING, "--seed", "1", "--init", "supernet", "--out", "tuned"]
    assert main(words) == 0
    assert_seen_last_and_once(parts, reads)
    assert "the images are split as for supernet, which was trained on them: seed 0\n" in capsys.readouterr().err


def test_other_images_than_a_supernets_are_split_by_the_seed(
    folder: Path, parts: ImageSplits, reads: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(folder / "other.npz", seed=1)
    words = ["train", f"{SPACE}:{ARCH}", *TRAINING, "--seed", "1", "--init", "supernet", "--out", "on-others"]
    assert main([*words, "--data", "other.npz"]) == 0
    assert_seen_last_and_once(split_images(folder / "other.npz", image_size=8, seed=1), reads)
    assert "the images are split as for" not in capsys.readouterr().err


def test_a_comparison_tests_what_a_method_has_found(parts: ImageSplits, reads: list[Row]) -> None:
    words = ["--methods", "nwot", "--seeds", "1", "--epochs", "1", "--trials", "3", "--batch-size", "16"]
    assert main(["compare", SPACE, "--supernet", "supernet", *words, "--out", "compared"]) == 0
    assert_seen_last_and_once(parts, reads)


def test_the_spy_sees_a_search_that_knows_no_supernet(parts: ImageSplits, reads: list[Row]) -> None:
    words = ["--data", SOURCE, "--proxies", "params", "--trials", "2", "--batch-size", "60", "--out", "c"]
    assert main(["search", SPACE, *words]) == 0
    assert set(reads) == {*parts.train.rows, *parts.validation.rows, *parts.test.rows}


def assert_seen_last_and_once(parts: ImageSplits, reads: list[Row]) -> None:
    n_test = len(parts.test)
    assert sorted(reads[-n_test:]) == sorted(parts.test.rows)
    assert not set(reads[:-n_test]) & set(parts.test.rows)
    assert len(reads) > n_test
