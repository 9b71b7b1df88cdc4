"""`lswag-fast search`: find the architectures of a space with the best score."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import ERR, say
from lswag_fast.cli.proxy_choice import add_proxies, chosen_proxies
from lswag_fast.cli.sampler_choice import add_sampler, chosen_sampler, sampler_help
from lswag_fast.cli.score_options import SCORE_OPTIONS, add_score_options, score_options
from lswag_fast.cli.storage_choice import add_storage, chosen_storage
from lswag_fast.cli.training import supernets
from lswag_fast.cli.values import command_words, whole, window
from lswag_fast.cli.views.search import INTERRUPTED, show_result
from lswag_fast.cli.views.selection import show_selection
from lswag_fast.errors import InputError, OtherSettingsError
from lswag_fast.files.shell import pasteable

if TYPE_CHECKING:
    from torch import Tensor

    from lswag_fast.execution import Interrupts
    from lswag_fast.spaces import SearchSpace
    from lswag_fast.study.stored import SearchResult

    _BatchOf = Callable[[int], tuple[tuple[Tensor, Tensor], str]]

N_TRIALS = 200
INHERITED_ACCURACY = "inherited_accuracy"
"""What --proxies says for the accuracy with a supernet's weights, in place of proxies."""

_DESCRIPTION = """\
Search a space for the architectures with the best score, within a budget.
Where the space shares weights, all candidates are cut out of one set of untrained weights; all see the same batch."""

_EPILOG = """\
examples:
  lswag-fast search autoformer-tiny --params 5M..7M --trials 200
      200 vision transformers of 5 to 7 million parameters, scored on handwritten digits

  lswag-fast search autoformer-small --params ..23M --macs ..5G --data photos/ --batch-size 32 --out runs/small
      your own images, one sub-folder per class

  lswag-fast search proxylessnas --space-set squeeze_excitation=true --space-set activation=swish --macs ..600M
      a space with further options; those of --space-set are the arguments of its class in Python

  lswag-fast search mypackage.spaces:make_space --trials 100 --sampler random
      a space of your own

  lswag-fast search autoformer-tiny --params 5M..7M --proxies libra --trials 2000 --out runs/tiny --workers 2
      the proxies that LIBRA chose for the space, combined by their ranks, in two processes;
      the same command again continues a search that was interrupted

  lswag-fast search mypackage.spaces:make_space --proxies recommended:vit
      what ranks vision transformers best without labels

  lswag-fast search autoformer-tiny --proxies inherited_accuracy --supernet runs/supernet --params 5M..7M
      by the accuracy with a trained supernet's weights, as AutoFormer searches

  lswag-fast search autoformer-tiny --proxies libra:own.json --supernet runs/supernet --params 5M..7M
      by proxies that see only images that the supernet was trained on, none of its validation or test images

  lswag-fast search nasbench201 --proxies lswag,nwot,zico --combine mean_rank --dask tcp://scheduler:8786
      proxies of your own choice, on a Dask cluster

A budget is LO..HI, LO.. or ..HI, in K, M or G; that of the latency in milliseconds. The folder of the results holds
study.sqlite, in which every trial is stored as it ends, and afterwards trials.csv, one row per trial, and result.json;
`lswag-fast show DIR` and `lswag-fast report DIR` look at it, also while the search runs. On a network file system,
begin the search with --storage log.

Ctrl-C and SIGTERM end the search after the candidates that are running (exit code 130 or 143), and the same command
continues it. The results do not depend on --workers or --dask; they do on --threads, which orders the sums of torch.
A candidate that does not end holds a search up: with --timeout-s it fails, and the search goes on."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    options.add_trials(parser, f"architectures to score in total (default: {N_TRIALS})", N_TRIALS)
    options.add_out(parser, "folder of the results, new or to continue (default: runs/SPACE-TIME)", metavar="DIR")
    add_storage(parser)
    add_proxies(parser)
    text = "how several proxies make one score: log_rank, mean_rank, rank_sum or product (default: the selection's, "
    parser.add_argument("--combine", metavar="HOW", help=f"{text}or log_rank)")
    text = (
        "folder of a trained supernet: proxies see images that it was trained on and no others; with --proxies "
        "inherited_accuracy, networks are judged by their accuracy with its weights on the validation images"
    )
    options.add_supernet(parser, text)
    group = options.add_budget(parser)
    text = "milliseconds allowed for one image, measured on this machine, such as ..20"
    group.add_argument("--latency-ms", type=window, metavar="LO..HI", help=text)
    add_sampler(parser)
    text = (
        "score the ten best R times more, with other data and weights, and say which are distinguishable (default: 0)"
    )
    parser.add_argument("--repeats", type=whole, default=0, metavar="R", help=text)
    text = "score also architectures that are the same function as an earlier one (cells up to their numbering, say)"
    parser.add_argument("--keep-isomorphic", action="store_true", help=text)
    options.add_data_options(parser, "the images of --supernet where they were, else digits")
    options.add_network_options(parser)
    add_score_options(parser)
    options.add_executor_options(parser)


def _run(args: argparse.Namespace) -> int:
    """Search, print the best architectures and where the results are; return 0, or 130 or 143 after a signal."""
    space, names, scoring = _by_accuracy(args) if _is_by_accuracy(args) else _by_proxies(args)
    args.out = args.out or Path("runs") / time.strftime(f"{space.name}-%Y%m%d-%H%M%S")
    origin = _origin(args)
    scoring["metadata"] |= origin
    interrupts = stopping.said_aloud()
    try:
        with stopping.leaving_nothing_refused(args.out), _naming_what_continues(args):
            result = _search(args, space, scoring, interrupts)
    except KeyboardInterrupt:
        if interrupts.received is None:
            raise
        line = pasteable(shlex.split(origin["command"]))
        say(f"stopped at once; every finished trial is stored\ncontinue: {line}", ERR)
        return stopping.exit_code(interrupts)
    if networks := scoring["metadata"].get("networks"):
        say(networks)
    show_result(result, args, names)
    return stopping.exit_code(interrupts) if result.stopped == INTERRUPTED else 0


def _by_proxies(args: argparse.Namespace) -> tuple[SearchSpace, tuple[str, ...], dict[str, Any]]:
    """The space, the proxies, and what `search` is told of them."""
    space, batch_of = _space_and_batches(args)
    chosen = chosen_proxies(args.proxies, space.name)
    given = targets.fitting_loss(space, score_options(args, chosen.parts, space.name))
    batch, description = batch_of(args.seed)
    repeats = [batch_of(seed)[0] for seed in _seeds_of_repeats(args)]
    weights = targets.checkpoint(space, args)
    networks = targets.networks_in_words(space, args, given)
    show_selection(chosen.origin, chosen.names, chosen.weights)
    return (
        space,
        chosen.names,
        {
            "batch": batch,
            "proxy": chosen.names,
            "combine": args.combine or chosen.combine,
            "rank_weights": chosen.weights_for(args.combine),
            "weights": weights,
            "options": given,
            "mode": args.mode,
            "repeats": repeats,
            "metadata": {"data": description, "networks": networks, **chosen.origin},
        },
    )


def _space_and_batches(args: argparse.Namespace) -> tuple[SearchSpace, _BatchOf]:
    """The space, and what draws the batch of a seed: of the whole source, or of what a supernet was trained on."""
    if args.supernet is None:
        space = targets.find_space(args.space, args)

        def of_source(seed: int) -> tuple[tuple[Tensor, Tensor], str]:
            found = targets.space_batch(space, argparse.Namespace(**{**vars(args), "seed": seed}))
            return found.batch, found.description

        return space, of_source
    supernets.refuse_other_images(args, str(args.supernet))
    supernet = supernets.find_supernet(args)
    supernets.take_sizes(args, supernet)
    space = targets.find_space(args.space, args)  # the same, and --init becomes what it says
    images = supernets.images_of(supernet.data, space, args)

    def of_training_part(seed: int) -> tuple[tuple[Tensor, Tensor], str]:
        batch = images.train.drawn(args.batch_size, seed)
        return batch, f"{images.description}; {args.batch_size} of those to train on scored, seed {seed}"

    return space, of_training_part


def _seeds_of_repeats(args: argparse.Namespace) -> range:
    """The seeds of the batches of --repeats, which follow --seed.

    Raises:
        InputError: one repeat, which says nothing.
    """
    if args.repeats == 1:
        raise InputError("--repeats: one says nothing of how scores vary; give 2 or more, or leave it out")
    return range(args.seed + 1, args.seed + 1 + args.repeats)


def _is_by_accuracy(args: argparse.Namespace) -> bool:
    """Whether networks are judged by their accuracy; raises InputError for that among proxies."""
    names = [name.strip() for name in args.proxies.split(",")]
    if INHERITED_ACCURACY in names and len(names) > 1:
        raise InputError(f"--proxies: {INHERITED_ACCURACY} is no proxy and combines with none; give it alone")
    return names == [INHERITED_ACCURACY]


def _by_accuracy(args: argparse.Namespace) -> tuple[SearchSpace, tuple[str, ...], dict[str, Any]]:
    """The space of a supernet, no proxies, and what `search` is told of its weights and the validation images.

    Raises:
        InputError: there is no supernet, or an option of a score is given.
    """
    from lswag_fast.training.inherited import inherited_accuracy_job

    if args.supernet is None:
        raise InputError(f"{INHERITED_ACCURACY} needs the weights of a trained supernet: --supernet DIR")
    _refuse_score_options(args)
    supernet = supernets.find_supernet(args)
    images = supernets.images_of(supernet.data, supernet.space, args)
    job = inherited_accuracy_job(supernet.space, supernet.weights, images)
    supernets.take_sizes(args, supernet)
    description = f"{images.description}; {len(job.batch[1])} for validation measured"
    metadata = {"data": description, "supernet": str(args.supernet)}
    told = {"batch": job.batch, "proxy": job.function, "weights": supernet.weights, "metadata": metadata}
    return supernet.space, (), told


def _refuse_score_options(args: argparse.Namespace) -> None:
    """Refuse what decides a score by proxies, and nothing here."""
    of_scores = [flag for field, (flag, _) in SCORE_OPTIONS.items() if field != "seed"]
    for flag in (
        *of_scores,
        "--combine",
        "--checkpoint",
        "--new-head",
        "--mode",
        "--split",
        "--batch-size",
        "--repeats",
    ):
        name = flag.removeprefix("--").replace("-", "_")
        if getattr(args, name) != args.parser.get_default(name):
            raise InputError(f"{flag} is of scores by proxies, not of {INHERITED_ACCURACY}; leave it out")


def _search(
    args: argparse.Namespace, space: SearchSpace, scoring: Mapping[str, Any], interrupts: Interrupts
) -> SearchResult:
    from lswag_fast.cli.progress import SearchProgress
    from lswag_fast.execution import open_executor
    from lswag_fast.searching import search
    from lswag_fast.study.budget import Budget

    sampler = chosen_sampler(args.sampler, args.sampler_set)
    progress = SearchProgress(args.trials)
    with interrupts, open_executor(args.workers, args.dask, args.timeout_s) as executor, progress:
        return search(
            space,
            **scoring,
            budget=Budget(params=args.params, macs=args.macs, latency_ms=args.latency_ms),
            n_trials=args.trials,
            sampler=sampler,
            seed=args.seed,
            storage=chosen_storage(args.storage, args.out),
            executor=executor,
            callbacks=(progress,),
            started=progress.started if executor is None else None,
            rescored=progress.rescored,
            n_threads=args.threads,
            interrupts=interrupts,
            keep_isomorphic=args.keep_isomorphic,
        )


@contextmanager
def _naming_what_continues(args: argparse.Namespace) -> Iterator[None]:
    """Add to the refusal of other settings the command that has the stored ones."""
    from lswag_fast.report.steps import continuing_command
    from lswag_fast.study.stored import read_study

    try:
        yield
    except OtherSettingsError as error:
        line = continuing_command(read_study(args.out), args.trials)
        raise OtherSettingsError(f"{error}. Continue: {line}" if line else str(error)) from error


def _origin(args: argparse.Namespace) -> dict[str, Any]:
    """What makes the space and the weights again, and the command that continues the search."""
    return {
        "space_argument": args.space,
        "space_options": targets.space_options(args),
        "checkpoint": args.checkpoint and str(args.checkpoint),
        "new_head": args.new_head,
        # Stored as words that Python splits again; shown by `pasteable`, which other shells than Python's read.
        "command": shlex.join(["lswag-fast", "search", *command_words(args.parser, args)]),
    }


COMMAND = Command(
    "search",
    "find the architectures of a space with the best score",
    _DESCRIPTION,
    _EPILOG,
    _add_options,
    _run,
    late_help=sampler_help,
)
