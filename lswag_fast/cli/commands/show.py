"""`lswag-fast show`: where a search stands. Reads only, so a running search does not notice."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.console import OUT, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from lswag_fast.study.stored import StoredStudy
    from lswag_fast.study.trial import Trial

N_REASONS = 10
COSTS = {"params": "n_params", "MACs": "macs", "latency": "latency_ms"}

_DESCRIPTION = """\
Show where a search stands: the best architectures, the front of score against a cost, how fast it runs, what failed
and how to continue. It reads only: a running search can be watched."""

_EPILOG = """\
examples:
  lswag-fast show runs/small
  lswag-fast show runs/small --cost MACs
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
    parser.add_argument("--cost", choices=COSTS, default="params", help="of the front (default: params)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what the study holds."""
    from lswag_fast.study.stored import read_study

    study = read_study(args.folder)
    _show_state(study)
    if study.best is not None:
        _show_best(study)
        _show_front(study, args.cost)
    _show_failures(study)
    _show_next(study)
    return 0


def _show_state(study: StoredStudy) -> None:
    from lswag_fast.report import numbers, words

    settings, done = study.settings, len(study.trials)
    by = settings.get("function") or ", ".join(settings["proxies"])
    say(f"{settings['space']} by {by}: {study.status}, {done:,} of {study.n_trials_wanted:,} trials")
    lost = len(numbers.failed(study.trials))
    speed = words.rate(done, study.elapsed_ms)
    say(f"{done - lost:,} scored, {lost:,} failed; {words.duration(study.elapsed_ms)}, {speed}")
    if settings["budget"]:
        say(f"budget: {words.budget(settings['budget'])}")
    say(f"sampler: {settings['sampler']['name']}, seed {settings['seed']}")
    if settings.get("data"):
        say(f"data: {settings['data']}")


def best_table(best: Sequence[Trial]) -> Table:
    """The best trials, best first: score, costs and the values of the proxies, as wide as a terminal."""
    from lswag_fast.report import words

    costs = {key: field for key, field in COSTS.items() if any(getattr(trial, field) is not None for trial in best)}
    # What a trial came from gives way to its values: a row is to fit on a terminal.
    proxies = list(best[0].values) if len(best[0].values) > 1 else []
    last = ("origin",) if not proxies else ()
    rows = table("rank", "score", *costs, *proxies, "trial", *last, left=("origin",))
    for rank, trial in enumerate(best, start=1):
        shown = (words.cost(getattr(trial, field), field) for field in costs.values())
        values = (f"{trial.values[name]:.5g}" for name in proxies)
        origin = (trial.origin,) if last else ()
        rows.add_row(str(rank), f"{trial.score:.6g}", *shown, *values, str(trial.number), *origin)
    return rows


def _show_best(study: StoredStudy) -> None:
    best = study.top()
    say("\nbest:")
    OUT.print(best_table(best))
    say(f"\nthe best architecture:\n{best[0].arch_json}")


def _show_front(study: StoredStudy, name: str) -> None:
    from lswag_fast.report import words

    front = study.front(COSTS[name])
    if not front:
        say(f"\nfront: the {name} was not measured")
        return
    rows = table(name, "score", "trial")
    for trial in front:
        value = words.cost(getattr(trial, COSTS[name]), COSTS[name])
        rows.add_row(value, f"{trial.score:.6g}", str(trial.number))
    say(f"\nfront, the best score at or below each number of {name}:" if name != "latency" else "\nfront, by latency:")
    OUT.print(rows)


def _show_failures(study: StoredStudy) -> None:
    from lswag_fast.report.numbers import reasons

    found = reasons(study.trials)
    if not found:
        return
    say("\nfailures:")
    for reason, trials in list(found.items())[:N_REASONS]:
        say(f"  {len(trials)} x {reason} ({_named(trials)})")
    if len(found) > N_REASONS:
        say(f"  and {len(found) - N_REASONS} other reasons, see trials.csv")


def _named(trials: list[Trial]) -> str:
    word = "trial" if len(trials) == 1 else "trials"
    return f"{word} {', '.join(str(trial.number) for trial in trials[:5])}{', ...' if len(trials) > 5 else ''}"


def _show_next(study: StoredStudy) -> None:
    from lswag_fast.report.steps import next_steps

    for what, command in next_steps(study).items():
        say(f"\n{what}:\n  {command}")
