"""Progress where there is no terminal: a plain line now and then."""

import re
import threading
import time

from lswag_fast.cli.progress import CountProgress, SearchProgress
from lswag_fast.study.study import Study as RealStudy
from lswag_fast.study.trial import COMPLETE
from study.toy_space import ToySpace


class Study:
    best = None
    n_told = 5
    trials = ()


class Trial:
    number = 4
    arch_json = '{"width":3}'
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


def test_a_candidate_that_runs_for_long_is_named_until_it_ends(capsys):
    said = []
    with SearchProgress(10, plain_line_s=1e6, long_s=0.02) as progress:
        progress.started(Study(), Trial())
        while not (line := capsys.readouterr().err):
            time.sleep(0.01)
        said.append(line)
        progress(Study(), Trial())
        capsys.readouterr()
    assert re.match(
        r'trial 4 has been running since \d\d:\d\d:\d\d, for [^,]+ s: \{"width":3\}; with --timeout-s', said[0]
    )
    assert not [thread for thread in threading.enumerate() if thread.name == "lswag-fast watch"]


def test_candidates_that_end_soon_are_not_named(capsys):
    with SearchProgress(10, plain_line_s=1e6) as progress:
        progress.started(Study(), Trial())
        progress(Study(), Trial())
    assert capsys.readouterr().err == ""


def test_what_is_counted_is_named(capsys):
    with CountProgress("evaluating", plain_line_s=0.0) as progress:
        progress(3, 7)
    assert capsys.readouterr().err == "evaluating: 3/7\n"


def test_finalists_are_counted(capsys):
    study = RealStudy(ToySpace(), "random", n_finalists=3)
    for score in range(4):
        study.tell(study.ask(), score)
    with SearchProgress(4, plain_line_s=0.0) as progress:
        for trial in study.unsettled()[:2]:
            study.tell_exact(trial, 1.0)
            progress.rescored(study, trial)
    assert capsys.readouterr().err == "".join(f"finalists: {n} scored exactly, {3 - n} left\n" for n in (1, 2))
