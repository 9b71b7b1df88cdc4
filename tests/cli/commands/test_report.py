"""`lswag-fast report`."""

import sys

import pytest

from lswag_fast.cli import main
from lswag_fast.study.stored import read_study

SEARCH = ("search", "support.user_networks:Mlps", "--batch-size", "16", "--trials", "4")


@pytest.fixture
def own(tmp_path, capsys):
    assert main([*SEARCH, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def test_report_is_one_page_beside_the_study_or_where_it_is_asked_for(own, tmp_path, capsys):
    pytest.importorskip("plotly")
    assert main(["report", str(own)]) == 0
    assert capsys.readouterr().out == f"report: {own / 'report.html'}\n"
    elsewhere = tmp_path / "new" / "page.html"
    assert main(["report", str(own), "-o", str(elsewhere)]) == 0
    page = elsewhere.read_text()
    assert page.startswith("<!doctype html>")
    assert read_study(own).best.arch_json.replace('"', "&quot;") in page


def test_a_report_without_plotly_says_what_to_install(own, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert main(["report", str(own)]) == 2
    assert "pip install 'lswag-fast[report]'" in capsys.readouterr().err
    assert not (own / "report.html").exists()
