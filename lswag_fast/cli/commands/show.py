"""`lswag-fast show`: where a search stands. Reads only, so a running search does not notice."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.console import OUT, say, table
from lswag_fast.study.costs import COSTS, Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lswag_fast.study.stored import StoredStudy
    from lswag_fast.study.trial import Trial

N_REASONS = 10

_DESCRIPTION = """\
Show where a search stands: the best architectures, the front of score against a cost, how fast it runs, what failed
and how to continue. It reads only: a running search can be watched."""

_EPILOG = """\
examples:
  lswag-fast show runs/small
  lswag-fast show runs/small --cost macs
      the front of score against multiply-accumulates"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands,
        "show",
        summary="where a search stands: best, front, rate, failures",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a search")
    choices = tuple(_by_option())
    parser.add_argument("--cost", choices=choices, default=choices[0], help=f"of the front (default: {choices[0]})")
    parser.set_defaults(run=run)


def _by_option() -> dict[str, Cost]:
    """The costs, called as the options of `search` that limit them."""
    return {cost.budget.replace("_", "-"): cost for cost in COSTS.values()}


def run(args: argparse.Namespace) -> int:
    """Print what the study holds."""
    from lswag_fast.study.stored import read_study

    study = read_study(args.folder)
    _show_state(study)
    if study.best is not None:
        _show_best(study)
        _show_front(study, _by_option()[args.cost])
    _show_failures(study)
    _show_next(study)
    return 0


def _show_state(study: StoredStudy) -> None:
    from lswag_fast.report import words
    from lswag_fast.study import summary

    settings, done = study.settings, len(study.trials)
    by = settings.get("function") or ", ".join(settings["proxies"])
    say(f"{settings['space']} by {by}: {study.status}, {done:,} of {study.n_trials_wanted:,} trials")
    lost = len(summary.failed(study.trials))
    speed = words.rate(done, study.elapsed_ms)
    say(f"{done - lost:,} scored, {lost:,} failed; {words.duration(study.elapsed_ms)}, {speed}")
    if settings["budget"]:
        say(f"budget: {words.budget(settings['budget'])}")
    say(f"sampler: {settings['sampler']['name']}, seed {settings['seed']}")
    if settings.get("data"):
        say(f"data: {settings['data']}")


def show_best(best: Sequence[Trial]) -> None:
    """Print the best trials, best first."""
    from lswag_fast.report.tables import LEFT, best_table

    # Where a trial comes from gives way to the values of several proxies: a row has to fit on a terminal.
    head, rows = best_table(best, with_origin=len(best[0].values) < 2)
    shown = table(*head, left=LEFT)
    for row in rows:
        shown.add_row(*row)
    OUT.print(shown)


def _show_best(study: StoredStudy) -> None:
    best = study.top()
    say("\nbest:")
    show_best(best)
    say(f"\nthe best architecture:\n{best[0].arch_json}")


def _show_front(study: StoredStudy, cost: Cost) -> None:
    front = study.front(cost.field)
    if not front:
        say(f"\nfront: the {cost.name} was not measured")
        return
    rows = table(cost.heading, "score", "trial")
    for trial in front:
        rows.add_row(cost.write(getattr(trial, cost.field)), f"{trial.score:.6g}", str(trial.number))
    say(f"\nfront of score against {cost.name}:")
    OUT.print(rows)


def _show_failures(study: StoredStudy) -> None:
    from lswag_fast.report.tables import trial_numbers
    from lswag_fast.study.summary import failures_by_reason

    found = failures_by_reason(study.trials)
    if not found:
        return
    say("\nfailures:")
    for reason, trials in list(found.items())[:N_REASONS]:
        say(f"  {len(trials)} x {reason} ({'trial' if len(trials) == 1 else 'trials'} {trial_numbers(trials)})")
    if len(found) > N_REASONS:
        say(f"  and {len(found) - N_REASONS} other reasons, see trials.csv")


def _show_next(study: StoredStudy) -> None:
    from lswag_fast.report.steps import next_steps

    for what, command in next_steps(study).items():
        say(f"\n{what}:\n  {command}")
