"""`lswag-fast benchmark`."""

import shlex

import numpy as np
import pytest

from lswag_fast.cli import main
from lswag_fast.data.splits import split_images
from lswag_fast.data.tables import read_table
from lswag_fast.training.inherited import inherited_accuracy_job
from training.supernets import MODULE, save_supernet

BENCHMARK = ["benchmark", "small_module:make", "--supernet", "supernet", "--images", "50", "--out", "table.csv"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "small_module.py").write_text(MODULE)
    return folder, save_supernet(folder / "supernet")


@pytest.fixture
def folder(trained, monkeypatch):
    path, _ = trained
    monkeypatch.chdir(path)
    monkeypatch.syspath_prepend(str(path))
    yield path
    for file in path.glob("*.csv*"):
        file.unlink()


def test_the_rows_are_the_accuracies_on_the_validation_images(folder, trained, capsys):
    _, supernet = trained
    assert main([*BENCHMARK, "--trials", "6"]) == 0
    rows = read_table(folder / "table.csv")
    job = inherited_accuracy_job(supernet.space, supernet.weights, split_images("digits", image_size=8), n_images=50)
    assert [job(arch)["score"] for arch in rows.index] == list(rows["inherited_accuracy"])
    out = capsys.readouterr().out
    assert "measured 6 architectures on 50 images; all rows: table.csv" in out
    assert rows["inherited_accuracy"].idxmax() in out


def test_a_larger_number_adds_to_the_file_and_the_next_command_reads_it(folder, capsys):
    assert main([*BENCHMARK, "--trials", "4"]) == 0
    assert main([*BENCHMARK, "--trials", "10"]) == 0
    out = capsys.readouterr().out
    assert "measured 6 architectures" in out
    line = out.splitlines()[-1].partition(": ")[2]
    words = shlex.split(line)
    assert words[:2] == ["lswag-fast", "evaluate"]
    assert main([*words[1:], "--proxies", "params,flops", "--batch-size", "8", "--target", "inherited_accuracy"]) == 0
    assert len(read_table(folder / "scores.csv")) == 10


def test_images_that_were_moved_are_found_again(folder, trained, capsys):
    assert main([*BENCHMARK, "--trials", "2"]) == 0
    pixels, labels = _digits()
    np.savez(folder / "same.npz", x=pixels, y=labels)
    assert main([*BENCHMARK, "--trials", "2", "--data", "same.npz"]) == 0
    np.savez(folder / "other.npz", x=pixels[::-1], y=labels)
    assert main([*BENCHMARK, "--trials", "3", "--data", "other.npz"]) == 2
    assert "not the images of digits that were split before" in capsys.readouterr().err


def _digits():
    from lswag_fast.data import sources

    found = sources.digits()
    return np.stack([found.read(i).numpy() for i in range(len(found.labels))]), found.labels


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--out", "a.parquet"], "--out: the rows are written as CSV"),
        (["--supernet", "."], "--supernet: . is no folder of a training"),
        (["--trials", "1000000"], "n is 1,000,000, the space autoformer has"),
        (["--data", "nowhere"], "--data: data nowhere: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(folder, capsys, changed, words):
    assert main([*BENCHMARK, *changed]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and words in err
    assert not list(folder.glob("*.csv*"))


def test_a_supernet_of_another_space_is_refused(folder, capsys):
    (folder / "other_module.py").write_text(MODULE.replace("(16, 32)", "(16, 48)"))
    assert main(["benchmark", "other_module:make", *BENCHMARK[2:]]) == 2
    assert "--supernet: supernet holds the weights of another space: space.choices" in capsys.readouterr().err
