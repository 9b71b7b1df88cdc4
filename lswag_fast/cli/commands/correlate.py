"""`lswag-fast correlate`: how well the scores of a table rank an accuracy."""

from __future__ import annotations

import argparse

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.figures import add_plot, check_plot, save_figure
from lswag_fast.cli.files import check_targets, write_json
from lswag_fast.cli.proxy_choice import add_columns, columns_of
from lswag_fast.cli.values import file_target, listed, naming
from lswag_fast.cli.views.correlations import joined_correlations, show_correlations
from lswag_fast.files.durable import write_whole

_DESCRIPTION = """\
Rank correlations of the proxies of a table with an accuracy: Spearman, Kendall's tau-b and the overlap of the best 5 %,
with 95 % bootstrap intervals."""

_EPILOG = """\
examples:
  lswag-fast correlate scores.csv --target cifar10_test
  lswag-fast correlate scores.csv --target cifar10_test,cifar100_test --csv rho.csv --plot rho.png
  lswag-fast correlate vit.csv --target imagenet_top1 --window params:8%

Several tables are joined by --key."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_tables(parser)
    parser.add_argument("--target", required=True, metavar="COLUMN,...", help="the accuracies to compare with")
    add_columns(parser)
    options.add_window(parser)
    parser.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples (default: 1000)")
    options.add_seed(parser, "of the resamples")
    parser.add_argument("--csv", type=file_target, metavar="FILE", help="write the table, one row per proxy and target")
    options.add_json(parser, "the table")
    add_plot(parser, "a heatmap of the Spearman correlations")


def _run(args: argparse.Namespace) -> int:
    """Print the correlations, best first, and write what is asked for."""
    from lswag_fast.evaluation.correlation import correlate
    from lswag_fast.plots import plot_correlations

    check_plot(args.plot)
    check_targets({"--csv": args.csv, "--json": args.json, "--plot": args.plot}, args.table)
    data = options.read_tables(args)
    with naming("--target"):
        targets = listed(args.target)
    names = columns_of(data.drop(columns=targets, errors="ignore"), args.proxies)
    window = options.window_of(args)
    found = {
        target: correlate(data, target, names, window=window, n_bootstrap=args.bootstrap, seed=args.seed)
        for target in targets
    }
    joined = joined_correlations(found)
    if args.csv is not None:
        write_whole(args.csv, joined.to_csv(index=False).encode())
    if args.plot is not None:
        columns = {target: rows["spearman"].to_dict() for target, rows in found.items()}
        save_figure(plot_correlations(columns), args.plot)
    if not write_json(args.json, joined.to_dict(orient="records")):
        show_correlations(found, window)
    return 0


_SUMMARY = "rank correlations of proxies with an accuracy"
COMMAND = Command("correlate", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
