"""`lswag-fast compare`: methods of search side by side, by the test accuracy of what they find."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import figures, options, stopping, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import ERR, say, show_table, table
from lswag_fast.cli.proxy_choice import LIBRA, named_selection
from lswag_fast.cli.training import supernets
from lswag_fast.cli.values import command_words, listed, naming, positive, shell_line
from lswag_fast.cli.views.selection import show_selection
from lswag_fast.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.spaces import SearchSpace
    from lswag_fast.training.methods import Method

N_SEEDS = 3

_DESCRIPTION = """\
Let several methods search one space under one budget, train what each found from fresh weights, and compare the
accuracies on test images that nothing else has seen; with several seeds, since one run says little. The folder holds
each search and each training, comparison.csv with a row for each, and comparison.svg, a figure of them (with
matplotlib: pip install 'lswag-fast[plot]'). Searches and trainings run one after the other, each search in as many
processes as --workers says. Run again with the same options, it continues where it stopped; more methods or seeds add
to it."""

_EPILOG = """\
methods:
  random                one architecture of the budget
  inherited_accuracy    evolution by the accuracy with the supernet's weights (AutoFormer)
  lswag                 evolution by L-SWAG (L-SWAG-NAS)
  libra:FILE            evolution by what `lswag-fast libra` chose on a benchmark table (LIBRA-NAS)
  nwot, az_nas, params  evolution by these

examples:
  lswag-fast compare autoformer-tiny --supernet runs/supernet --params 5M..7M --out runs/compared
  lswag-fast compare autoformer-tiny --supernet runs/supernet --params 5M..7M \\
      --methods random,inherited_accuracy,lswag,libra:selection.json --seeds 5 --out runs/compared"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    options.add_supernet(parser, "folder of the trained supernet of the space, whose images are used", required=True)
    text = "what to compare, see below (default: all but libra)"
    parser.add_argument("--methods", metavar="NAME,...", help=text)
    text = f"searches and trainings of each method (default: {N_SEEDS})"
    parser.add_argument("--seeds", type=positive, default=N_SEEDS, metavar="N", help=text)
    options.add_trials(parser, "architectures that each method scores (default: 200)", 200)
    options.add_out(parser, "folder of the comparison, new or to continue", metavar="DIR", required=True)
    figures.add_plot(parser, "the accuracies with their intervals as a figure there, in place of DIR/comparison.svg")
    options.add_budget(parser)
    group = parser.add_argument_group("data")
    text = "where the images that the supernet was trained on are now (default: where they were)"
    group.add_argument("--data", metavar="SOURCE", help=text)
    text = "images that proxies see (default: 32)"
    group.add_argument("--batch-size", type=positive, default=32, metavar="B", help=text)
    options.add_training_from_scratch(parser)
    options.add_executor_options(parser, n_threads=1)


def _run(args: argparse.Namespace) -> int:
    """Search and train what is missing, show the table; return 0, or 130 or 143 after a signal."""
    from lswag_fast.data.tables import read_table
    from lswag_fast.execution import open_executor
    from lswag_fast.study.budget import Budget
    from lswag_fast.training.compare import ROWS_FILE, Comparison, compare

    figures.check_plot(args.plot)
    supernet = supernets.find_supernet(args)
    supernets.take_sizes(args, supernet)
    methods, origin = _methods(args, supernet.space)
    images = supernets.images_of(supernet.data, supernet.space, args)
    budget = Budget(params=args.params, macs=args.macs)
    comparison = Comparison(
        supernet.space, images, budget, args.trials, args.batch_size, supernet.weights, args.threads
    )
    interrupts = stopping.said_aloud()
    trainer = supernets.scratch_trainer(supernet.space, images, args, interrupts, with_test=True)
    for method in methods:
        show_selection(origin if method.name == LIBRA else {}, method.proxies, method.rank_weights)
    with (
        targets.threads(args.threads),
        interrupts,
        open_executor(args.workers, args.dask, args.timeout_s) as executor,
    ):
        finished = compare(
            comparison,
            methods,
            range(args.seeds),
            trainer,
            args.out,
            executor=executor,
            interrupts=interrupts,
            callback=lambda text, done, total: say(f"{done}/{total} {text}", ERR),
        )
    if not finished:
        say(f"stopped\ncontinue: {shell_line(['compare', *command_words(args.parser, args)])}", ERR)
        return stopping.exit_code(interrupts)
    rows = read_table(args.out / ROWS_FILE, "run")
    _show(rows, methods)
    say(f"\nall rows: {args.out / ROWS_FILE}")
    _draw(rows, methods, args)
    return 0


def _methods(args: argparse.Namespace, space: SearchSpace) -> tuple[list[Method], dict[str, Any]]:
    """The methods that --methods names, and where LIBRA's selection comes from."""
    from lswag_fast.training.methods import chosen_methods

    with naming("--methods"):
        if args.methods is None:
            return chosen_methods(has_supernet=True), {}
        names, selection, origin = [], None, dict[str, Any]()
        for word in listed(args.methods):
            is_libra = word.partition(":")[0] == LIBRA
            if is_libra:
                selection, origin = named_selection(word, space.name)
            names.append(LIBRA if is_libra else word)
        return chosen_methods(names, selection=selection, has_supernet=True), origin


def _show(rows: pd.DataFrame, methods: list[Method]) -> None:
    """A row for each method: means over its seeds, and the ends of their intervals."""
    from lswag_fast.training.compare import summary

    shown = table("method", "params", "search", "test accuracy", "lowest", "highest", "seeds", left=("method",))
    for label, found in summary(rows, methods).items():
        shown.add_row(
            label,
            f"{found.n_params:,.0f}",
            f"{found.search_s:.1f} s",
            f"{found.accuracy:.2%}",
            f"{found.lowest:.2%}",
            f"{found.highest:.2%}",
            str(found.n_seeds),
        )
    show_table(shown)


def _draw(rows: pd.DataFrame, methods: list[Method], args: argparse.Namespace) -> None:
    """The figure; where none was asked for and matplotlib is missing, why there is none."""
    from lswag_fast.plots import plot_methods
    from lswag_fast.training.compare import FIGURE_FILE, accuracies

    path = args.plot or args.out / FIGURE_FILE
    try:
        figure = plot_methods(accuracies(rows, methods))
    except MissingExtraError as error:  # --plot was refused for that before anything was searched
        say(f"no figure: {error}")
        return
    figures.save_figure(figure, path)
    say(f"figure: {path}")


COMMAND = Command("compare", "methods of search side by side on your data", _DESCRIPTION, _EPILOG, _add_options, _run)
