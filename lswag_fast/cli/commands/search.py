"""`lswag-fast search`: find the architectures of a space with the best score."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.commands.show import show_best
from lswag_fast.cli.console import ERR, say
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.cli.objective import ChosenProxies
    from lswag_fast.execution.interrupts import Interrupts
    from lswag_fast.spaces import SearchSpace
    from lswag_fast.study.samplers import Sampler
    from lswag_fast.study.stored import SearchResult

INTERRUPTED = "interrupted"
_WHY_SHORT = {
    "exhausted": "; no further architecture was found in the space and budget",
    INTERRUPTED: "; interrupted",
}

_DESCRIPTION = """\
Search a space for the architectures with the best score, within a budget.
All candidates are cut out of one set of untrained weights and see the same batch of images."""

_EPILOG = """\
examples:
  lswag-fast search autoformer-tiny --params 5M..7M --trials 200
      200 vision transformers of 5 to 7 million parameters, scored on handwritten digits

  lswag-fast search autoformer-small --params ..23M --macs ..5G --data photos/ --batch-size 32 --out runs/small
      your own images, one sub-folder a class

  lswag-fast search mypackage.spaces:make_space --trials 100 --sampler random
      a space of your own

  lswag-fast search autoformer-tiny --params 5M..7M --proxy libra --trials 2000 --out runs/tiny --workers 2
      the proxies that LIBRA chose for the space, combined by their ranks, in two processes;
      the same command again continues a search that was cut

  lswag-fast search nasbench201 --proxy lswag,nwot,zico --combine mean_rank --dask tcp://scheduler:8786
      proxies of your own choice, on a Dask cluster

A budget is LO..HI, LO.. or ..HI, in K, M or G; that of the latency in milliseconds. The folder of the results holds
study.sqlite, in which every trial is kept as it ends, and afterwards trials.csv, one row a trial, and result.json;
`lswag-fast show DIR` and `lswag-fast report DIR` look at it, also while the search runs. Keep it on a local disk.

Ctrl-C and SIGTERM end the search after the candidates that run (exit code 130 or 143), and the same command continues
it. A study does not depend on --workers or --dask, but on --threads: torch's sums are ordered by it."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands,
        "search",
        summary="find the architectures of a space with the best score",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("space", metavar="SPACE", help="autoformer-tiny, -small or -base, or package.module:factory")
    parser.add_argument("--params", metavar="LO..HI", help="number of parameters allowed, such as 5M..7M")
    parser.add_argument("--macs", metavar="LO..HI", help="multiply-accumulates of one image allowed, such as ..2G")
    parser.add_argument(
        "--latency-ms", metavar="LO..HI", help="time allowed for one image on this machine, measured, such as ..20"
    )
    parser.add_argument("--trials", type=options.positive, default=200, metavar="N", help="in total (default: 200)")
    parser.add_argument(
        "--sampler",
        default="evolution",
        metavar="NAME",
        help="evolution (AutoFormer's), steady (xi-GSNR's) or random (default: evolution)",
    )
    parser.add_argument(
        "--wave", type=options.positive, metavar="N", help="children at a time of --sampler steady (default: 1)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the results, new or of the search to continue (default: runs/SPACE-TIME)",
    )
    options.add_data_options(parser, "digits")
    options.add_network_options(parser)
    options.add_score_options(parser, several="; several with commas; libra for what LIBRA chose, or libra:FILE")
    parser.add_argument(
        "--combine",
        metavar="HOW",
        help="how several proxies make one score: log_rank, mean_rank, rank_sum or product (default: the selection's, "
        "or log_rank)",
    )
    group = options.add_executor_options(parser)
    group.add_argument(
        "--threads", type=options.positive, metavar="N", help="a candidate; part of the study (default: torch's own)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search, print the best architectures and where the results lie; return 0, or 130 or 143 after a signal."""
    from lswag_fast.cli.objective import chosen_proxies

    space = targets.find_space(args.space, args)
    chosen = chosen_proxies(args, space.name)
    # Whatever is printed or repeated names the proxies, not the selection that they came from.
    args.proxy = ",".join(chosen.proxies)
    folder = args.out or Path("runs") / time.strftime(f"{space.name}-%Y%m%d-%H%M%S")
    origin = _origin(args, folder)
    interrupts = stopping.said_aloud()
    try:
        result = _search(args, space, chosen, folder, origin, interrupts)
    except KeyboardInterrupt:
        if interrupts.received is None:
            raise
        say(f"stopped at once; every finished trial is stored\ncontinue: {origin['command']}", ERR)
        return stopping.exit_code(interrupts)
    _show(result, args)
    return stopping.exit_code(interrupts) if result.stopped == INTERRUPTED else 0


def _search(
    args: argparse.Namespace,
    space: SearchSpace,
    chosen: ChosenProxies,
    folder: Path,
    origin: dict[str, Any],
    interrupts: Interrupts,
) -> SearchResult:
    from lswag_fast.cli.progress import SearchProgress
    from lswag_fast.execution.executors import chosen_executor
    from lswag_fast.study.budget import Budget
    from lswag_fast.study.search import search

    batch = targets.load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    weights = targets.checkpoint(space, args)
    progress = SearchProgress(args.trials)
    with interrupts, chosen_executor(args.workers, args.dask) as executor, progress:
        return search(
            space,
            batch.batch,
            proxy=chosen.proxies,
            combine=chosen.combine,
            budget=Budget(params=args.params, macs=args.macs, latency_ms=args.latency_ms),
            n_trials=args.trials,
            sampler=_sampler(args),
            seed=args.seed,
            storage=folder,
            executor=executor,
            callbacks=(progress,),
            weights=weights,
            score_options=options.score_options(args, space.name),
            metadata={"data": batch.description, **chosen.origin, **origin},
            n_threads=args.threads,
            interrupts=interrupts,
        )


def _origin(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What makes the space and the weights again, and the command that continues the search."""
    out = [] if args.out else ["--out", str(folder)]
    return {
        "space_argument": args.space,
        "space_options": targets.space_options(args),
        "checkpoint": args.checkpoint and str(args.checkpoint),
        "command": shlex.join(["lswag-fast", *args.argv, *out]),
    }


def _sampler(args: argparse.Namespace) -> Sampler:
    from lswag_fast.study.samplers import SteadyStateSampler, get_sampler

    if args.wave is None:
        return get_sampler(args.sampler)
    if args.sampler != SteadyStateSampler.name:
        raise InputError(f"--wave belongs to --sampler {SteadyStateSampler.name}; leave it out with {args.sampler}")
    return SteadyStateSampler(wave=args.wave)


def _show(result: SearchResult, args: argparse.Namespace) -> None:
    best = result.top()
    if best:
        show_best(best)
        say("\narchitectures, best first:")
        for trial in best:
            say(trial.arch_json)
        network = shlex.quote(f"{args.space}:{best[0].arch_json}")
        say(f"\nlook closer: lswag-fast score {network}{options.repeat(args)}")
    counts = result.to_dict()["counts"]
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    say(f"{counts['trials']} trials{failed}, {result.elapsed_ms / 1e3:.1f} s{_WHY_SHORT.get(result.stopped, '')}")
    say(f"results: {result.path}")
    if result.stopped == INTERRUPTED:
        say(f"continue: {result.settings['command']}")
    elif best:
        say(f"one page to look at: lswag-fast report {shlex.quote(str(result.path))}")
