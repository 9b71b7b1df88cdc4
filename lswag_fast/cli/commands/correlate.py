"""`lswag-fast correlate` and `lswag-fast libra`: what scores say about accuracies, and which three to combine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.console import OUT, say, table

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.libra.selection import Fit

_DESCRIPTION = """\
Rank correlations of the proxies of a table with an accuracy: Spearman, Kendall's tau-b and the overlap of the 5 % best,
with bootstrap intervals of 95 %."""

_EPILOG = """\
examples:
  lswag-fast correlate scores.csv --target cifar10_test
  lswag-fast correlate scores.csv --target cifar10_test,cifar100_test --csv rho.csv --plot rho.png

Several tables are joined by --key."""

_LIBRA_DESCRIPTION = """\
Select three proxies for a target (LIBRA, Algorithm 1) and show every number that led to the choice."""

_LIBRA_EPILOG = """\
examples:
  lswag-fast libra scores.csv --target cifar10_test --out selection.json
  lswag-fast libra nb201_accuracy.csv.gz nb201_proxies_suite_cifar10.csv.gz --key index --target cifar10_test

The entropies, the tolerance and the bias follow the paper and the field's notebook; other choices are options of
lswag_fast.Libra."""


def add_parser(commands: Any) -> None:
    """Add both commands to the parser's commands."""
    correlate = _parser(commands, "correlate", "rank correlations of proxies with an accuracy", _DESCRIPTION, _EPILOG)
    correlate.add_argument("--target", required=True, metavar="COLUMN,...", help="the accuracies to compare with")
    correlate.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples (default: 1000)")
    correlate.add_argument("--seed", type=int, default=0, metavar="S", help="of the resamples (default: 0)")
    correlate.add_argument("--csv", type=Path, metavar="FILE", help="write the table, a row a proxy and target")
    correlate.add_argument("--plot", type=Path, metavar="FILE", help="write a heatmap of the Spearman correlations")
    correlate.set_defaults(run=run_correlate)
    libra = _parser(commands, "libra", "select three proxies for a target", _LIBRA_DESCRIPTION, _LIBRA_EPILOG)
    libra.add_argument("--target", required=True, metavar="COLUMN", help="the accuracy to select for")
    libra.add_argument("--bias", default="params", metavar="COLUMN", help="what proxies lean to (default: params)")
    libra.add_argument("--tolerance", type=float, default=0.1, metavar="T", help="of the correlation (default: 0.1)")
    stability = "select by so many random halves of the table, judged on the other halves (default: the published rule)"
    libra.add_argument("--stability", type=options.positive, metavar="N", help=stability)
    libra.add_argument("--seed", type=int, default=0, metavar="S", help="of the halves (default: 0)")
    libra.add_argument("--out", type=Path, metavar="FILE", help="write the selection as JSON")
    libra.set_defaults(run=run_libra)


def _parser(commands: Any, name: str, text: str, description: str, epilog: str) -> Any:
    parser = options.add_command(commands, name, summary=text, description=description, epilog=epilog)
    parser.add_argument("table", nargs="+", type=Path, metavar="TABLE", help=".csv, .csv.gz, .parquet or .json")
    parser.add_argument("--key", default="arch", metavar="COLUMN", help="names the architectures (default: arch)")
    parser.add_argument("--dataset", metavar="NAME", help="which data set of a .json table")
    parser.add_argument("--proxies", metavar="NAME,...", help="columns (default: those named like a known proxy)")
    return parser


def run_correlate(args: argparse.Namespace) -> int:
    """Print the correlations, best first, and write what is asked for."""
    from lswag_fast.evaluation.correlation import correlate
    from lswag_fast.plots import plot_correlations

    data = _table(args)
    names = options.columns_of(data, args.proxies)
    found = {
        target: correlate(data, target, names, n_bootstrap=args.bootstrap, seed=args.seed)
        for target in options.listed(args.target)
    }
    for target, rows in found.items():
        say(f"{target}:")
        _show_correlations(rows.sort_values("spearman", ascending=False))
    if args.csv is not None:
        _joined(found).to_csv(args.csv, index=False)
    if args.plot is not None:
        plot_correlations({target: rows["spearman"].to_dict() for target, rows in found.items()}).savefig(
            args.plot, dpi=150
        )
    return 0


def run_libra(args: argparse.Namespace) -> int:
    """Fit, print the table that explains the choice, and write the selection."""
    from lswag_fast.libra.selection import Libra

    data = _table(args)
    names = options.columns_of(data.drop(columns=args.target, errors="ignore"), args.proxies)
    fitted = Libra(args.tolerance, stability=args.stability, seed=args.seed)
    libra = fitted.fit(data, args.target, args.bias, names)
    rows = table("proxy", "role", "rho", "gain", "bias", "distance", "note", left=("proxy", "role", "note"))
    for name, row in libra.explain().iterrows():
        figures = (_figure(row[key]) for key in ("rho", "information_gain", "bias", "bias_distance"))
        rows.add_row(str(name), row["role"], *figures, row["note"])
    OUT.print(rows)
    result = libra.result
    if result.proposals is not None:
        _show_proposals(result.proposals)
    say(f"\nselected: {', '.join(libra.selection)}")
    say(_judgement(result))
    say(f"{result.n_rows} architectures, {result.n_dropped} left out")
    say(f"{result.n_bins} bins, tolerance {result.tolerance:g}")
    say(f"bias of {result.target} to {result.bias}: {result.target_bias:.3f}; gain in bits")
    if args.out is not None:
        libra.save(args.out)
        say(f"selection: {args.out}")
    return 0


def _table(args: argparse.Namespace) -> pd.DataFrame:
    from lswag_fast.data.tables import join, read_table

    return join([read_table(path, args.key, args.dataset) for path in args.table])


def _show_correlations(found: pd.DataFrame) -> None:
    rows = table("proxy", "Spearman", "Kendall", "top 5 %", "n", left=("proxy",))
    for name, row in found.iterrows():
        cells = (_interval(row, measure) for measure in ("spearman", "kendall", "top5"))
        rows.add_row(str(name), *cells, f"{row['n']:.0f}")
    OUT.print(rows)


def _show_proposals(found: pd.DataFrame) -> None:
    rows = table("selection", "proposed", "rho held out", "rho", left=("selection",))
    for _, row in found.iterrows():
        figures = (_figure(row[key]) for key in ("rho_held_out", "rho"))
        rows.add_row(", ".join(row["selection"]), f"{row['n_proposed']}", *figures)
    OUT.print(rows)


def _judgement(fit: Fit) -> str:
    """How the combination ranks the table it was selected on, and whether its best member does so better."""
    together = f"rho of the combination on this table {fit.rho:.3f}"
    alone = fit.proxies["rho"].max()
    if fit.rho >= alone:
        return f"{together}, of its best member alone {alone:.3f}"
    return (
        f"{together}, below the {alone:.3f} of its best member alone; --stability 20 takes no combination that ranks "
        "worse than that"
    )


def _interval(row: pd.Series, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return _figure(row[name]) + ("" if low != low else f" [{low:.2f}, {high:.2f}]")  # NaN without resamples


def _figure(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"  # NaN is no number to show


def _joined(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    parts: Sequence[pd.DataFrame] = [rows.reset_index().assign(target=target) for target, rows in found.items()]
    return pd.concat(parts)
