"""`lswag-fast benchmark`."""

import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lswag_fast import score_job
from lswag_fast.cli import main
from lswag_fast.cli.training import supernets
from lswag_fast.data.splits import split_images
from lswag_fast.data.tables import join, read_table
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.inherited import inherited_accuracy_job
from training.supernets import MODULE, save_supernet

BENCHMARK = ["benchmark", "small_module:make", "--supernet", "supernet", "--images", "50", "--out", "table.csv"]
EVALUATE = ["evaluate", "small_module:make", "--batch-size", "40"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "small_module.py").write_text(MODULE)
    return folder, save_supernet(folder / "supernet")


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    (tmp_path / "small_module.py").write_text(MODULE)
    (tmp_path / "supernet").symlink_to(trained[0] / "supernet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


class ByWidth:
    """The accuracy of a network that is trained is its width."""

    def __call__(self, arch, folder, seed):
        return SimpleNamespace(validation=Accuracy(arch["embed_dim"], 50))

    def settings(self):
        return {}


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


def test_proxies_see_images_to_train_on_alone(folder, trained, monkeypatch):
    assert main([*BENCHMARK, "--trials", "2"]) == 0
    seen = []
    make_job = score_job.ScoreJob
    monkeypatch.setattr(
        score_job,
        "ScoreJob",
        lambda space, batch, *more, **kind: seen.append(batch) or make_job(space, batch, *more, **kind),
    )
    assert main([*EVALUATE, "--table", "table.csv", "--proxies", "params", "--out", "scores.csv"]) == 0
    assert main([*EVALUATE, "--table", "table.csv", "--proxies", "flops", "--seed", "1", "--out", "more.csv"]) == 0
    splits = split_images("digits", image_size=8)
    for images, labels in seen:
        assert len(images) == 40
        for image, label in zip(images, labels, strict=True):
            assert any(torch.equal(image, other) and label == as_labelled for other, as_labelled in splits.train)
            assert not any(torch.equal(image, other) for part in (splits.validation, splits.test) for other, _ in part)
    assert not torch.equal(seen[0][0], seen[1][0])


def test_other_images_than_the_tables_are_refused(folder, capsys):
    assert main([*BENCHMARK, "--trials", "2"]) == 0
    pixels, labels = _digits()
    np.savez(folder / "other.npz", x=pixels[::-1], y=labels)
    command = [*EVALUATE, "--table", "table.csv", "--proxies", "params", "--out", "scores.csv"]
    capsys.readouterr()
    for options, words in (
        (["--split", "train"], "--split: the images of table.csv are split already"),
        (["--data", "other.npz"], "--data: data other.npz: not the images of digits that were split before"),
    ):
        assert main([*command, *options]) == 2
        assert words in capsys.readouterr().err
    (folder / "table.csv.json").write_text("{")
    assert main(command) == 2
    assert "table.csv.json says which images table.csv is of, and cannot be read" in capsys.readouterr().err
    assert not (folder / "scores.csv").exists()


def test_a_table_that_does_not_say_its_images_is_warned_of(folder, capsys):
    assert main([*BENCHMARK, "--trials", "2"]) == 0
    command = [*EVALUATE, "--table", "table.csv", "--proxies", "params"]
    capsys.readouterr()
    assert main([*command, "--out", "known.csv"]) == 0
    assert capsys.readouterr().err == ""
    settings = json.loads((folder / "table.csv.json").read_bytes())
    del settings["data"]
    (folder / "table.csv.json").write_text(json.dumps(settings))
    for name in ("unsaid", "missing"):
        assert main([*command, "--out", f"{name}.csv"]) == 0
        err = capsys.readouterr().err
        assert err.startswith("lswag-fast: warning: table.csv has a column inherited_accuracy, and no table.csv.json")
        assert "drawn from all images, those for validation and the test too" in err and err.count("\n") == 1
        (folder / "table.csv.json").unlink(missing_ok=True)
    assert main([*command, "--data", "synthetic", "--out", "noise.csv"]) == 0
    assert capsys.readouterr().err == ""


def test_another_number_of_images_is_named_by_its_option(folder, capsys):
    assert main([*BENCHMARK, "--trials", "2"]) == 0
    capsys.readouterr()
    assert main([*BENCHMARK, "--trials", "2", "--images", "40"]) == 2
    err = capsys.readouterr().err
    assert "error: table.csv was made with other settings: --images was 50, now 40; " in err


def test_some_are_trained_from_fresh_weights_for_a_check(folder, capsys, monkeypatch):
    monkeypatch.setattr(supernets, "scratch_trainer", lambda *arguments, **options: ByWidth())
    assert main([*BENCHMARK, "--trials", "12", "--retrain", "10"]) == 0
    out = capsys.readouterr().out
    assert "trained 10 of them from fresh weights: table.retrained.csv" in out
    both = join([read_table(folder / "table.csv"), read_table(folder / "table.retrained.csv")])
    assert len(both) == 10
    rho = float(both["retrained_accuracy"].rank().corr(both["n_params"].rank()))  # Spearman's
    row = next(line for line in out.splitlines() if line.startswith("n_params"))
    assert row.split()[1] == f"{rho:.3f}"
    assert main([*BENCHMARK, "--trials", "12", "--retrain", "11"]) == 0
    assert len(read_table(folder / "table.retrained.csv")) == 11


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
        (["--trials", "1000000"], "--trials is 1,000,000, small_module:make has 40 architectures"),
        (["--retrain", "9"], "--retrain: found 9; a rank correlation needs at least 10"),
        (
            ["--trials", "11", "--retrain", "12"],
            "--retrain: found 12; a rank correlation needs at least 10, and --trials",
        ),
        (["--epochs", "3"], "--epochs is of the trainings of --retrain; add that, or leave --epochs out"),
        (["--recipe", "autoformer"], "--recipe is of the trainings of --retrain"),
        (["--recipe-set", "lr=0.1"], "--recipe-set is of the trainings of --retrain"),
        (["--data", "nowhere"], "--data: data nowhere: no such file"),
        (
            ["--trials", "12", "--retrain", "10", "--recipe-set", "batch_size=2000"],
            "--recipe-set: batch_size: 2000 is more than the 1439 images to train on",
        ),
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
