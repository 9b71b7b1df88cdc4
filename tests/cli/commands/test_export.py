"""`lswag-fast export`: tables that hold the trials, and an architecture that can be built elsewhere."""

import hashlib
import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import torch

from lswag_fast.cli import main
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.spaces import AutoFormer
from lswag_fast.spaces.building import network_builder
from lswag_fast.study.stored import read_study
from support.user_networks import Mlps

MLPS = ("search", "support.user_networks:Mlps", "--batch-size", "16", "--trials", "8")
AUTOFORMER = ("search", "autoformer-tiny", "--image-size", "32", "--batch-size", "2", "--pattern-samples", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlps") / "run"
    assert main([*MLPS, "--proxies", "lswag,nwot", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def vit_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit") / "run"
    assert main([*AUTOFORMER, "--trials", "2", "--out", str(folder)]) == 0
    return folder


def test_csv_is_the_table_of_the_search(run, tmp_path, capsys):
    assert main(["export", str(run)]) == 0
    assert capsys.readouterr().out == (run / "trials.csv").read_text()
    assert main(["export", str(run), "-o", str(tmp_path / "t.csv")]) == 0
    assert (tmp_path / "t.csv").read_bytes() == (run / "trials.csv").read_bytes()
    assert capsys.readouterr().out == f"8 trials: {tmp_path / 't.csv'}\n"


def test_parquet_holds_the_same(run, tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra `parquet`)")
    table = pd.read_csv(run / "trials.csv", keep_default_na=False)  # without a failure, `error` is empty text
    path = tmp_path / "trials.parquet"
    assert main(["export", str(run), "-o", str(path)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(path), table, check_dtype=False)


def test_json_holds_the_settings_and_the_trials(run, capsys):
    assert main(["export", str(run), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    study = read_study(run)
    assert (content["settings"], content["metadata"]) == (study.settings.to_json(), study.metadata)
    assert content["trials"] == [trial.to_dict() for trial in study.trials]
    assert (content["status"], content["n_trials_wanted"]) == ("finished", 8)


def outputs(lines, space, folder):
    """What the exported lines give in a process of its own: a fingerprint of the network's outputs."""
    program = "\n".join([*lines, _OUTPUTS.format(shape=(3, *space.input_shape))])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=folder, check=True
    )
    return done.stdout.strip()


_OUTPUTS = """
import hashlib, torch
torch.set_num_threads(1)
x = torch.linspace(-1, 1, torch.Size({shape}).numel()).reshape({shape})
print(hashlib.sha256(model.eval()(x).detach().numpy().tobytes()).hexdigest())
"""


def expected(space, arch, seed, weights=None):
    """The same of the network that was scored."""
    model = network_builder(space, weights, seed)(arch)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.linspace(-1, 1, 3 * torch.Size(space.input_shape).numel()).reshape(3, *space.input_shape)
        return hashlib.sha256(model.eval()(x).detach().numpy().tobytes()).hexdigest()
    finally:
        torch.set_num_threads(before)


def check_export(folder, which, target, space, seed=0, weights=None):
    """Export one architecture, run the lines that are printed, and compare what the network gives."""
    pytest.importorskip("safetensors", reason="safetensors is not installed (the extra `export`)")
    assert main(["export", str(folder), "--arch", which, "-o", str(target)]) == 0
    content = json.loads((target / "architecture.json").read_text())
    assert sorted(path.name for path in target.iterdir()) == ["architecture.json", "weights.safetensors"]
    assert len(content["python"]) == 3
    assert outputs(content["python"], space, target.parent) == expected(space, content["arch"], seed, weights)
    return content


def test_the_best_of_a_users_space_is_the_network_that_was_scored(run, tmp_path, capsys):
    content = check_export(run, "best", tmp_path / "best", Mlps())
    assert content["number"] == read_study(run).best.number
    assert "In Python:\n    import support.user_networks, safetensors.torch\n" in capsys.readouterr().out


def test_any_trial_can_be_exported(run, tmp_path):
    assert check_export(run, "3", tmp_path / "third", Mlps())["number"] == 3


def test_a_transformer_with_drawn_weights(vit_run, tmp_path):
    space = AutoFormer("tiny", image_size=32)
    content = check_export(vit_run, "best", tmp_path / "best", space)
    assert content["space"] == "autoformer-tiny"


def test_the_backbone_of_a_detector(vit_run, tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed (the extra `export`)")
    assert main(["export", str(vit_run), "--arch", "best", "--backbone", "-o", str(tmp_path / "best")]) == 0
    content = json.loads((tmp_path / "best" / "architecture.json").read_text())
    width = content["arch"]["embed_dim"]
    assert content["backbone"] == {"strides": [4, 8, 16, 32], "channels": [width] * 4}
    made = {}
    exec("\n".join(content["python"]), made)
    maps = made["backbone"](torch.zeros(1, 3, 32, 32))
    assert [tuple(found.shape[1:]) for found in maps.values()] == [(256, side, side) for side in (8, 4, 2, 1, 1)]


def test_what_has_no_maps_is_no_backbone(run, tmp_path, capsys):
    pytest.importorskip("safetensors", reason="safetensors is not installed (the extra `export`)")
    assert main(["export", str(run), "--arch", "best", "--backbone", "-o", str(tmp_path / "best")]) == 2
    assert "backbone: Sequential shows no feature maps" in capsys.readouterr().err
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize("new_head", [False, True])
def test_a_transformer_cut_out_of_a_checkpoint(tmp_path, new_head):
    space = AutoFormer("tiny", image_size=32)
    weights = space.init_weights(7)
    torch.save({"model": weights}, tmp_path / "supernet.pth")
    checkpoint = ["--checkpoint", str(tmp_path / "supernet.pth"), *["--new-head"] * new_head]
    weights = space.load_checkpoint(tmp_path / "supernet.pth", with_head=not new_head)
    assert main([*AUTOFORMER, *checkpoint, "--trials", "1", "--out", str(tmp_path / "run")]) == 0
    check_export(tmp_path / "run", "best", tmp_path / "best", space, weights=weights)


def test_weights_that_were_drawn_anew_are_those_that_are_exported(tmp_path):
    assert main([*MLPS, "--init", "kaiming", "--seed", "3", "--trials", "2", "--out", str(tmp_path / "run")]) == 0
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed (the extra `export`)")
    assert main(["export", str(tmp_path / "run"), "--arch", "1", "-o", str(tmp_path / "one")]) == 0
    arch = read_study(tmp_path / "run").trials[1].arch
    scored = initialise(network_builder(Mlps(), None, 3)(arch), "kaiming", 3)
    stored = safetensors.load_file(tmp_path / "one" / "weights.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in scored.state_dict().items())


def test_another_checkpoint_in_its_place_is_refused(tmp_path, capsys):
    space = AutoFormer("tiny", image_size=32)
    file = tmp_path / "supernet.pth"
    torch.save(space.init_weights(7), file)
    assert main([*AUTOFORMER, "--checkpoint", str(file), "--trials", "1", "--out", str(tmp_path / "run")]) == 0
    torch.save(space.init_weights(8), file)
    assert main(["export", str(tmp_path / "run"), "--arch", "best", "-o", str(tmp_path / "best")]) == 2
    assert "the weights are not those of the search" in capsys.readouterr().err
    assert not (tmp_path / "best").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "parquet"), "--format parquet needs a file"),
        (("--arch", "best"), "--arch needs a folder"),
        (("--arch", "best", "--format", "csv", "-o", "x"), "leave it out with --arch"),
        (("--arch", "99", "-o", "x"), "has no finished trial 99, only 8 from 0 on"),
        (("--arch", "first", "-o", "x"), "--arch must be best or the number of a trial; found 'first'"),
        (("--backbone",), "--backbone is of one architecture: --arch best, or the number of a trial"),
        (("--backbone", "--optuna", "x.log"), "--backbone is not for --optuna"),
        (("--format", "xml"), "invalid choice: 'xml'"),
        (("-o", "/dev/null/x.csv"), "cannot write /dev/null/x.csv"),
    ],
)
def test_what_cannot_be_exported_is_one_line(run, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), *options]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("safetensors.torch", ("--arch", "best", "-o", "x"), "export"),
        ("pyarrow", ("--format", "parquet", "-o", "x.parquet"), "parquet"),
    ],
)
def test_a_missing_extra_says_what_to_install(run, tmp_path, monkeypatch, capsys, module, options, extra):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["export", str(run), *options]) == 2
    err = capsys.readouterr().err
    assert f"pip install 'lswag-fast[{extra}]'" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "ending"), [("x.xls", ".xls"), ("trials.csv.gz", ".gz")])
def test_an_ending_of_another_kind_of_table_is_refused(name, ending, run, tmp_path, capsys):
    assert main(["export", str(run), "-o", str(tmp_path / name)]) == 2
    words = (
        f"--out: a table is written as .csv, .json, .parquet, and {tmp_path / name} ends in {ending}; name another file"
    )
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["export", str(run), "--format", "csv", "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_bytes() == (run / "trials.csv").read_bytes()
