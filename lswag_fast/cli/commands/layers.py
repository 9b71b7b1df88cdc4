"""`lswag-fast layers`: where in depth the gradients of a space's networks stand out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say, show_table, table
from lswag_fast.cli.figures import add_plot, check_plot, save_figure
from lswag_fast.cli.files import write_json
from lswag_fast.cli.score_options import add_score_options, score_options

if TYPE_CHECKING:
    from lswag_fast.evaluation.layer_study import LayerStudy

_DESCRIPTION = """\
Draw random networks of a space, measure the spread sigma of every layer's gradients, and show it by depth (Equation 6).
The interval to score is the widest run of bins that lie one standard deviation above the mean."""

_EPILOG = """\
examples:
  lswag-fast layers nasbench201 --trials 1000 --data cifar10_subset.npz --split train --batch-size 64
  lswag-fast layers autoformer-tiny --trials 200 --batch-size 16 --plot layers.png --json layers.json
  lswag-fast search autoformer-tiny --layers 3,4"""


_OPTIONS = ("init", "task", "loss_fn")
"""Of a score, those that change what is studied."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    options.add_trials(parser, "random networks (default: 1000)", 1000)
    add_plot(parser, "the curve")
    options.add_json(parser, "bins and interval")
    options.add_seed(parser, "of the networks, their weights and the batch")
    options.add_data_options(parser, "digits")
    options.add_network_options(parser)
    add_score_options(parser, _OPTIONS)


def _run(args: argparse.Namespace) -> int:
    """Study the layers, print the bins and the interval."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.evaluation.layer_study import study_layers

    check_plot(args.plot)
    space = targets.find_space(args.space, args)
    batch = targets.space_batch(space, args)
    build = targets.network_builder(space, args)
    given = targets.fitting_loss(space, score_options(args, ("lswag",), space.name, _OPTIONS))
    with CountProgress("studying layers") as progress:
        study = study_layers(
            space, batch.batch, n=args.trials, build=build, seed=args.seed, options=given, callback=progress
        )
    if args.plot is not None:
        save_figure(study.plot(), args.plot)
    if not write_json(args.json, _facts(study, batch.description)):
        _show(study, f"{batch.description}\n{targets.networks_in_words(space, args, given)}")
    return 0


def _facts(study: LayerStudy, data: str) -> dict[str, Any]:
    return {
        "space": study.space,
        "interval": study.interval,
        "n_networks": study.n_networks,
        "data": data,
        "bins": study.bins.reset_index().to_dict(orient="records"),
    }


def _show(study: LayerStudy, data: str) -> None:
    rows = table("bin", "ln sigma", "std", "layers")
    for bin_, row in study.bins.iterrows():
        rows.add_row(
            str(bin_), options.figure(row["mean"]), options.figure(row["standard_deviation"]), f"{row['n']:.0f}"
        )
    show_table(rows)
    found = "no bin stands out: score all layers"
    if study.interval is not None:
        found = f"--layers {study.interval[0]},{study.interval[1]}"
    say(f"\n{found}\ndata: {data}")


COMMAND = Command("layers", "find the layers to score in a space", _DESCRIPTION, _EPILOG, _add_options, _run)
