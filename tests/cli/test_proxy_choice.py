"""What --proxies names: proxies, all of them, and the selections of LIBRA."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest

from lswag_fast import list_proxies
from lswag_fast.cli import main
from lswag_fast.cli.proxy_choice import chosen_proxies, columns_of
from lswag_fast.errors import InputError
from lswag_fast.libra.held_out import Figure, HeldOut
from lswag_fast.libra.recommended import recommended
from lswag_fast.libra.stored import packaged_selection
from lswag_fast.report.html import html_report
from lswag_fast.study.stored import read_study

FITTED_ON = {"target": "cifar10_test", "n_rows": 100}


@pytest.fixture
def selection_file(tmp_path):
    def write(**changes):
        content = {"schema_version": 1, "selection": ["lswag", "nwot", "params"], "combine": "mean_rank"}
        path = tmp_path / "selection.json"
        path.write_text(json.dumps({**content, "fitted_on": FITTED_ON, **changes}))
        return path

    return write


def test_names_are_taken_as_they_are():
    chosen = chosen_proxies("lswag, te_nas")
    assert chosen.names == ("lswag", "te_nas")
    assert chosen.parts == ("lswag", "te_nas_ntk", "te_nas_regions")
    assert (chosen.combine, chosen.origin) == (None, {})


def test_all_are_those_that_have_a_value_of_their_own():
    chosen = chosen_proxies("all")
    assert chosen.names == chosen.parts == tuple(info.name for info in list_proxies() if not info.parts)


@pytest.mark.parametrize("space", ["autoformer-tiny", "autoformer-small", "autoformer-base", "nasbench201"])
def test_libra_is_what_is_packaged_for_the_space(space):
    packaged = packaged_selection(space)
    found = chosen_proxies("libra", space)
    assert (found.names, found.combine, found.weights) == (packaged.proxies, packaged.combine, packaged.weights)
    fit = {key: packaged.fitted_on[key] for key in ("target", "n_rows")}
    figures = asdict(packaged.held_out)
    assert found.origin == {"selection": {"source": f"packaged for {space}", **fit, "held_out": figures}}


def test_a_selection_from_a_file_brings_its_combination(selection_file):
    path = selection_file()
    found = chosen_proxies(f"libra:{path}")
    assert (found.names, found.combine) == (("lswag", "nwot", "params"), "mean_rank")
    assert found.origin["selection"] == {"source": str(path), **FITTED_ON}


@pytest.mark.parametrize(
    ("text", "space", "kind"),
    [("recommended", "nasbench201", "cnn"), ("recommended:vit", "mine", "vit"), ("recommended:cnn", None, "cnn")],
)
def test_what_is_recommended_for_a_space_or_a_kind(text, space, kind):
    found = chosen_proxies(text, space)
    assert (found.names, found.combine) == (recommended(kind).proxies, recommended(kind).combine)
    assert found.origin["selection"]["why"] == recommended(kind).why


def test_a_space_of_another_kind_says_which_it_is():
    for space, named in (("mine", "mine"), (None, "a network of your own")):
        words = f"--proxies: nothing is recommended for {named}; .* recommended:cnn for .* or recommended:vit"
        with pytest.raises(InputError, match=words):
            chosen_proxies("recommended", space)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recommended:", "--proxies: 'recommended:' names nothing after the colon; write .*recommended:KIND"),
        ("libra:", "--proxies: 'libra:' names nothing after the colon; write libra:FILE"),
        ("lswag,recommended", "--proxies: recommended stands alone, it is no proxy among others"),
        ("libra,lswag", "--proxies: libra stands alone"),
        ("nwot,all", "--proxies: all stands alone"),
    ],
)
def test_a_word_for_several_proxies_is_complete_and_stands_alone(text, words):
    with pytest.raises(InputError, match=words):
        chosen_proxies(text, "nasbench201")


def test_columns_of_a_table(selection_file):
    table = pd.DataFrame({"accuracy": [1.0], "params": [2.0], "lswag": [3.0]})
    assert columns_of(table, "all") == ["params", "lswag"]
    assert columns_of(table, "accuracy, lswag") == ["accuracy", "lswag"]
    assert columns_of(table, f"libra:{selection_file()}") == ["lswag", "nwot", "params"]
    with pytest.raises(InputError, match="--proxies: libra is for networks of a space"):
        columns_of(table, "libra")


SEARCH = ("search", "nasbench201", "--trials", "2", "--batch-size", "8", "--sampler", "random")


def test_a_search_is_guided_by_the_selection_and_keeps_where_it_came_from(selection_file, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SEARCH, "--proxies", f"libra:{selection_file()}", "--threads", "1", "--out", str(out)]) == 0
    result = json.loads((out / "result.json").read_text())
    objective = result["settings"]["objective"]
    assert (objective["proxies"], objective["combine"]) == (["lswag", "nwot", "params"], "mean_rank")
    assert result["metadata"]["selection"]["n_rows"] == FITTED_ON["n_rows"]
    assert result["settings"]["scoring"]["n_threads"] == 1
    shown = capsys.readouterr().out
    assert f"{selection_file()}: lswag, nwot, params; chosen on 100 networks for cifar10_test, what it is" in shown
    assert "--proxies lswag,nwot,params" in shown  # the command that scores the best again
    assert f"lswag-fast report {out}" in shown


def test_a_search_ranks_by_the_weights_of_a_selection_unless_told_how_to_combine(selection_file, tmp_path):
    path = selection_file(schema_version=2, combine="log_rank", weights=[0.5, 0.25, 0.25])
    assert chosen_proxies(f"libra:{path}").weights == (0.5, 0.25, 0.25)
    weights = [0.5, 0.25, 0.25]
    for options, stored in (
        ((), weights),
        (("--combine", "log_rank"), weights),
        (("--combine", "rank_sum"), None),
    ):
        out = tmp_path / f"run-{'-'.join(options)}"
        assert main([*SEARCH, "--proxies", f"libra:{path}", *options, "--out", str(out)]) == 0
        objective = json.loads((out / "result.json").read_text())["settings"]["objective"]
        assert objective.get("rank_weights") == stored


def test_what_counts_against_is_said_and_never_counts_alike(selection_file, tmp_path, capsys):
    path = selection_file(schema_version=2, combine="log_rank", weights=[0.5, -0.25, -0.25])
    search = [*SEARCH, "--proxies", f"libra:{path}"]
    assert main([*search, "--combine", "rank_sum", "--out", str(tmp_path / "alike")]) == 2
    assert "--combine: by rank_sum all proxies count alike, and nwot counts against" in capsys.readouterr().err
    assert main([*search, "--combine", "borda", "--out", str(tmp_path / "alike")]) == 2
    assert "--combine must be one of log_rank, mean_rank, rank_sum, product, got 'borda'" in capsys.readouterr().err
    assert not (tmp_path / "alike").exists()
    out = tmp_path / "run"
    assert main([*search, "--out", str(out)]) == 0
    assert f"{path}: lswag +0.50, nwot -0.25, params -0.25; chosen on" in capsys.readouterr().out
    assert main(["show", str(out)]) == 0
    assert "combined (log_rank); nwot, params count against\n" in capsys.readouterr().out
    assert "3 proxies by log_rank</small>" in html_report(read_study(out))


def test_a_search_and_show_say_what_a_selection_is_worth_on_others(selection_file, tmp_path, capsys):
    figures = {"selection": (0.64, 0.49, 0.77), "best_alone": (0.62, 0.4, 0.7)}
    alone = {"nwot": (0.6, 0.4, 0.7), "params": (0.43, 0.2, 0.6)}
    stored = {name: Figure(*figure) for name, figure in figures.items()}
    found = HeldOut(**stored, alone={name: Figure(*figure) for name, figure in alone.items()}, n_rows=100, n_halves=9)
    path = selection_file(selection=["nwot"], held_out=asdict(replace(found, inside="inside windows of params +-8 %")))
    words = (
        f"{path}: nwot; chosen on 100 networks for cifar10_test; chosen on one half, it ranks the other inside windows "
        "of params +-8 % with a Spearman of .64 [.49, .77] (the best proxy of the half .62 [.40, .70], nwot alone .60 "
        "[.40, .70], params alone .43 [.20, .60])"
    )
    out = tmp_path / "run"
    assert main([*SEARCH, "--proxies", f"libra:{path}", "--out", str(out)]) == 0
    assert words in capsys.readouterr().out
    assert main(["show", str(out)]) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("proxies", "words"),
    [
        ("libra:nowhere.json", "selection nowhere.json: cannot be read (No such file or directory)"),
        ("libre", "--proxies: there is no proxy 'libre'; all are listed by `lswag-fast proxies`"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(proxies, words, capsys):
    assert main([*SEARCH, "--proxies", proxies]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_space_without_a_packaged_selection_is_refused():
    with pytest.raises(InputError, match="--proxies: a selection is packaged for autoformer-"):
        chosen_proxies("libra", "mine")


def test_a_file_that_names_an_unknown_proxy_is_refused(selection_file, capsys):
    assert main([*SEARCH, "--proxies", f"libra:{selection_file(selection=['lswag', 'magic'])}"]) == 2
    assert "magic" in capsys.readouterr().err
