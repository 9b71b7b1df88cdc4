"""`lswag-fast show`: where a search stands. It reads only, so a running search does not notice."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.files import write_json
from lswag_fast.cli.proxy_choice import ALL, OPTION
from lswag_fast.cli.values import listed, naming
from lswag_fast.cli.views import study as study_view
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.study.costs import Cost
    from lswag_fast.study.stored import StoredStudy

_DESCRIPTION = """\
Show where a search stands: the best architectures, the front of score against a cost, how fast it runs, what failed
and how to continue. The search is only read, so it may be running."""

_EPILOG = """\
examples:
  lswag-fast show runs/small
  lswag-fast show runs/small --cost macs
      the front of score against multiply-accumulates
  lswag-fast show runs/small --json - | jq .best[0]"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_folder(parser)
    text = "of the front, called as the option of `search` that limits it: params, macs or latency-ms (default: params)"
    parser.add_argument("--cost", type=_cost, default="params", metavar="NAME", help=text)
    text = "whose values to show for the best architectures (default: all that were combined)"
    parser.add_argument(OPTION, default=ALL, metavar="NAME,...", help=text)
    options.add_json(parser, "best, front, failures and settings")


def _cost(name: str) -> Cost:
    """Read the name of a cost (for argparse)."""
    from lswag_fast.study.costs import COSTS  # late: the help is not to wait for torch

    by_option = {cost.budget.replace("_", "-"): cost for cost in COSTS.values()}
    if name not in by_option:
        raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(by_option)}")
    return by_option[name]


def _run(args: argparse.Namespace) -> int:
    from lswag_fast.study.stored import read_study

    study, cost = read_study(args.folder), args.cost
    columns = _columns(study, args.proxies)  # refused before anything is shown
    if write_json(args.json, _facts(study, cost)):
        return 0
    study_view.show_state(study)
    best = study.top()
    if best:
        say("\nbest:")
        study_view.show_best(best, columns)
        study_view.show_combination(study.settings.objective, best)
        study_view.show_repeats(study)
        say(f"\nthe best architecture:\n{best[0].arch_json}")
        study_view.show_front(study, cost)
    study_view.show_failures(study)
    _show_next(study)
    return 0


def _columns(study: StoredStudy, text: str) -> list[str] | None:
    if text == ALL:
        return None
    with naming(OPTION):
        names, known = listed(text), study.settings.objective.proxies
    for name in names:
        if name not in known:
            raise InputError(f"{OPTION}: {name!r} is not among the proxies of this search: {', '.join(known)}")
    return names


def _facts(study: StoredStudy, cost: Cost) -> dict[str, Any]:
    from lswag_fast.study.summary import failures_by_reason

    return {
        "status": study.status,
        "n_trials": len(study.trials),
        "n_trials_wanted": study.n_trials_wanted,
        "elapsed_ms": study.elapsed_ms,
        "best": [trial.to_dict() for trial in study.top()],
        "finalists": [trial.to_dict() for trial in study.finalists],
        "rank_intervals": {number: asdict(found) for number, found in study.rank_intervals().items()},
        "front": [trial.to_dict() for trial in study.front(cost.field)],
        "failures": {
            reason: [trial.number for trial in trials] for reason, trials in failures_by_reason(study.trials).items()
        },
        "settings": study.settings.to_json(),
        "metadata": dict(study.metadata),
        "versions": dict(study.versions),
    }


def _show_next(study: StoredStudy) -> None:
    from lswag_fast.report.steps import next_steps

    for what, command in next_steps(study).items():
        say(f"\n{what}:\n  {command}")


_SUMMARY = "where a search stands: best, front, rate, failures"
COMMAND = Command("show", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
