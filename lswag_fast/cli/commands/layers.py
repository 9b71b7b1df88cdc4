"""`lswag-fast layers`: where in depth the gradients of a space's networks stand out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.console import OUT, say, table

_DESCRIPTION = """\
Draw random networks of a space, measure the spread sigma of every layer's gradients, and show it by depth (Equation 6).
The interval to score is the widest run of bins above the mean by one deviation."""

_EPILOG = """\
examples:
  lswag-fast layers nasbench201 --n 1000 --data cifar10_subset.npz --split train --batch-size 64 --eval
  lswag-fast layers autoformer-tiny --n 200 --batch-size 16 --plot layers.png --json layers.json
  lswag-fast search autoformer-tiny --layers 3,4"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands, "layers", summary="find the layers to score in a space", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("space", metavar="SPACE", help="a named space, or package.module:factory")
    parser.add_argument("--n", type=options.positive, default=1000, metavar="N", help="networks (default: 1000)")
    parser.add_argument("--eval", action="store_true", help="networks in eval mode: BatchNorm then keeps samples apart")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the curve as a picture")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write bins and interval as JSON")
    options.add_data_options(parser, "digits")
    options.add_network_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Study the layers, print the bins and the interval."""
    from lswag_fast.cli.progress import CountProgress
    from lswag_fast.evaluation.layer_study import study_layers
    from lswag_fast.score_job import candidate_builder

    space = targets.find_space(args.space, args)
    batch = targets.load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    make = candidate_builder(space, targets.checkpoint(space, args), args.seed)
    with CountProgress("studying layers") as progress:
        study = study_layers(
            space,
            batch.batch,
            n=args.n,
            build=lambda arch: make(arch).train(not args.eval),
            seed=args.seed,
            callback=progress,
        )
    rows = table("bin", "ln sigma", "deviation", "layers")
    for bin_, row in study.bins.iterrows():
        rows.add_row(str(bin_), f"{row['mean']:.3f}", f"{row['deviation']:.3f}", f"{row['n']:.0f}")
    OUT.print(rows)
    found = "no bin stands out: score all layers" if study.interval is None else f"--layers {_text(study.interval)}"
    say(f"\n{found}\ndata: {batch.description}")
    if args.plot is not None:
        study.plot().savefig(args.plot, dpi=150)
    if args.json is not None:
        content = {
            "space": study.space,
            "interval": study.interval,
            "n_networks": study.n_networks,
            "data": batch.description,
            "bins": json.loads(study.bins.reset_index().to_json(orient="records")),
        }
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _text(interval: tuple[int, int]) -> str:
    return f"{interval[0]},{interval[1]}"
