"""`lswag-fast search --supernet`: by inherited accuracy, and by proxies that see what the supernet was trained on."""

import json

import pytest
import torch

from lswag_fast import searching
from lswag_fast.cli import main
from lswag_fast.data.splits import split_images
from lswag_fast.training.inherited import inherited_accuracy_job
from training.supernets import MODULE, save_supernet

SEARCH = ["search", "small_module:make", "--proxies", "inherited_accuracy", "--supernet", "supernet"]
BY_PROXIES = ["search", "small_module:make", "--proxies", "params,nwot", "--supernet", "supernet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    (folder / "small_module.py").write_text(MODULE)
    return folder, save_supernet(folder / "supernet")


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    monkeypatch.syspath_prepend(str(trained[0]))
    return trained[0]


def test_trials_are_judged_by_their_accuracy_on_the_validation_images(folder, trained, capsys):
    _, supernet = trained
    assert main([*SEARCH, "--trials", "6", "--out", "run"]) == 0
    result = json.loads((folder / "run" / "result.json").read_text())
    job = inherited_accuracy_job(supernet.space, supernet.weights, split_images("digits", image_size=8))
    assert [trial["score"] for trial in result["best"]] == [
        job(supernet.space.encode(trial["arch"]))["score"] for trial in result["best"]
    ]
    assert "look closer" not in capsys.readouterr().out
    assert main(["show", "run"]) == 0
    assert "autoformer by inherited_accuracy: finished, 6 of 6 trials" in capsys.readouterr().out


def test_it_is_continued_and_its_best_is_exported_with_the_inherited_weights(folder, trained):
    from safetensors.torch import load_file

    assert main([*SEARCH, "--trials", "3", "--out", "more"]) == 0
    assert main([*SEARCH, "--trials", "5", "--out", "more"]) == 0
    assert main(["export", "more", "--arch", "best", "-o", "best"]) == 0
    description = json.loads((folder / "best" / "architecture.json").read_text())
    _, supernet = trained
    expected = supernet.space.build(description["arch"], supernet.weights).state_dict()
    found = load_file(folder / "best" / "weights.safetensors")
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in found)


def test_proxies_see_images_that_the_supernet_was_trained_on_and_weights_that_are_not_trained(
    folder, monkeypatch, capsys
):
    told = {}
    search = searching.search
    monkeypatch.setattr(searching, "search", lambda space, **given: told.update(given) or search(space, **given))
    command = [*BY_PROXIES, "--trials", "3", "--batch-size", "24", "--repeats", "2", "--out", "by-proxies"]
    assert main(command) == 0
    assert "look closer" not in capsys.readouterr().out  # `score` knows no supernet, and would see all images
    train = split_images("digits", image_size=8).train
    for found, seed in ((told["batch"], 0), *zip(told["repeats"], (1, 2), strict=True)):
        assert all(torch.equal(given, drawn) for given, drawn in zip(found, train.drawn(24, seed), strict=True))
    assert told["weights"] is None
    data = told["metadata"]["data"]
    assert data.endswith("179 for the test, seed 0; 24 of those to train on scored, seed 0")
    assert main([*command, "--trials", "4"]) == 0  # continued


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (SEARCH[:4], "inherited_accuracy needs the weights of a trained supernet: --supernet DIR"),
        (
            [*SEARCH, "--proxies", "lswag, inherited_accuracy"],
            "--proxies: inherited_accuracy is no proxy and combines with none; give it alone",
        ),
        ([*SEARCH, "--pattern-samples", "4"], "--pattern-samples is of scores by proxies, not of inherited_accuracy"),
        ([*SEARCH, "--batch-size", "4"], "--batch-size is of scores by proxies"),
        ([*BY_PROXIES, "--split", "test"], "--split: the images of supernet are split already, and proxies see those"),
        ([*BY_PROXIES, "--task", "jigsaw"], "--task: the images of supernet have classes as their targets"),
        ([*BY_PROXIES, "--batch-size", "5000"], "--batch-size: found 5000, expected 2 to 1439"),
        ([*BY_PROXIES, "--data", "synthetic"], "--data: data synthetic: is noise"),
        ([*SEARCH[:4], "--supernet", "nowhere"], "--supernet: nowhere is no folder of a training"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(folder, capsys, argv, words):
    assert main([*argv, "--out", "refused"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and words in err
    assert not (folder / "refused").exists()
