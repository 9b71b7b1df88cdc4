"""`lswag-fast benchmark`: a benchmark table of one's own data, from a trained supernet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import ERR, say, show_table, table
from lswag_fast.cli.files import check_targets
from lswag_fast.cli.training import supernets
from lswag_fast.cli.values import command_words, positive, shell_line
from lswag_fast.errors import InputError
from lswag_fast.files.shell import as_argument

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.execution import Interrupts
    from lswag_fast.spaces import SearchSpace
    from lswag_fast.training.scratch import ScratchTrainer
    from lswag_fast.training.supernet import TrainedSupernet

N_SHOWN = 5
N_CORRELATED = 10
"""Architectures that a rank correlation needs at least."""

_DESCRIPTION = """\
Measure many networks of a space with the weights that they inherit from a trained supernet, on the validation images:
the benchmark table on which proxies are chosen for your data. The architectures are of all sizes alike. Run again with
the same options, it continues where it stopped; with a larger --trials, it adds to the file."""

_EPILOG = """\
examples:
  lswag-fast supernet autoformer-tiny --data photos/ --out runs/supernet
  lswag-fast benchmark autoformer-tiny --supernet runs/supernet --trials 2000 --out table.csv --workers 2
  lswag-fast evaluate autoformer-tiny --table table.csv --proxies recommended --data photos/ --out scores.csv
  lswag-fast libra scores.csv --target inherited_accuracy --out selection.json
  lswag-fast search autoformer-tiny --proxies libra:selection.json --data photos/"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    options.add_supernet(parser, "folder of the trained supernet of the space", required=True)
    options.add_trials(parser, "architectures to measure (default: 1000)", 1000)
    options.add_out(parser, "the CSV to write, or to continue", required=True)
    options.add_images(parser)
    options.add_seed(parser, "seed of the architectures that are drawn, and of those that are trained")
    text = (
        "also train K of them, of all sizes, from fresh weights, one after the other in this process, and say how the "
        "accuracies agree (default: none)"
    )
    parser.add_argument("--retrain", type=positive, metavar="K", help=text)
    options.add_training_from_scratch(parser)
    options.add_executor_options(parser, n_threads=1)


def _run(args: argparse.Namespace) -> int:
    """Measure what is missing, show the best, and say how to go on."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.data.tables import read_table
    from lswag_fast.execution import open_executor
    from lswag_fast.training.benchmark import benchmark
    from lswag_fast.training.inherited import inherited_accuracy_job

    if args.out.suffix != ".csv":
        raise InputError(f"--out: the rows are written as CSV; name a file that ends in .csv, not {args.out}")
    check_targets({"--out": args.out})
    _check_retrain(args)
    supernet = supernets.find_supernet(args)
    images = supernets.images_of(supernet.data, supernet.space, args)
    interrupts = stopping.said_aloud()
    train = None if args.retrain is None else _trainer(args, supernet, images, interrupts)
    job = inherited_accuracy_job(supernet.space, supernet.weights, images, n_images=args.images, n_threads=args.threads)
    if args.trials > supernet.space.size:
        raise InputError(f"--trials is {args.trials:,}, {args.space} has {supernet.space.size:,} architectures")
    data: dict[str, Any] = {"data": images.to_dict()}
    with CountProgress("measuring") as progress, open_executor(args.workers, args.dask, args.timeout_s) as executor:
        count = benchmark(
            job, args.out, args.trials, seed=args.seed, settings=data, executor=executor, callback=progress
        )
    rows = read_table(args.out)
    _show_best(rows)
    say(f"measured {count} architectures on {len(job.batch[1])} images; all rows: {args.out}")
    if train is not None:
        code = _retrain(args, supernet.space, train, interrupts, data)
        if code:
            return code
    say(f"next, score them by proxies: {_next_line(args, supernet)}")
    return 0


def _check_retrain(args: argparse.Namespace) -> None:
    """Refuse --retrain for fewer architectures than a correlation needs, or for more than there are; a recipe alone."""
    if args.retrain is None:
        for name in ("recipe", "epochs", "recipe_set"):
            if getattr(args, name) != args.parser.get_default(name):
                flag = options.flag_of(name)
                raise InputError(f"{flag} is of the trainings of --retrain; add that, or leave {flag} out")
        return
    if not N_CORRELATED <= args.retrain <= args.trials:
        raise InputError(
            f"--retrain: found {args.retrain}; a rank correlation needs at least {N_CORRELATED}, and --trials are "
            f"{args.trials}"
        )


def _trainer(
    args: argparse.Namespace, supernet: TrainedSupernet, images: ImageSplits, interrupts: Interrupts
) -> ScratchTrainer:
    """What trains for --retrain; made before anything is measured, so that a recipe that does not fit is refused."""
    supernets.take_sizes(args, supernet)
    return supernets.scratch_trainer(supernet.space, images, args, interrupts, with_test=False)


def _retrain(
    args: argparse.Namespace, space: SearchSpace, train: ScratchTrainer, interrupts: Interrupts, data: dict[str, Any]
) -> int:
    """Train the first architectures of the table, and show how inherited accuracies rank them; return the exit code."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.cli.views.correlations import show_correlations
    from lswag_fast.data.tables import join, read_table
    from lswag_fast.evaluation.correlation import correlate
    from lswag_fast.training.benchmark import N_PARAMS
    from lswag_fast.training.inherited import INHERITED_ACCURACY
    from lswag_fast.training.scratch import RETRAINED_ACCURACY, retrain

    out = args.out.with_name(f"{args.out.stem}.retrained.csv")
    rows = read_table(args.out)
    archs = list(rows.index[: args.retrain])
    with targets.threads(args.threads), interrupts, CountProgress("training") as progress:
        finished = retrain(archs, space, train, out, seed=args.seed, settings=data, callback=progress)
    if not finished:
        say(f"stopped\ncontinue: {shell_line(['benchmark', *command_words(args.parser, args)])}", ERR)
        return stopping.exit_code(interrupts)
    both = join([rows, read_table(out)])
    found = correlate(both, RETRAINED_ACCURACY, [INHERITED_ACCURACY, N_PARAMS])
    show_correlations({RETRAINED_ACCURACY: found}, None)
    say(f"trained {len(archs)} of them from fresh weights: {out}")
    return 0


def _next_line(args: argparse.Namespace, supernet: TrainedSupernet) -> str:
    """The command that scores the architectures of the table."""
    supernets.take_sizes(args, supernet)
    words = ["--data", args.data or supernet.data["source"], *targets.space_words(args)]
    return shell_line(["evaluate", args.space, "--table", as_argument(args.out), *words, "--out", "scores.csv"])


def _show_best(rows: pd.DataFrame) -> None:
    """The most accurate architectures, and how many have no accuracy."""
    from lswag_fast.training.benchmark import FAILURE, HIGH, LOW, N_MACS, N_PARAMS
    from lswag_fast.training.inherited import INHERITED_ACCURACY

    best = rows.dropna(subset=[INHERITED_ACCURACY]).nlargest(N_SHOWN, INHERITED_ACCURACY)
    shown = table("accuracy", "95 %", "params", "MACs")
    for _, row in best.iterrows():
        interval = f"{row[LOW]:.3f} to {row[HIGH]:.3f}"
        shown.add_row(f"{row[INHERITED_ACCURACY]:.3f}", interval, f"{int(row[N_PARAMS]):,}", f"{int(row[N_MACS]):,}")
    show_table(shown)
    say("\narchitectures, best first:")
    for arch in best.index:
        say(str(arch))
    say("")
    failed = int(rows[FAILURE].notna().sum())
    if failed:
        say(f"{failed} have no accuracy; why is in the column {FAILURE}")


COMMAND = Command(
    "benchmark",
    "measure sub-networks of a trained supernet on your data",
    _DESCRIPTION,
    _EPILOG,
    _add_options,
    _run,
)
