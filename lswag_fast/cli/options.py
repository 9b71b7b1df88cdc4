"""The options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli.training.recipe import add_recipe
from lswag_fast.cli.values import (
    file_target,
    folder_target,
    json_target,
    naming,
    positive,
    seconds,
    seed,
    space_assignment,
    threads,
    window,
    workers,
)
from lswag_fast.errors import InputError, TableError

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.libra.windows import ComparisonWindow

FOLDER = "DIR"
SPACE_OPTIONS = ("image_size", "patch_size", "num_classes", "length")
"""Options of spaces that have a flag of their own."""


def add_folder(parser: argparse.ArgumentParser, text: str = "the folder of a search") -> None:
    """Add a folder to be looked at; `text` says of what."""
    parser.add_argument("folder", type=Path, metavar=FOLDER, help=text)


def add_space(parser: argparse.ArgumentParser) -> None:
    """Add the search space."""
    parser.add_argument("space", metavar="SPACE", help="autoformer-tiny, nasbench201, ... or package.module:factory")


def add_out(parser: argparse.ArgumentParser, text: str, *, metavar: str = "FILE", required: bool = False) -> None:
    """Add where the results go."""
    kind = file_target if metavar == "FILE" else folder_target
    parser.add_argument("-o", "--out", type=kind, metavar=metavar, required=required, help=text)


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option that writes the result for a program; `what` is the result in words."""
    text = f"write {what} as JSON; - for standard output, in place of the tables"
    parser.add_argument("--json", type=json_target, metavar="FILE", help=text)


def add_trials(parser: argparse.ArgumentParser, text: str, default: int | None = None) -> None:
    """Add how many architectures are scored; `text` says which."""
    parser.add_argument("--trials", type=positive, default=default, metavar="N", help=text)


def add_data_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that decide the batch; `default` says in words what --data is when it is not given."""
    group = parser.add_argument_group("data")
    sources = "digits, synthetic, a folder of images (one sub-folder per class) or an .npz file"
    text = f"{sources}; of texts alice or a file (default: {default})"
    group.add_argument("--data", metavar="SOURCE", help=text)
    group.add_argument("--split", metavar="NAME", help="part of the data: sub-folder NAME, or arrays x_NAME and y_NAME")
    group.add_argument("--batch-size", type=positive, default=32, metavar="B", help="samples (default: 32)")


def add_network_options(parser: argparse.ArgumentParser, *, with_checkpoint: bool = True) -> None:
    """Add the options that decide the shape and, where they are shared, the weights of the networks."""
    group = parser.add_argument_group("networks")
    group.add_argument("--image-size", type=positive, metavar="PX", help="side of the images in pixels")
    group.add_argument("--patch-size", type=positive, metavar="PX", help="side of a patch, where a space has patches")
    group.add_argument("--num-classes", type=positive, metavar="N", help="number of classes to tell apart")
    group.add_argument("--length", type=positive, metavar="N", help="tokens of a text, where networks take texts")
    add_space_set(group)
    if with_checkpoint:
        text = "trained supernet weights of the space, in place of drawn ones"
        group.add_argument("--checkpoint", type=Path, metavar="FILE", help=text)
        text = "draw the head of --checkpoint from --seed, for other classes than the file's"
        group.add_argument("--new-head", action="store_true", help=text)
    text = "of the networks; in eval mode BatchNorm keeps the samples apart (default: the space's, else as built)"
    group.add_argument("--mode", choices=("train", "eval"), help=text)


def add_space_set(parser: argparse._ActionsContainer) -> None:
    """Add the further options of a named space."""
    text = (
        "a further option of the space, such as mlp_ratio=3,3.5,4 or squeeze_excitation=true, with commas between "
        "several values; may be given several times"
    )
    parser.add_argument(
        "--space-set", action="append", default=[], type=space_assignment, metavar="OPTION=VALUE", help=text
    )


def space_set(args: argparse.Namespace) -> dict[str, Any]:
    """Return what --space-set says; raises InputError for an option that is given twice or has a flag of its own."""
    found: dict[str, Any] = {}
    for item in getattr(args, "space_set", ()):
        if item.option in (*SPACE_OPTIONS, "task"):
            raise InputError(f"--space-set {item}: give this as {flag_of(item.option)}")
        if item.option in found:
            raise InputError(f"--space-set {item.option} is given twice; leave one out")
        found[item.option] = item.value
    return found


def flag_of(option: str) -> str:
    """The flag of an option, by its name in Python."""
    return f"--{option.replace('_', '-')}"


def add_supernet(parser: argparse._ActionsContainer, text: str, *, required: bool = False) -> None:
    """Add the folder of a trained supernet; `text` says what for."""
    parser.add_argument("--supernet", type=Path, metavar=FOLDER, required=required, help=text)


def add_images(parser: argparse._ActionsContainer) -> None:
    """Add where the images of a supernet are now, and on how many of them accuracies are measured."""
    text = "where the images that it was trained on are now (default: where they were)"
    parser.add_argument("--data", metavar="SOURCE", help=text)
    text = "images of the validation split to measure on (default: 2000, or all of fewer)"
    parser.add_argument("--images", type=positive, default=2000, metavar="N", help=text)


def add_budget(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add what an architecture may cost, and return the group for more."""
    group = parser.add_argument_group("budget")
    group.add_argument("--params", type=window, metavar="LO..HI", help="parameters allowed, such as 5M..7M")
    text = "multiply-accumulates of one image allowed, such as ..2G"
    group.add_argument("--macs", type=window, metavar="LO..HI", help=text)
    return group


def add_training_from_scratch(parser: argparse.ArgumentParser) -> None:
    """Add how networks are trained from fresh weights, where training is not all that a command does."""
    text = "Trainings run one after the other, in this process: --workers and --dask are for scores."
    group = parser.add_argument_group("training", text)
    add_recipe(group)


def add_threads(parser: argparse._ActionsContainer, default: int | None = None) -> None:
    """Add the threads of torch; they decide the last bits of a score, because they order its sums."""
    text = f"threads of torch per network (default: {default or 'those that torch takes'})"
    parser.add_argument("--threads", type=threads, default=default, metavar="N", help=text)


def add_executor_options(parser: argparse.ArgumentParser, *, n_threads: int | None = None) -> None:
    """Add where networks are scored, which changes no score, and on how many threads each."""
    group = parser.add_argument_group("processes")
    places = group.add_mutually_exclusive_group()
    text = "worker processes on this machine (default: 1, this process)"
    places.add_argument("--workers", type=workers, default=1, metavar="N", help=text)
    text = "the workers of a Dask cluster instead, by its scheduler: tcp://HOST:8786"
    places.add_argument("--dask", metavar="ADDRESS", help=text)
    text = "seconds that a network may take, in a worker process; one that takes longer fails (default: any number)"
    group.add_argument("--timeout-s", type=seconds, metavar="S", help=text)
    add_threads(group, n_threads)


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add how the tables of a benchmark are read."""
    text = "the column that names the architectures (default: arch)"
    parser.add_argument("--key", default="arch", metavar="COLUMN", help=text)
    parser.add_argument("--dataset", metavar="NAME", help="which data set of a .json table")


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add one or several tables with one row per architecture."""
    parser.add_argument("table", nargs="+", type=Path, metavar="TABLE", help=".csv, .csv.gz, .parquet or .json")
    add_table_options(parser)


def add_window(parser: argparse._ActionsContainer) -> None:
    """Add inside of what architectures are compared as well."""
    group = parser.add_mutually_exclusive_group()
    text = (
        "compare also inside windows: for each architecture those whose COLUMN differs by no more than this share, "
        "params:8%% say, as under the budget of a search"
    )
    group.add_argument("--window", metavar="COLUMN:SHARE%", help=text)
    text = "compare also inside one value of COLUMN, embed_dim say"
    group.add_argument("--within", metavar="COLUMN", help=text)


def window_of(args: argparse.Namespace) -> ComparisonWindow | None:
    """What --window or --within names; raises InputError for anything else."""
    from lswag_fast.libra.windows import ComparisonWindow

    if args.within is not None:
        return ComparisonWindow(args.within)
    if args.window is None:
        return None
    with naming("--window"):
        return ComparisonWindow.parse(args.window)


def check_dataset(dataset: str | None, tables: Sequence[Path]) -> None:
    """Refuse --dataset where no table has data sets; raises InputError."""
    if dataset is not None and not any(path.suffix == ".json" for path in tables):
        raise InputError(f"--dataset: names a data set of a .json table, and there is none ({dataset!r})")


def read_tables(args: argparse.Namespace) -> pd.DataFrame:
    """Read the tables and join them by the names of the architectures.

    Raises:
        InputError: --dataset without a table that has data sets.
        TableError: one cannot be read, or they do not fit together.
    """
    from lswag_fast.data.tables import join, read_table

    check_dataset(args.dataset, args.table)
    tables = [read_table(path, args.key, args.dataset) for path in args.table]
    for path, table in zip(args.table, tables, strict=True):
        if not len(table):
            raise TableError(f"{path}: has no architectures")
    return join(tables)


def add_seed(parser: argparse._ActionsContainer, what: str) -> None:
    """Add the seed of something, said in words."""
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help=f"{what} (default: 0)")


def figure(value: float) -> str:
    """Three decimals; a dash for NaN."""
    return "-" if value != value else f"{value:.3f}"
