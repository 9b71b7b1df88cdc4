"""Progress where there is no terminal: a plain line now and then."""

import re

from lswag_fast.cli.progress import CountProgress, SearchProgress
from lswag_fast.study.trial import COMPLETE


class Study:
    best = None
    n_told = 5
    trials = ()


class Trial:
    number = 4
    state = COMPLETE


def test_a_plain_progress_line_where_there_is_no_terminal(capsys):
    with SearchProgress(10, plain_line_s=0.0) as progress:
        progress(Study(), Trial())
    err = capsys.readouterr().err
    assert re.match(r"5/10 trials, no score yet, [^,]+ per second, .+ left\n", err)
    assert err.count("\n") == 1


def test_no_progress_line_before_its_time(capsys):
    with SearchProgress(10, plain_line_s=1e6) as progress:
        progress(Study(), Trial())
    assert capsys.readouterr().err == ""


def test_what_is_counted_is_named(capsys):
    with CountProgress("evaluating", plain_line_s=0.0) as progress:
        progress(3, 7)
    assert capsys.readouterr().err == "evaluating: 3/7\n"
