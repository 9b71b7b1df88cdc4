"""`lswag-fast report`."""

import sys

import pytest

from lswag_fast.cli import main
from lswag_fast.study.stored import read_study
from report.test_trainings import comparison_folder, training_folder

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


@pytest.mark.parametrize(
    ("make", "heading"), [(training_folder, "Course of the training"), (comparison_folder, "Methods side by side")]
)
def test_a_training_and_a_comparison_have_pages_of_their_own(tmp_path, capsys, make, heading):
    pytest.importorskip("plotly")
    folder = make(tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    assert f"<h2>{heading}</h2>" in (folder / "report.html").read_text()


def test_a_report_without_plotly_says_what_to_install(own, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert main(["report", str(own)]) == 2
    assert "pip install 'lswag-fast[report]'" in capsys.readouterr().err
    assert not (own / "report.html").exists()
