"""`lswag-fast evaluate`: score the architectures of a benchmark table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.console import say

_DESCRIPTION = """\
Score the architectures of a benchmark table with any proxies, one row each in a CSV with the table's own columns.
Run again with the same options, it goes on where it stopped; with a larger --n, it adds to the file."""

_EPILOG = """\
examples:
  lswag-fast evaluate nasbench201 --table nb201_accuracy.csv.gz --proxies lswag,zico,swap,nwot \\
      --data cifar10_subset.npz --split train --batch-size 64 --n 1000 --init kaiming --out scores.csv
  lswag-fast correlate scores.csv --target cifar10_test

The table is .csv, .csv.gz, .parquet, or .json in the layout of NAS-Bench-Suite-Zero."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands,
        "evaluate",
        summary="score the architectures of a benchmark table",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("space", metavar="SPACE", help="a named space, or package.module:factory")
    parser.add_argument("--table", required=True, type=Path, metavar="FILE", help="the architectures")
    parser.add_argument("--key", default="arch", metavar="COLUMN", help="the column that names them (default: arch)")
    parser.add_argument("--dataset", metavar="NAME", help="which data set of a .json table")
    parser.add_argument("--proxies", default="lswag", metavar="NAME,...", help="names, or all (default: lswag)")
    parser.add_argument("--n", type=options.positive, metavar="N", help="architectures, drawn by --seed (default: all)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the CSV to write or to go on with")
    parser.add_argument("--mode", choices=("train", "eval"), default="train", help="of the networks (default: train)")
    parser.add_argument("--init", default="own", metavar="NAME", help="own, kaiming, xavier or gaussian (default: own)")
    parser.add_argument("--threads", type=options.positive, default=1, metavar="N", help="a network (default: 1)")
    parser.add_argument("--chunk-size", type=options.positive, metavar="N", help="samples at one time, to save memory")
    options.add_proxy_options(parser)
    options.add_data_options(parser, "digits")
    options.add_network_options(parser, with_checkpoint=False)
    options.add_pattern_options(parser)
    options.add_executor_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score what is missing and say where the rows lie."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.data.tables import read_table
    from lswag_fast.evaluation.evaluate import Task, evaluate
    from lswag_fast.execution.executors import chosen_executor

    space = targets.find_space(args.space, args)
    table = read_table(args.table, args.key, args.dataset)
    batch = targets.load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    proxies = tuple(options.proxy_names(args.proxies))
    score_options = {
        "features": args.features,
        "chunk_size": args.chunk_size,
        "proxy_options": options.chosen_proxy_options(args, proxies),
        **options.score_options(args, space.name),
    }
    task = Task(space, batch.batch, proxies, args.mode, args.init, args.seed, args.threads, score_options)
    settings = {"data": batch.description, "table": args.table.name}
    with CountProgress("evaluating") as progress, chosen_executor(args.workers, args.dask) as executor:
        count = evaluate(task, table, args.out, n=args.n, settings=settings, executor=executor, callback=progress)
    say(f"{count} architectures scored now; rows: {args.out}")
    return 0
