"""`lswag-fast search` on small networks, with the real score."""

import contextlib
import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lswag_fast.cli import main, make_parser
from lswag_fast.cli.views.search import score_line
from lswag_fast.libra.ranking import rank_aggregate

USER_MODULE = (Path(__file__).parents[2] / "support" / "user_networks.py").read_text()


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch):
    (tmp_path / "user_networks.py").write_text(USER_MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("user_networks", None)


STEADY = ("--sampler", "steady_state", "--sampler-set", "proposals_per_batch=4")


def rows(path):
    with (path / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def search(*options, trials="12", out="run"):
    return main(["search", "user_networks:Mlps", "--trials", trials, "--batch-size", "16", "--out", out, *options])


def test_search_writes_one_row_per_trial_and_shows_the_best(user_folder, capsys):
    assert search("--params", "2K..6K") == 0
    table = rows(user_folder / "run")
    result = json.loads((user_folder / "run" / "result.json").read_text())
    assert [row["number"] for row in table] == [str(n) for n in range(len(table))]
    assert all(2000 <= int(row["n_params"]) <= 6000 for row in table)
    best = max(table, key=lambda row: float(row["exact_score"]))
    assert result["best"][0]["arch"] == json.loads(best["arch"])
    out = capsys.readouterr().out
    assert best["arch"] in out
    assert "results: run" in out


def test_equal_commands_give_equal_tables(user_folder):
    search("--seed", "3", out="a")
    search("--seed", "3", out="b")
    volatile = ("time", "elapsed", "start", "worker")
    a, b = (
        [{k: v for k, v in row.items() if not any(word in k for word in volatile)} for row in rows(user_folder / name)]
        for name in ("a", "b")
    )
    assert a == b
    assert len(a) == 12


def test_an_exhausted_space_is_said(user_folder, capsys):
    assert search(trials="50") == 0
    assert len(rows(user_folder / "run")) == 16
    assert "16 trials" in (out := capsys.readouterr().out)
    assert "no further architecture" in out


def test_the_same_command_continues_and_another_is_refused(user_folder, capsys):
    assert search(trials="2") == 0
    assert search(trials="5") == 0
    table = rows(user_folder / "run")
    assert len(table) == 5
    capsys.readouterr()
    assert search("--seed", "3", trials="9") == 2
    assert "run holds a study with other settings: seed was 0, now 3" in capsys.readouterr().err
    assert rows(user_folder / "run") == table


def test_other_proxies_are_said_as_they_were_typed(user_folder, capsys):
    assert search("--proxies", "params", trials="2") == 0
    capsys.readouterr()
    assert search("--proxies", "params,flops,te_nas_ntk", trials="4") == 2
    said = "other settings: --proxies was params, now params,flops,te_nas_ntk. Repeat the stored ones"
    assert said in capsys.readouterr().err
    assert search("--proxies", "params,flops", out="two", trials="2") == 0
    capsys.readouterr()
    assert search("--proxies", "params,flops", "--combine", "product", out="two", trials="4") == 2
    assert "other settings: --combine was log_rank, now product. Repeat" in capsys.readouterr().err


def test_another_batch_is_said_in_words_with_the_command_that_continues(user_folder, capsys):
    assert search(trials="2") == 0
    capsys.readouterr()
    assert search("--batch-size", "8", trials="4") == 2
    err = capsys.readouterr().err
    assert (
        "other settings: the batch is another (--data, --split, --batch-size, --image-size and --seed decide it)" in err
    )
    assert main(shlex.split(err.partition("Continue: ")[2])[1:]) == 0
    assert len(rows(user_folder / "run")) == 4


def test_several_proxies_are_combined_and_each_has_a_column(user_folder, capsys):
    assert search("--proxies", "lswag,nwot,params", "--combine", "mean_rank", *STEADY) == 0
    table = rows(user_folder / "run")
    frame = pd.DataFrame({name: [float(row[name]) for row in table] for name in ("lswag", "nwot", "params")})
    wanted = rank_aggregate(frame, "mean_rank")
    assert [float(row["score"]) for row in table] == pytest.approx(wanted.tolist(), rel=1e-12)
    result = json.loads((user_folder / "run" / "result.json").read_text())
    assert result["settings"]["objective"]["combine"] == "mean_rank"
    assert result["settings"]["sampler"] == {
        "name": "steady_state",
        "options": {"population": 128, "proposals_per_batch": 4},
    }
    assert result["best"][0]["number"] == int(wanted.idxmax())
    assert "nwot" in capsys.readouterr().out


def test_a_proxy_made_of_ranks_is_searched_by_its_parts(user_folder):
    assert search("--proxies", "te_nas", trials="4") == 0
    objective = json.loads((user_folder / "run" / "result.json").read_text())["settings"]["objective"]
    assert (objective["combine"], len(objective["proxies"])) == ("rank_sum", 2)


def test_a_latency_is_measured_and_kept(user_folder):
    assert search("--latency-ms", "..1000", trials="3") == 0
    assert all(0 < float(row["latency_ms"]) < 1000 for row in rows(user_folder / "run"))


def test_an_impossible_latency_names_the_nearest(user_folder, capsys):
    assert search("--latency-ms", "..0.000001") == 2
    assert "no architecture of mlps with latency_ms ..1e-06 was found; the nearest has latency_ms 0." in (
        capsys.readouterr().err
    )
    assert not (user_folder / "run").exists()


def test_a_folder_with_something_else_is_refused(user_folder, capsys):
    (user_folder / "run").mkdir()
    (user_folder / "run" / "notes.txt").write_text("mine")
    assert search(trials="2") == 2
    assert "run is not empty" in capsys.readouterr().err


def test_the_command_shown_gives_the_same_score(user_folder, capsys):
    given = ("--seed", "5", "--row-fraction", "0.5", "--init", "kaiming", "--mode", "eval", "--threads", "1")
    assert search(*given, trials="3") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("look closer: lswag-fast"))
    assert main([*shlex.split(line)[3:], "--json", "-"]) == 0
    score = json.loads(capsys.readouterr().out)["value"]
    # Same seed, batch and threads: the same bits.
    assert score == max(float(row["exact_score"]) for row in rows(user_folder / "run"))


def test_every_option_that_decides_a_score_is_in_the_command_shown(user_folder, capsys):
    given = ("--variance", "microbatch:4", "--set", "lswag.combine=log", "--set", "nwot.x=a b", "--layers", "0,9")
    search_alone = ("--proxies", "libra", "--trials", "3", "--repeats", "2")
    args = make_parser().parse_args(["search", "user_networks:Mlps", *given, *search_alone])
    line = shlex.split(score_line('{"widths": [8, 8]}', args, ("lswag", "nwot")))
    again = make_parser().parse_args(line[1:])
    assert (again.variance, again.layers, again.set) == (args.variance, args.layers, args.set)
    assert (again.network, again.proxies) == ('user_networks:Mlps:{"widths": [8, 8]}', "lswag,nwot")
    assert again.repeats == 1  # of a search further batches, of a score parts of its one


def test_the_command_that_continues_a_search_is_complete(user_folder, capsys):
    (user_folder / "with space").mkdir()
    given = ("--sampler-set", "parents=4", "--proxies", "snip", "--params", "2K..")
    assert search(*given, trials="3", out="with space/a b") == 0
    command = json.loads((user_folder / "with space/a b/result.json").read_text())["metadata"]["command"]
    words = shlex.split(command)
    assert words[:3] == ["lswag-fast", "search", "user_networks:Mlps"]
    assert main([*words[1:], "--trials", "5"]) == 0
    assert len(rows(user_folder / "with space/a b")) == 5


REFUSED = {
    "a batch of one": (["--batch-size", "1"], "variance"),
    "a part of rows": (["--row-fraction", "2"], "--row-fraction must lie"),
    "layers": (["--layers", "5,2"], "layers"),
    "a negative seed": (["--seed", "-1"], "--seed"),
    "a large seed": (["--seed", "9" * 23], "--seed"),
    "patterns of more than the batch": (["--pattern-samples", "99"], "--pattern-samples is 99, the batch has 32"),
    "micro-batches": (["--variance", "microbatch:3"], "does not divide the batch"),
    "what only the first network shows": (["--features", "nosuch", "--proxies", "zen"], "no module"),
    "threads": (["--threads", "100000000"], "more than 1,024"),
    "workers": (["--workers", "100000000"], "more than 1,024"),
    "no address": (["--dask", "tcp://host:abc"], "no address of a Dask scheduler"),
}


@pytest.mark.parametrize("storage", ["sqlite", "log"])
@pytest.mark.parametrize("is_there", [False, True], ids=["new folder", "empty folder"])
@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_a_search_that_is_refused_leaves_nothing(user_folder, capsys, given, words, is_there, storage):
    if given[0] == "--dask":
        pytest.importorskip("distributed")
    if is_there:
        (user_folder / "new" / "runs" / "one").mkdir(parents=True)
    before = all_below(user_folder)
    assert main(["search", "user_networks:Mlps", "--out", "new/runs/one", "--storage", storage, *given]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert all_below(user_folder) == before


def test_a_name_that_no_folder_can_have_is_refused(user_folder, capsys):
    before = all_below(user_folder)
    for command in (["search", "user_networks:Mlps", "--out"], ["show"], ["report"], ["export"]):
        assert main([*command, "a" * 300]) == 2
        assert "File name too long" in capsys.readouterr().err
    assert all_below(user_folder) == before


def all_below(folder):
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def test_search_in_a_process_is_quiet_where_nobody_looks(user_folder):
    command = [sys.executable, "-m", "lswag_fast.cli", "search", "user_networks:Mlps"]
    options = ["--trials", "2", "--batch-size", "16", "--params", "..6K", "--sampler", "random"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=user_folder, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    folder = next((user_folder / "runs").iterdir())
    assert folder.name.startswith("mlps-")
    assert len(rows(folder)) == 2


def test_search_of_autoformer(user_folder):
    options = ["--image-size", "32", "--batch-size", "2", "--pattern-samples", "2", "--params", "..8M"]
    assert main(["search", "autoformer-tiny", *options, "--trials", "1", "--out", "run"]) == 0
    result = json.loads((user_folder / "run" / "result.json").read_text())
    assert result["settings"]["space"]["input_shape"] == [3, 32, 32]
    assert result["metadata"]["data"].startswith("digits")


ENDLESS = """
import time
from user_networks import Mlps


class Endless(Mlps):
    widths = (8, 16, 24)
    size = 9

    def build(self, arch, weights=None):
        if arch["widths"][0] == 8:
            while True:
                time.sleep(0.01)
        if arch["widths"][0] == 16:
            raise KeyboardInterrupt
        return super().build(arch, weights)
"""


def test_candidates_that_never_end_or_end_the_program_fail_once(user_folder, capfd):
    (user_folder / "endless_space.py").write_text(ENDLESS)
    options = ["--batch-size", "16", "--sampler", "random", "--timeout-s", "2", "--out", "run"]
    assert main(["search", "endless_space:Endless", "--trials", "9", *options]) == 0
    errors = {json.loads(row["arch"])["widths"][0]: row["error"] for row in rows(user_folder / "run")}
    assert errors == {
        8: "JobTimeoutError: it took longer than 2 s, and its worker process was ended",
        16: "JobAbortedError: it raised KeyboardInterrupt",
        24: "",
    }
    assert "Traceback" not in capfd.readouterr().err


def said(argv, encoding):
    """What a command writes to a terminal of this encoding, as bytes."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    with contextlib.redirect_stdout(out):
        assert main(argv) == 0
    return out.buffer.getvalue()


def words_of(line):
    """What a shell makes of a command of lswag-fast, as the words that the command gets."""
    program = b"lswag-fast() { printf '%s\\0' \"$@\"; }; " + line
    found = subprocess.run([b"bash", b"-c", program], capture_output=True, check=True).stdout
    return [os.fsdecode(word) for word in found.split(b"\0")[:-1]]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", ['it\'s a "q"', "bad\udcff7", "é…", "-dash", "new\nline"])
def test_what_is_printed_can_be_pasted_whatever_the_folder_is_called(user_folder, name, encoding):
    pytest.importorskip("plotly")
    command = ["search", "user_networks:Mlps", "--batch-size", "16", "--trials", "2", f"--out={name}"]
    end = said(command, encoding).split(b"one page to look at: ")[1].removesuffix(b"\n")
    assert words_of(end)[0] == "report"
    shown = said(["show", f"./{name}"], encoding)
    twice, page, table = [line.strip() for line in shown.split(b"\n") if line.startswith(b"  lswag-fast ")][:3]
    for line in (end, twice, page, table):
        said(words_of(line), encoding)
    assert len(rows(user_folder / name)) == 4
    assert (user_folder / name / "report.html").stat().st_size > 1000
    assert (user_folder / "trials.csv").read_bytes() == (user_folder / name / "trials.csv").read_bytes()


def test_fidelity_exact_searches_without_finalists_and_the_same_command_without_it_goes_on(user_folder, capsys):
    assert search("--fidelity", "exact", trials="3") == 0
    assert "exact score" not in (shown := capsys.readouterr()).out
    assert "finalist" not in shown.err
    assert search(trials="4") == 0
    assert "exact_score" not in rows(user_folder / "run")[0]
    assert len(rows(user_folder / "run")) == 4
