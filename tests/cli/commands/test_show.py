"""`lswag-fast show`; and that neither it nor `report` nor `export` changes what it looks at."""

import json
import re
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from lswag_fast.cli import main
from lswag_fast.cli.views.study import show_combination
from lswag_fast.files.lock import Owner
from lswag_fast.searching import search
from lswag_fast.study.objective import Objective
from lswag_fast.study.storage import Record, schema
from lswag_fast.study.stored import read_study
from study.toy_space import ToySpace, total_width

SPACE = "support.user_networks:Mlps"
SEARCH = ("search", SPACE, "--batch-size", "16", "--trials", "12", "--seed", "2", "--params", "2K..6K")


def searched(folder, *options):
    assert main([*SEARCH, "--out", str(folder), *options]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return searched(tmp_path_factory.mktemp("one") / "run")


@pytest.fixture
def own(run, tmp_path, capsys):
    capsys.readouterr()
    return shutil.copytree(run, tmp_path / "run")


def shown(folder, capsys, *options):
    capsys.readouterr()
    assert main(["show", str(folder), *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def set_fact(folder, key, value):
    with sqlite3.connect(folder / "study.sqlite") as connection:
        schema.insert(connection, [Record("attr", key, value)])


TOLD = (
    "The {n_best} best, scored {n_repeats} times more with other data and weights. Ranks are those that a t test of "
    "pairs at 95 % leaves open: {n_first} of them may be the best."
)


def repeats_in(out):
    """The rows of the table of repeats: mean, standard error, ranks and trial."""
    lines = out[out.index("mean score") :].splitlines()[1:]
    return [re.split(r"  +", line.strip()) for line in lines[: lines.index("")] if line.strip("─━- ")]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_show_says_where_the_search_stands(own, capsys):
    table = pd.read_csv(own / "trials.csv")
    out = shown(own, capsys)
    n = len(table)
    assert f"mlps by lswag: finished, {n} of 12 trials" in out or f"mlps by lswag: exhausted, {n} of 12 trials" in out
    assert f"{n} scored, 0 failed" in out
    assert "combined" not in out  # one proxy
    assert "budget: params 2K..6K" in out
    assert "sampler: evolution, seed 2" in out
    parts = re.search(r"a candidate's time, measured on the best network: (.*)", out).group(1)
    assert {part.split()[0] for part in parts.split(", ")} == {"build", "forward", "backward", "kernel", "other"}
    assert re.search(r"between candidates, to propose and store: \d+\.\d% of the time", out)
    assert f"fidelity: fast (gradients of 4 samples); the {n} best were scored exactly\n" in out
    best = table.loc[table["exact_score"].idxmax()]
    assert f"the best architecture:\n{best['arch']}\n" in out
    ranked = table.sort_values("exact_score", ascending=False)["number"].tolist()
    lines = out[out.index("best:") :].splitlines()[2 : 2 + min(n, 10)]
    assert [int(line.split()[-2]) for line in lines] == ranked[:10]
    assert f"lswag-fast report {own}" in out


@pytest.mark.parametrize(("option", "column"), [("params", "n_params"), ("macs", "macs")])
def test_the_front_is_what_nothing_beats(own, capsys, option, column):
    table = pd.read_csv(own / "trials.csv")
    out = shown(own, capsys, "--cost", option)
    lines = out[out.index("front of ") :].splitlines()[2:]
    numbers = [int(line.split()[-1]) for line in lines[: lines.index("")]]
    wanted = []
    for row in table.sort_values([column, "score", "number"], ascending=[True, False, True]).itertuples():
        if not wanted or row.score > table["score"][wanted[-1]]:
            wanted.append(row.number)
    assert numbers == wanted


def test_an_unknown_cost_names_those_there_are(own, capsys):
    assert main(["show", str(own), "--cost", "flops"]) == 2
    assert "--cost: 'flops' is not one of params, macs, latency-ms" in capsys.readouterr().err


def test_a_cost_that_was_not_measured_is_said(own, capsys):
    assert "front: the latency was not measured" in shown(own, capsys, "--cost", "latency-ms")


def test_several_proxies_have_their_columns(tmp_path, capsys):
    out = shown(searched(tmp_path / "run", "--proxies", "lswag,nwot"), capsys)
    assert "mlps by lswag, nwot" in out
    assert "combined (log_rank); 0 is the best by each of them\n" in out
    assert "lswag" in (head := out[out.index("best:") :].splitlines()[1])
    assert "nwot  trial" in head
    out = shown(tmp_path / "run", capsys, "--proxies", "nwot")
    assert "lswag" not in (head := out[out.index("best:") :].splitlines()[1])
    assert "nwot  trial" in head
    assert main(["show", str(tmp_path / "run"), "--proxies", "zico"]) == 2
    assert "--proxies: 'zico' is not among the proxies of this search: lswag, nwot" in capsys.readouterr().err


def test_a_search_whose_process_is_gone_was_killed_and_can_be_continued(own, capsys):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    owner = Owner.this_process()
    lock = {"pid": int(dead.stdout), "host": owner.host, "boot": owner.boot}
    (own / "study.lock").write_text(json.dumps(lock))
    set_fact(own, "status", "running")
    out = shown(own, capsys)
    assert ": killed, " in out
    assert f"continue the search:\n  lswag-fast search {SPACE} --trials 12 --out {own} --params 2K..6K " in out
    (own / "study.lock").write_text(json.dumps({"pid": 1, "host": owner.host, "boot": owner.boot}))
    assert ": running, " in shown(own, capsys)


def test_what_is_printed_to_continue_can_be_pasted(tmp_path, capsys):
    moved = searched(tmp_path / "run", "--trials", "3").rename(tmp_path / "moved here")
    set_fact(moved, "status", "interrupted")
    set_fact(moved, "n_trials", 7)
    out = shown(moved, capsys)
    line = out[out.index("continue the search:\n") :].splitlines()[1]
    assert main(shlex.split(line)[1:]) == 0
    assert len(read_study(moved).trials) == len(pd.read_csv(moved / "trials.csv")) == 7


def test_twice_as_many_is_a_command_too(run, tmp_path, capsys):
    few = shutil.copytree(searched(tmp_path / "few", "--trials", "3"), tmp_path / "copy")
    out = shown(few, capsys)
    line = out[out.index("score twice as many:\n") :].splitlines()[1]
    assert main(shlex.split(line)[1:]) == 0
    assert len(read_study(few).trials) == 6


def test_the_state_as_json(own, capsys):
    content = json.loads(shown(own, capsys, "--json", "-", "--cost", "macs"))
    study = read_study(own)
    assert content["n_trials"] == len(study.trials)
    assert [trial["number"] for trial in content["best"]] == [trial.number for trial in study.top()]
    assert [trial["number"] for trial in content["front"]] == [trial.number for trial in study.front("macs")]
    assert content["settings"]["space"]["name"] == "mlps"


def test_exact_scores_are_explained_where_there_are_some(own, capsys):
    best = read_study(own).top()
    assert best[0].exact_score is not None
    for some, said in ((best, True), ([replace(trial, exact_score=None) for trial in best], False)):
        show_combination(Objective(("nwot", "params")), some)
        out = capsys.readouterr().out
        assert "the ranks by the proxies among all trials" in out
        assert ("exact score: among those scored exactly" in out) is said


def test_repeats_of_sizes_leave_one_order(tmp_path, capsys):
    folder = searched(tmp_path / "run", "--trials", "4", "--sampler", "random", "--proxies", "params", "--repeats", "2")
    ended = capsys.readouterr().out
    sizes = {trial.number: trial.n_params for trial in read_study(folder).trials}
    order = sorted(sizes, key=sizes.get, reverse=True)
    assert len(set(sizes.values())) == 4
    for out in (ended, shown(folder, capsys)):
        assert repeats_in(out) == [[f"{sizes[n]:.6g}", "0", str(rank), str(n)] for rank, n in enumerate(order, 1)]
        assert TOLD.format(n_best=4, n_repeats=2, n_first=1) in " ".join(out.split())
    found = json.loads(shown(folder, capsys, "--json", "-"))["rank_intervals"]
    assert found == {
        str(n): {"mean": sizes[n], "standard_error": 0, "best": rank, "worst": rank} for rank, n in enumerate(order, 1)
    }


def test_repeats_of_scores_are_told_by_search_show_and_page(tmp_path, capsys):
    pytest.importorskip("plotly")
    options = ("--trials", "4", "--sampler", "random", "--proxies", "zico", "--init", "kaiming", "--repeats", "2")
    folder = searched(tmp_path / "run", *options)
    ended, repeats = capsys.readouterr().out, read_study(folder).repeats
    means = {n: statistics.mean(values["zico"]) for n, values in repeats.items()}
    order = sorted(means, key=means.get, reverse=True)
    assert len(order) == 4 and all(first != second for first, second in (row["zico"] for row in repeats.values()))
    facts = json.loads(shown(folder, capsys, "--json", "-"))["rank_intervals"]
    assert list(facts) == [str(n) for n in order]
    wanted = []
    for number in order:
        found, error = facts[str(number)], statistics.stdev(repeats[number]["zico"]) / 2**0.5
        assert (found["mean"], found["standard_error"]) == pytest.approx((means[number], error))
        assert 1 <= found["best"] <= order.index(number) + 1 <= found["worst"] <= 4
        ranks = str(found["best"]) if found["best"] == found["worst"] else f"{found['best']} to {found['worst']}"
        wanted.append([f"{found['mean']:.6g}", f"{found['standard_error']:.2g}", ranks, str(number)])
    assert any(" to " in row[2] for row in wanted)  # two repeats of eight samples tell hardly any two apart
    told = TOLD.format(n_best=4, n_repeats=2, n_first=sum(found["best"] == 1 for found in facts.values()))
    for out in (ended, shown(folder, capsys)):
        assert repeats_in(out) == wanted
        assert told in " ".join(out.split())
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    section = page[page.index("<h2>Which of the best can be told apart</h2>") :].partition("</section>")[0]
    assert told in section
    assert [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>.*?</tr>", section)[1:]] == wanted


def test_without_repeats_nothing_is_said_of_them_and_one_is_refused(own, tmp_path, capsys):
    assert "times more" not in shown(own, capsys)
    assert json.loads(shown(own, capsys, "--json", "-"))["rank_intervals"] == {}
    assert main([*SEARCH, "--out", str(tmp_path / "none"), "--repeats", "1"]) == 2
    said = "--repeats: one says nothing of how scores vary; give 2 or more, or leave it out"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_failures_are_counted_by_reason(tmp_path, capsys):
    def score(model, batch):
        width = total_width(model, batch)
        if width % 3 == 0:
            raise ValueError("three divides it")
        return width

    result = search(ToySpace(), None, proxy=score, n_trials=40, storage=tmp_path / "run")
    n_failed = sum(trial.state == "failed" for trial in result.trials)
    assert n_failed
    out = shown(tmp_path / "run", capsys)
    assert f"{40 - n_failed} scored, {n_failed} failed" in out
    assert f"  {n_failed} x ValueError: three divides it (trials " in out
    assert "continue" not in out  # begun in Python


@pytest.mark.parametrize(
    "command", [("show",), ("report", "-o", "elsewhere.html"), ("export",), ("export", "--format", "json")]
)
def test_looking_changes_no_byte_of_the_folder(own, tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    before = contents(own)
    assert main([command[0], str(own), *command[1:]]) == 0
    assert contents(own) == before


@pytest.mark.parametrize("command", ["show", "report", "export"])
@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_a_folder_without_a_study_is_one_line(tmp_path, capsys, command, place):
    (tmp_path / "empty").mkdir()
    assert main([command, str(tmp_path / place)]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / place} holds no study" in err
    assert err.count("\n") == 1
    assert not list((tmp_path / "empty").iterdir())
