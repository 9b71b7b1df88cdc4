"""`lswag-fast libra`: which proxies of a table to combine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say, show_table, table
from lswag_fast.cli.files import check_targets, write_json
from lswag_fast.cli.proxy_choice import add_columns, columns_of
from lswag_fast.cli.values import positive
from lswag_fast.cli.views.selection import in_words

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.libra.fit import Fit
    from lswag_fast.libra.held_out import HeldOut
    from lswag_fast.libra.selection import Libra
    from lswag_fast.libra.weights import WeightedMembers
    from lswag_fast.libra.windows import ComparisonWindow

_DESCRIPTION = """\
Select proxies for a target (LIBRA) and show the numbers of each proxy, how much each of the selected ones counts, and
by the rule "halves" what each candidate within the tolerance would gain."""

_EPILOG = """\
examples:
  lswag-fast libra scores.csv --target cifar10_test --out selection.json
  lswag-fast libra nb201_accuracy.csv.gz nb201_proxies_suite_cifar10.csv.gz --key index --target cifar10_test
  lswag-fast libra vit.csv --target imagenet_top1 --window params:8% --held-out 20
  lswag-fast search nasbench201 --proxies libra:selection.json

By the rule "weights", every proxy counts with a weight fitted to the accuracies, below 0 where it counts against, if
that ranks halves of the table that it was not fitted to better than the best proxy alone, by more than one standard
error; else that proxy is the answer. By the rule "halves", up to two proxies join the best one, each only where it
raises the correlation on random halves by more than one standard error. The rule "published" is Algorithm 1 of the
paper. lswag_fast.Libra has further options."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_tables(parser)
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the accuracy to select for")
    add_columns(parser)
    text = "the quantity that the proxies should not be biased towards (default: params)"
    parser.add_argument("--bias", default="params", metavar="COLUMN", help=text)
    parser.add_argument("--tolerance", type=float, default=0.1, metavar="T", help="of the correlation (default: 0.1)")
    rules = ("weights", "halves", "published")
    parser.add_argument("--rule", choices=rules, default="weights", help="(default: weights)")
    text = "random halves of the table that the rules weights and halves look at (default: 20)"
    parser.add_argument("--halves", type=positive, default=20, metavar="N", help=text)
    text = (
        "say what the rule is worth, fitted to one half of the table and judged on the other, N times; --out keeps it"
    )
    parser.add_argument("--held-out", type=positive, metavar="N", help=text)
    options.add_window(parser)
    options.add_seed(parser, "of the halves")
    options.add_out(parser, "write the selection, for --proxies libra:FILE")
    options.add_json(parser, "every number that led to the choice")


def _run(args: argparse.Namespace) -> int:
    """Fit, print the table that explains the choice, and write the selection."""
    from lswag_fast.libra.selection import Libra

    check_targets({"--out": args.out, "--json": args.json}, args.table)
    data = options.read_tables(args)
    names = columns_of(data.drop(columns=args.target, errors="ignore"), args.proxies)
    libra = Libra(args.tolerance, rule=args.rule, halves=args.halves, seed=args.seed)
    window = options.window_of(args)
    libra.fit(data, args.target, args.bias, names, window)
    worth = _worth(libra, data, names, window, args)
    if args.out is not None:
        libra.save(args.out, worth)
    facts = {**_facts(libra), "held_out": None if worth is None else asdict(worth)}
    if not write_json(args.json, facts):
        _show(libra)
        if worth is not None:
            say(f"held out: {in_words(worth)}")
        if args.out is not None:
            say(f"selection: {args.out}")
    return 0


def _worth(
    libra: Libra, data: pd.DataFrame, names: list[str], window: ComparisonWindow | None, args: argparse.Namespace
) -> HeldOut | None:
    """What the rule is worth on halves that it was not fitted to, where that was asked for."""
    from lswag_fast.libra.held_out import held_out

    if args.held_out is None:
        return None
    return held_out(libra, data, args.target, args.bias, names, window, n_halves=args.held_out, seed=args.seed)


def _facts(libra: Libra) -> dict[str, object]:
    fit = libra.result
    return {
        "selection": libra.selection,
        "target": fit.target,
        "bias": fit.bias,
        "rho": fit.rho,
        "n_rows": fit.n_rows,
        "n_dropped": fit.n_dropped,
        "n_bins": fit.n_bins,
        "tolerance": fit.tolerance,
        "target_bias": fit.target_bias,
        "proxies": libra.explain().reset_index().to_dict(orient="records"),
        "window": None if fit.window is None else str(fit.window),
        "weighted": None if fit.weighted is None else asdict(fit.weighted),
        "steps": None if fit.steps is None else fit.steps.to_dict(orient="records"),
    }


def _show(libra: Libra) -> None:
    from lswag_fast.libra.ranks import counting_against

    rows = table("proxy", "role", "rho", "gain", "bias", "distance", "note", left=("proxy", "role", "note"))
    for name, row in libra.explain().iterrows():
        figures = (options.figure(row[key]) for key in ("rho", "information_gain", "bias", "bias_distance"))
        rows.add_row(str(name), row["role"], *figures, row["note"])
    show_table(rows)
    fit = libra.result
    if fit.steps is not None:
        _show_steps(fit.steps)
    if fit.weighted is not None:
        _show_weights(fit.weighted)
    say(f"\nselected: {', '.join(fit.selection)}{_why_alone(libra)}")
    if against := counting_against(fit.selection, fit.weights):
        say(f"against: {', '.join(against)}, with a weight below 0")
    if len(fit.selection) > 1:
        say(_judgement(fit))
    say(f"{fit.n_rows} architectures, {fit.n_dropped} left out")
    say(f"{fit.n_bins} bins, tolerance {fit.tolerance:g}")
    say(f"bias of {fit.target} to {fit.bias}: {fit.target_bias:.3f}; gain in bits")
    if fit.window is not None:
        say(f"rho: the mean of the Spearman correlations {fit.window.inside}")


def _show_weights(found: WeightedMembers) -> None:
    rows = table("proxy", "weight", left=("proxy",))
    for name, weight in zip(found.names, found.weights, strict=True):
        rows.add_row(name, options.figure(weight))
    show_table(rows)
    say(f"gain over the best proxy on held-out halves {found.gain:.3f}, standard error {found.standard_error:.3f}")


def _why_alone(libra: Libra) -> str:
    """Why nothing joined the best proxy; empty where something did."""
    fit = libra.result
    if len(fit.selection) > 1:
        return ""
    reasons = {
        "weights": "weights for all gained no more than chance on held-out halves",
        "halves": "nothing raised its correlation by more than chance",
        "published": f"no other correlates within {fit.tolerance:g} of it",
    }
    return f", one proxy alone: {reasons[libra.rule] if fit.weighted is None else 'no other gets a weight'}"


def _show_steps(steps: pd.DataFrame) -> None:
    rows = table("step", "proxy", "rho of halves", "gain", "standard error", "", left=("proxy", ""))
    for _, row in steps.iterrows():
        figures = (options.figure(row[key]) for key in ("rho_halves", "gain", "standard_error"))
        rows.add_row(str(row["step"]), row["proxy"], *figures, "joins" if row["joined"] else "")
    show_table(rows)


def _judgement(fit: Fit) -> str:
    """How the combination ranks the table it was selected on, and whether its best member does so better."""
    together = f"rho of the combination on this table {fit.rho:.3f}"
    alone = fit.proxies["rho"].max()
    if fit.rho >= alone:
        return f"{together}, of its best member alone {alone:.3f}"
    return f"{together}, below the {alone:.3f} of its best member alone"


COMMAND = Command("libra", "select proxies for a target", _DESCRIPTION, _EPILOG, _add_options, _run)
