"""`lswag-fast compare`."""

import json
import signal
import subprocess
import sys
import time

import pytest

from lswag_fast.cli import main
from lswag_fast.data.tables import read_table
from lswag_fast.training.methods import METHODS, named_methods
from training.supernets import MODULE, save_supernet

COMPARE = ["compare", "small_module:make", "--supernet", "supernet", "--trials", "3", "--batch-size", "24"]
# Rows of the killed comparison, of 14.
N_BEFORE = 3
QUICK = [*COMPARE, "--methods", "random,params", "--seeds", "1", "--epochs", "1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "small_module.py").write_text(MODULE)
    save_supernet(folder / "supernet")
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    monkeypatch.syspath_prepend(str(trained))
    return trained


def test_a_table_and_a_figure_of_the_methods(folder, capsys):
    pytest.importorskip("matplotlib")
    assert main([*QUICK, "--out", "run"]) == 0
    out, err = capsys.readouterr()
    rows = read_table(folder / "run" / "comparison.csv", "run")
    assert list(rows.index) == ["random-0", "params-0"]
    for row in rows.itertuples():
        stored = json.loads((folder / "run" / row.Index / "train" / "result.json").read_text())
        assert row.test_accuracy == stored["test"]["accuracy"]
        assert row.n_images == 179
    lines = out.splitlines()
    assert lines[0].split() == ["method", "params", "search", "test", "accuracy", "lowest", "highest", "seeds"]
    assert lines[2].startswith(f"parameters only  {rows.loc['params-0', 'n_params']:,}")
    assert "0/2 random, seed 0: searching" in err
    assert "figure: run/comparison.svg" in out
    assert "<svg" in (folder / "run" / "comparison.svg").read_text()
    assert main([*QUICK, "--out", "run", "--plot", "compared.png"]) == 0  # it has ended: shown again
    assert (folder / "compared.png").stat().st_size > 0 and "figure: compared.png" in capsys.readouterr().out


def test_without_matplotlib_there_is_a_table_alone(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main([*QUICK, "--out", "plain"]) == 0
    assert "no figure: this needs matplotlib, which is not installed" in capsys.readouterr().out
    assert not (folder / "plain" / "comparison.svg").exists()
    assert main([*QUICK, "--out", "refused", "--plot", "compared.svg"]) == 2
    assert not (folder / "refused").exists()


def test_trainings_say_that_they_run_one_after_the_other(capsys):
    for command in ("compare", "benchmark"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "Trainings run one after the other" in " ".join(capsys.readouterr().out.split())


def write_selection(folder):
    figure = {"rho": 0.5, "low": 0.25, "high": 0.75}
    held_out = {"selection": figure, "best_alone": figure, "alone": {"flops": figure, "params": figure}}
    held_out |= {"n_rows": 40, "n_halves": 20, "inside": "inside windows of params +-33 %"}
    selection = {"schema_version": 2, "selection": ["params", "flops"], "combine": "log_rank", "held_out": held_out}
    selection["fitted_on"] = {"target": "inherited_accuracy", "n_rows": 40}
    (folder / "selection.json").write_text(json.dumps(selection))


def test_it_is_continued_and_methods_are_added(folder, capsys):
    write_selection(folder)
    assert main([*QUICK, "--out", "more"]) == 0
    first = (folder / "more" / "comparison.csv").read_bytes()
    assert main([*QUICK, "--epochs", "2", "--out", "more"]) == 2
    assert "was made with other settings: training.epochs" in capsys.readouterr().err
    assert main([*QUICK, "--recipe-set", "label_smoothing=0.2", "--out", "more"]) == 2
    assert "training.label_smoothing was 0.1, now 0.2" in capsys.readouterr().err
    more = "random,inherited_accuracy,libra:selection.json"
    assert main([*COMPARE, "--methods", more, "--seeds", "1", "--epochs", "1", "--out", "more"]) == 0
    assert (folder / "more" / "comparison.csv").read_bytes().startswith(first)
    rows = read_table(folder / "more" / "comparison.csv", "run")
    assert list(rows["method"]) == ["random", "params", "inherited_accuracy", "libra"]
    out = capsys.readouterr().out
    assert "LIBRA-NAS" in out and "inherited accuracy" in out
    assert out.startswith("selection.json: params, flops; chosen on 40 networks for inherited_accuracy; ")
    assert "inside windows of params +-33 % with a Spearman of .50 [.25, .75]" in out.splitlines()[0]
    stored = json.loads((folder / "selection.json").read_text())
    (folder / "selection.json").write_text(json.dumps({**stored, "selection": ["params", "nwot"]}))
    assert main([*COMPARE, "--methods", more, "--seeds", "1", "--epochs", "1", "--out", "more"]) == 2
    assert 'another selection: members was ["params", "flops"], now ["params", "nwot"]' in capsys.readouterr().err


@pytest.mark.slow
def test_every_method_is_killed_and_continued(folder, capsys):
    """With two seeds; the rows that were written before stay as they were."""
    write_selection(folder)
    methods = ",".join(f"{name}:selection.json" if name == "libra" else name for name in METHODS)
    command = [*COMPARE, "--methods", methods, "--seeds", "2", "--epochs", "1", "--out", "all"]
    path = folder / "all" / "comparison.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "lswag_fast", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (path.exists() and len(path.read_bytes().splitlines()) > N_BEFORE):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    *before, _ = path.read_bytes().splitlines()
    assert main(command) == 0
    assert path.read_bytes().splitlines()[: len(before)] == before
    rows = read_table(path, "run")
    assert list(rows.index) == [f"{name}-{seed}" for seed in (0, 1) for name in METHODS]
    assert (rows["n_trials"] == [1 if name == "random" else 3 for name in rows["method"]]).all()
    lines = capsys.readouterr().out.splitlines()
    for method in named_methods(METHODS):
        assert next(line for line in lines if line.startswith(f"{method.label} ")).split()[-1] == "2"


def test_the_folder_of_the_supernet_is_refused_and_left_as_it_is(folder, capsys):
    before = sorted(path.name for path in (folder / "supernet").iterdir())
    assert main([*QUICK, "--out", "supernet"]) == 2
    assert "supernet is not empty and holds no comparison; name a new folder" in capsys.readouterr().err
    assert sorted(path.name for path in (folder / "supernet").iterdir()) == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--methods", "magik"], "--methods: there is no method 'magik'"),
        (["--methods", "libra:nowhere.json"], "--methods: selection nowhere.json: cannot be read"),
        (["--params", "..1K"], "no architecture"),
        (["--supernet", "nowhere"], "--supernet: nowhere is no folder of a training"),
        (["--plot", "a.docx"], "--plot: the ending of a.docx"),
        (["--recipe-set", "batch_size=2000"], "--recipe-set: batch_size: 2000 is more than the 1439 images"),
        (["--recipe-set", "batch_size=0"], "--recipe-set: batch_size: found 0, expected a whole number of at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(folder, capsys, changed, words):
    assert main([*QUICK, "--out", "refused", *changed]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err.splitlines()[-1]
    assert not (folder / "refused").exists()
