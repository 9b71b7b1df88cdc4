"""`lswag-fast search --proxies inherited_accuracy`."""

import json

import pytest

from lswag_fast.cli import main
from lswag_fast.data.splits import split_images
from lswag_fast.training.inherited import inherited_accuracy_job
from training.supernets import MODULE, save_supernet

SEARCH = ["search", "small_module:make", "--proxies", "inherited_accuracy", "--supernet", "supernet"]


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


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (SEARCH[:4], "inherited_accuracy needs the weights of a trained supernet: --supernet DIR"),
        ([*SEARCH, "--pattern-samples", "4"], "--pattern-samples is of scores by proxies, not of inherited_accuracy"),
        ([*SEARCH, "--batch-size", "4"], "--batch-size is of scores by proxies"),
        ([*SEARCH[:2], "--supernet", "supernet"], "--supernet is for --proxies inherited_accuracy"),
        ([*SEARCH[:4], "--supernet", "nowhere"], "--supernet: nowhere is no folder of a training"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(folder, capsys, argv, words):
    assert main([*argv, "--out", "refused"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and words in err
    assert not (folder / "refused").exists()
