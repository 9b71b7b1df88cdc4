"""`lswag-fast search --proxy`: names, and the selections of LIBRA."""

import argparse
import json

import pytest

from lswag_fast.cli import main
from lswag_fast.cli.objective import chosen_proxies
from lswag_fast.libra.stored import packaged_selection

FITTED_ON = {"target": "cifar10_test", "n_rows": 100}


@pytest.fixture
def selection_file(tmp_path):
    def write(**changes):
        content = {"schema_version": 1, "selection": ["lswag", "nwot", "params"], "combine": "mean_rank"}
        path = tmp_path / "selection.json"
        path.write_text(json.dumps({**content, "fitted_on": FITTED_ON, **changes}))
        return path

    return write


def chosen(proxy, space="autoformer-tiny", combine=None):
    return chosen_proxies(argparse.Namespace(proxy=proxy, combine=combine), space)


def test_names_are_taken_as_they_are():
    assert chosen("lswag, nwot").proxies == ("lswag", "nwot")
    assert chosen("lswag").combine is None
    assert chosen("lswag").origin == {}


@pytest.mark.parametrize("space", ["autoformer-tiny", "autoformer-small", "autoformer-base"])
def test_libra_is_what_is_packaged_for_the_space(space):
    packaged = packaged_selection(space)
    found = chosen("libra", space)
    assert (found.proxies, found.combine) == (packaged.proxies, packaged.combine)
    fit = {key: packaged.fitted_on[key] for key in ("target", "n_rows")}
    assert found.origin == {"selection": {"source": f"packaged for {space}", **fit}}


def test_a_selection_from_a_file_brings_its_combination_unless_another_is_asked_for(selection_file):
    path = selection_file()
    found = chosen(f"libra:{path}", "some-space")
    assert (found.proxies, found.combine) == (("lswag", "nwot", "params"), "mean_rank")
    assert found.origin["selection"] == {"source": str(path), **FITTED_ON}
    assert chosen(f"libra:{path}", combine="product").combine == "product"


SEARCH = ("search", "nasbench201", "--trials", "2", "--batch-size", "8", "--sampler", "random")


def test_a_search_is_guided_by_the_selection_and_keeps_where_it_came_from(selection_file, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SEARCH, "--proxy", f"libra:{selection_file()}", "--threads", "1", "--out", str(out)]) == 0
    settings = json.loads((out / "result.json").read_text())["settings"]
    assert (settings["proxies"], settings["combine"]) == (["lswag", "nwot", "params"], "mean_rank")
    assert settings["selection"]["n_rows"] == FITTED_ON["n_rows"]
    assert settings["n_threads"] == 1
    shown = capsys.readouterr().out
    assert "--proxy lswag,nwot,params" in shown  # the command that scores the winner again
    assert f"lswag-fast report {out}" in shown


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("libra", "a selection is packaged for autoformer-"),
        ("libra:nowhere.json", "selection nowhere.json: cannot be read"),
        ("libra:", "selection : cannot be read"),
        ("libre", "proxy must be one of"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(proxy, words, capsys):
    assert main([*SEARCH, "--proxy", proxy]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_file_that_names_an_unknown_proxy_is_refused(selection_file, capsys):
    assert main([*SEARCH, "--proxy", f"libra:{selection_file(selection=['lswag', 'magic'])}"]) == 2
    assert "magic" in capsys.readouterr().err
