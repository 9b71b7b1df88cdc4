"""`lswag-fast evaluate`: score the architectures of a benchmark table."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say, say_warning
from lswag_fast.cli.files import check_targets
from lswag_fast.cli.proxy_choice import add_proxies, chosen_proxies
from lswag_fast.cli.score_options import add_score_options, score_options
from lswag_fast.cli.training import supernets
from lswag_fast.cli.values import listed, naming
from lswag_fast.cli.views.correlations import show_correlations
from lswag_fast.errors import InputError, SpaceError, TableError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lswag_fast.integrations import Nb301Surrogate
    from lswag_fast.libra.windows import ComparisonWindow
    from lswag_fast.spaces import SearchSpace

NB301 = "nb301"
NB301_ACCURACY = "nb301_accuracy"
"""The column that --accuracy nb301 adds."""
# Of warnings that name layers, each architecture may have its own.
_SAID_WARNINGS = 5

_DESCRIPTION = """\
Score the architectures of a benchmark table by any proxies, one row each in a CSV with the table's own columns.
Run again with the same options, it continues where it stopped; with a larger --trials, it adds to the file."""

_EPILOG = """\
examples:
  lswag-fast evaluate nasbench201 --table nb201_accuracy.csv.gz --proxies lswag,zico,swap,nwot \\
      --data cifar10_subset.npz --split train --batch-size 64 --trials 1000 --init kaiming --out scores.csv
  lswag-fast correlate scores.csv --target cifar10_test

  LSWAG_NB301=nb_models_1.0/xgb_v1.0 lswag-fast evaluate darts --accuracy nb301 --trials 300 --proxies lswag,nwot \\
      --data cifar10_subset.npz --split train --batch-size 64 --target nb301_accuracy --out scores.csv
      300 random genotypes, their accuracies predicted by a surrogate of NAS-Bench-301

The table is .csv, .csv.gz, .parquet, or .json in the layout of NAS-Bench-Suite-Zero. Of one that `lswag-fast benchmark`
wrote, the images are those that its supernet was trained on, and --data says where they are now."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    text = "the architectures (default: with --accuracy, --trials random ones)"
    parser.add_argument("--table", type=Path, metavar="FILE", help=text)
    options.add_table_options(parser)
    text = (
        "nb301: ask the surrogate of NAS-Bench-301 in the folder that the environment variable LSWAG_NB301 names, for "
        f"the space darts; column {NB301_ACCURACY}"
    )
    parser.add_argument("--accuracy", choices=(NB301,), help=text)
    options.add_trials(parser, "architectures to score, drawn from the table by --seed (default: all)")
    options.add_out(parser, "the CSV to write, or to continue", required=True)
    add_proxies(parser)
    options.add_data_options(parser, "the images of the table where it names them, else digits")
    options.add_network_options(parser, with_checkpoint=False)
    add_score_options(parser)
    options.add_executor_options(parser, n_threads=1)
    group = parser.add_argument_group("correlations")
    text = "the accuracies to compare the scores with, once all are there (default: none)"
    group.add_argument("--target", metavar="COLUMN,...", help=text)
    options.add_window(group)


def _run(args: argparse.Namespace) -> int:
    """Score what is missing and say where the rows are."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.data.tables import read_table
    from lswag_fast.evaluation import evaluate
    from lswag_fast.execution import open_executor
    from lswag_fast.score_job import ScoreJob
    from lswag_fast.spaces.traits import default_mode_of

    if args.out.suffix != ".csv":
        raise InputError(f"--out: the rows are written as CSV; name a file that ends in .csv, not {args.out}")
    check_targets({"--out": args.out}, _files(args))
    space = targets.find_space(args.space, args)
    table, source = _table(args, space)
    batch, data = _batch(args, space, table)
    proxies = chosen_proxies(args.proxies, space.name).parts
    window = _checked_window(args, table, proxies)
    job = ScoreJob(
        space,
        batch,
        tuple(proxies),
        mode=args.mode or default_mode_of(space) or "train",
        seed=args.seed,
        n_threads=args.threads,
        options=targets.fitting_loss(space, score_options(args, proxies, space.name)),
        weights="fresh",
    )
    settings = {"data": data, **source}
    with CountProgress("evaluating") as progress, open_executor(args.workers, args.dask, args.timeout_s) as executor:
        n = _n_of_table(args)
        count = evaluate(job, table, args.out, n=n, settings=settings, executor=executor, callback=progress)
    rows = read_table(args.out, args.key)
    _say_warnings(rows)
    _say_without_value(rows, proxies)
    say(f"scored {count} architectures; all rows: {args.out}")
    say(targets.networks_in_words(space, args, job.options))
    say(f"data: {data if isinstance(data, str) else 'the training part of the images of the table'}")
    if "accuracy" in source:
        say(f"{NB301_ACCURACY}: predicted by the surrogate {source['accuracy']} of NAS-Bench-301")
    if args.target is not None:
        _correlate(args, proxies, window)
    return 0


def _files(args: argparse.Namespace) -> list[Path]:
    """The tables that are read."""
    return [] if args.table is None else [args.table]


def _table(args: argparse.Namespace, space: SearchSpace) -> tuple[pd.DataFrame, dict[str, str]]:
    """The architectures with their columns, and what says where both come from.

    Raises:
        InputError: there are no architectures, fewer than --trials, or no accuracies for them.
        TableError: the table cannot be read, or names what NAS-Bench-301 has not.
    """
    from lswag_fast.integrations import load_nb301

    options.check_dataset(args.dataset, _files(args))
    if args.accuracy is None:
        return _architectures(args, space), {"table": args.table.name}
    with naming("--accuracy"):
        surrogate = load_nb301(space)
    source = "random architectures" if args.table is None else args.table.name
    table = _with_accuracies(_architectures(args, space), surrogate, args)
    return table, {"table": source, "accuracy": surrogate.name}


def _architectures(args: argparse.Namespace, space: SearchSpace) -> pd.DataFrame:
    """Those of --table; without one as many random ones as --trials says, or as the file has already."""
    import pandas as pd

    from lswag_fast.data.tables import read_table
    from lswag_fast.evaluation.rows import named_rows

    if args.table is None:
        if args.accuracy is None:
            raise InputError("--table: name the file of the architectures, or draw some: --accuracy nb301 --trials N")
        if args.trials is None:
            raise InputError("--trials: say how many random architectures are to be scored, or name a --table")
        n = max(args.trials, len(named_rows(args.out)))
        return pd.DataFrame(index=pd.Index(_drawn(space, n, args.seed), name=args.key))
    table = read_table(args.table, args.key, args.dataset)
    if args.trials is not None and args.trials > len(table):
        raise InputError(f"--trials is {args.trials}, the table has {len(table)} architectures")
    return table


def _n_of_table(args: argparse.Namespace) -> int | None:
    """How many rows of the table are drawn: all of one that was drawn itself, in its order, so that more add to it."""
    return None if args.table is None else args.trials


def _drawn(space: SearchSpace, n: int, seed: int) -> list[str]:
    """Different random architectures of `darts`, to which a larger n adds; with 10^20 of them they do not run out."""
    rng, found = random.Random(seed), dict[str, None]()
    while len(found) < n:
        found[space.encode(space.sample(rng))] = None
    return list(found)


def _with_accuracies(table: pd.DataFrame, surrogate: Nb301Surrogate, args: argparse.Namespace) -> pd.DataFrame:
    """The table with the column of the accuracies that a surrogate predicts, for all rows that are scored or were."""
    import pandas as pd

    from lswag_fast.evaluation.evaluate import drawn_rows
    from lswag_fast.evaluation.rows import named_rows

    if NB301_ACCURACY in table.columns:
        raise TableError(f"the table has a column {NB301_ACCURACY!r}; leave --accuracy out, or rename it")
    chosen = named_rows(args.out).union(drawn_rows(table, _n_of_table(args), args.seed).index)
    accuracies = {}
    for row, arch in enumerate(table.index, 1):
        if arch not in chosen:
            continue
        try:
            accuracies[arch] = surrogate.accuracy(surrogate.space.decode(str(arch)))
        except SpaceError as error:
            raise TableError(f"row {row}, column {table.index.name!r}: {error}") from error
    return table.assign(**{NB301_ACCURACY: pd.Series(accuracies, dtype=float)})


def _batch(args: argparse.Namespace, space: SearchSpace, table: pd.DataFrame) -> tuple[tuple[Tensor, Tensor], Any]:
    """The images that proxies see, and what says which they are.

    Where the table says how images were split for its accuracies, they are of the training part: the others judge.
    """
    from lswag_fast.training.benchmark import images_of_table
    from lswag_fast.training.inherited import INHERITED_ACCURACY

    split = None if args.table is None else images_of_table(args.table)
    if split is None and INHERITED_ACCURACY in table.columns and args.data != "synthetic":
        say_warning(
            f"{args.table} has a column {INHERITED_ACCURACY}, and no {args.table}.json beside it that says which "
            "images it is of: the batch is drawn from all images, those for validation and the test too; copy that "
            "file along with the table, and start again with another --out"
        )
    if split is None or args.data == "synthetic":
        found = targets.space_batch(space, args)
        return found.batch, found.description
    supernets.refuse_other_images(args, str(args.table))
    return supernets.images_of(split, space, args).train.drawn(args.batch_size, args.seed), split


def _checked_window(args: argparse.Namespace, table: pd.DataFrame, proxies: Sequence[str]) -> ComparisonWindow | None:
    """What to compare inside of.

    Raises:
        InputError: a window without a target.
        TableError: a target or the window's column is not there.
    """
    from lswag_fast.data.tables import numbers

    window = options.window_of(args)
    if window is not None and args.target is None:
        raise InputError(f"{window}: name what to compare the scores with there (--target COLUMN)")
    with naming("--target"):
        numbers(table, listed(args.target) if args.target is not None else ())
    if window is not None and window.column not in proxies:
        window.sizes(table)
    _check_rows(args, table, window)
    return window


def _check_rows(args: argparse.Namespace, table: pd.DataFrame, window: ComparisonWindow | None) -> None:
    """Refuse rows that are too few to be compared, before hours go into them.

    A file that is there may hold more rows than are asked for now.

    Raises:
        TableError: a target is known of fewer than 10 rows, or no window of the table's own column holds 10.
    """
    from lswag_fast.data.tables import finite_numbers
    from lswag_fast.evaluation.evaluate import drawn_rows

    if args.target is None or args.out.exists():
        return
    chosen = drawn_rows(table, _n_of_table(args), args.seed)
    for name in listed(args.target):
        with naming("--target"):
            known, _ = finite_numbers(chosen, [name])
        if window is not None and window.column in table.columns:
            window.among(window.sizes(table)[known.index].to_numpy()).check(window)


def _say_warnings(rows: pd.DataFrame) -> None:
    """Say each warning of the rows once, the most frequent first: each row has only its own, often several."""
    from lswag_fast.evaluation.evaluate import BETWEEN_WARNINGS, WARNINGS

    counts = rows[WARNINGS].dropna().astype(str).str.split(BETWEEN_WARNINGS, regex=False).explode().value_counts()
    for text, count in counts.iloc[:_SAID_WARNINGS].items():
        say_warning(f"{count} of {len(rows)} architectures: {text}")
    if len(counts) > _SAID_WARNINGS:
        say_warning(f"{len(counts) - _SAID_WARNINGS} other warnings are in the column {WARNINGS}")


def _say_without_value(rows: pd.DataFrame, proxies: Sequence[str]) -> None:
    """Say which proxies have no value in any row, and where the reasons are."""
    from lswag_fast.evaluation.evaluate import ERRORS

    names = [name for name in proxies if not rows[name].notna().any()]
    reasons = rows[ERRORS].dropna()
    if names and len(reasons):
        say_warning(f"no architecture has a value of {', '.join(names)}; the first row's {ERRORS}: {reasons.iloc[0]}")


def _correlate(args: argparse.Namespace, proxies: Sequence[str], window: ComparisonWindow | None) -> None:
    """Print how the rows of the file rank each target."""
    from lswag_fast.data.tables import read_table
    from lswag_fast.evaluation.correlation import correlate

    rows = read_table(args.out, args.key)
    names = [name for name in proxies if rows[name].notna().any()]
    show_correlations({name: correlate(rows, name, names, window=window) for name in listed(args.target)}, window)


_SUMMARY = "score the architectures of a benchmark table"
COMMAND = Command("evaluate", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
