"""What each part and option of L-SWAG is worth on CNNs: `python -m bench.correlation.ablations FOLDER TABLE --targets
COLUMN,... --out FILE.csv [--plot FILE.png]`.

FOLDER is what `bench.correlation.layer_numbers` wrote of the networks of TABLE. A row is one variant of the score
against one accuracy: Spearman with its 95 % interval over `resamples` of the networks, and the difference to the
default on the same networks, with the interval of that difference. The interval of layers is the one that the paper has
for NAS-Bench-201.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.correlation.layer_numbers import PATTERN_SAMPLES, SETTINGS
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.intervals import interval_of

Cell = dict[str, Any]
Cells = dict[str, Cell]
Interval = tuple[int, int] | None
Row = tuple[str, str, pd.Series]

INV_SIGMA, ABS_MU, SIGNED_MU = "sum_inv_sigma", "sum_mu_over_sigma", "sum_mean_abs_over_sigma"


def read_cells(path: Path) -> Cells:
    """The numbers of each network of a setting that has some."""
    csv.field_size_limit(10**9)
    with path.open(newline="", encoding="utf-8") as file:
        return {row["arch"]: json.loads(row["numbers"]) for row in csv.DictReader(file) if row["numbers"]}


def lambdas(cell: Cell, numerator: str, interval: Interval) -> list[tuple[float, int]]:
    """ln of the sum of each layer in the interval, and the position of its activation."""
    low, high = interval or (0, 10)
    inside = [layer for layer in cell["layers"] if low <= layer["percentile"] <= high]
    return [(math.log(layer[numerator]), layer["activation"]) for layer in inside if layer[numerator]]


def value(
    cell: Cell,
    combine: str = "layerwise",
    *,
    numerator: str = INV_SIGMA,
    interval: Interval = None,
    samples: int | None = None,
    patterns: Cell | None = None,
) -> float:
    """One variant of the score; `patterns` is the cell whose patterns are taken, by default the same."""
    seen = patterns or cell
    s = str(samples or seen["auto"])
    psi, union = seen["psi"][s], seen["union"][s]
    found = lambdas(cell, numerator, interval)
    if not found:
        return math.nan
    if combine == "Lambda":
        return math.fsum(value for value, _ in found)
    if combine == "Psi":
        return float(sum(psi[place] for _, place in found))
    if combine == "Psi of the union":
        return float(union)
    if combine == "product":
        return math.fsum(value for value, _ in found) * union
    if combine == "product of sums":
        return math.fsum(value for value, _ in found) * sum(psi[place] for _, place in found)
    if combine == "log":
        return math.fsum(value + math.log(psi[place]) for value, place in found)
    return math.fsum(value * psi[place] for value, place in found)


def scored(cells: Cells, score: Callable[[Cell], float]) -> pd.Series:
    """The variant's score of every network."""
    return pd.Series({arch: score(cell) for arch, cell in cells.items()})


def of_parts(base: Cells) -> Iterator[Row]:
    """Table 3: the mean gradient kept or dropped, all layers or an interval, with and without patterns; and section
    1.5 A1: how they are combined."""
    numerators = {"1/sigma": INV_SIGMA, "mu/sigma": ABS_MU, "mu/sigma of the signed gradient (ZiCo)": SIGNED_MU}
    intervals: dict[str, Interval] = {"all layers": None, "interval": interval_of("nasbench201")}
    for mu, numerator in numerators.items():
        for where, interval in intervals.items():
            for psi, combine in {"no Psi": "Lambda", "Psi": "layerwise"}.items():

                def score(cell: Cell, c: str = combine, n: str = numerator, i: Interval = interval) -> float:
                    return value(cell, c, numerator=n, interval=i)

                yield "table 3", f"{mu}, {where}, {psi}", scored(base, score)
    for combine in ("product", "product of sums", "log", "Lambda", "Psi", "Psi of the union"):
        yield "combine", combine, scored(base, lambda cell, c=combine: value(cell, c))  # type: ignore[misc]


def of_samples(base: Cells) -> Iterator[Row]:
    """The samples of a pattern, of one batch."""
    for s in PATTERN_SAMPLES:
        for combine in ("layerwise", "Psi", "Psi of the union"):
            yield (
                "pattern samples",
                f"{combine}, {s}",
                scored(base, lambda cell, c=combine, s=s: value(cell, c, samples=s)),  # type: ignore[misc]
            )


def of_percentiles(base: Cells) -> Iterator[Row]:
    """Table 5: row k takes the layers of bins k - 1 and k."""
    for k in range(1, 11):
        yield "percentiles", f"{k}", scored(base, lambda cell, k=k: value(cell, interval=(k - 1, k)))  # type: ignore[misc]


def of_settings(measured: Mapping[str, Cells]) -> Iterator[Row]:
    """What needs passes of its own: seeds, modes, variances, initialisations, batch sizes."""
    base = measured["base"]
    for name, cells in measured.items():
        setting = SETTINGS[name]
        for combine in ("layerwise", "Lambda", "Psi"):
            yield "setting", f"{name}, {combine}", scored(cells, lambda cell, c=combine: value(cell, c))  # type: ignore[misc]
        if setting.gradient == "abs":
            zico = scored(cells, lambda cell: value(cell, "Lambda", numerator=SIGNED_MU))
            yield "setting", f"{name}, ZiCo", zico
        if setting.batch_size != 64:
            both = {arch: cell for arch, cell in cells.items() if arch in base}
            mixed = {arch: value(cell, patterns=base[arch]) for arch, cell in both.items()}
            yield "setting", f"{name}, layerwise, patterns of batch 64", pd.Series(mixed)


def bootstrapped(z: pd.Series, reference: pd.Series, y: pd.Series, resamples: int, seed: int) -> dict[str, float]:
    """Spearman of a variant, of the default on the same networks, and their difference, with intervals."""
    table = pd.DataFrame({"z": z, "r": reference, "y": y}).dropna().to_numpy()
    table = table[np.isfinite(table).all(axis=1)]

    def rhos(rows: Any) -> tuple[float, float]:
        ranks = pd.DataFrame(table[rows]).rank().to_numpy()
        with np.errstate(invalid="ignore"):  # a variant that is constant in a resample has no correlation there
            matrix = np.corrcoef(ranks, rowvar=False)
        return float(matrix[0, 2]), float(matrix[1, 2])

    rng = np.random.default_rng(seed)
    again = np.array([rhos(rng.integers(len(table), size=len(table))) for _ in range(resamples)])
    rho, default = rhos(slice(None))
    low, high = np.nanpercentile(again[:, 0], [2.5, 97.5])
    less, more = np.nanpercentile(again[:, 0] - again[:, 1], [2.5, 97.5])
    return {
        "n": len(table),
        "spearman": rho,
        "low": low,
        "high": high,
        "default": default,
        "difference": rho - default,
        "difference_low": less,
        "difference_high": more,
    }


def plot(found: pd.DataFrame, target: str) -> Any:
    """The samples of a pattern, the batch size and the percentiles, each with its interval."""
    from matplotlib.figure import Figure

    rows = found[found["target"] == target].set_index("variant")
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    samples, batches, depth = figure.subplots(1, 3, sharey=True)
    for combine in ("layerwise", "Psi"):
        _curve(samples, rows, list(PATTERN_SAMPLES), [f"{combine}, {s}" for s in PATTERN_SAMPLES], combine)
    samples.set(xlabel="samples of a pattern", ylabel=f"Spearman, {target}")
    sizes = [size for size in (8, 16, 32, 128) if f"batch-{size}, layerwise" in rows.index]
    names = [f"batch-{size}, layerwise" for size in sizes]
    _curve(batches, rows, [*sizes, 64], [*names, "base, layerwise"], "batch for gradients and patterns")
    _curve(batches, rows, sizes, [f"{name}, patterns of batch 64" for name in names], "for gradients alone")
    batches.set(xlabel="batch size (64: the default, on all networks)")
    _curve(depth, rows, list(range(1, 11)), [str(k) for k in range(1, 11)], "bins k - 1 and k")
    depth.set(xlabel="k of Table 5")
    for axes in (samples, batches, depth):
        axes.legend()
    return figure


def _curve(axes: Any, rows: pd.DataFrame, x: list[int], names: list[str], label: str) -> None:
    chosen = rows.loc[names]
    ends = [chosen["spearman"] - chosen["low"], chosen["high"] - chosen["spearman"]]
    axes.errorbar(x, chosen["spearman"], ends, marker="o", linestyle="none", capsize=3, label=label)


def main() -> None:
    """Read the command line, derive and write."""
    parser = argparse.ArgumentParser(description="What each part and option of L-SWAG is worth on CNNs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = [name for name in SETTINGS if (options.folder / f"{name}.csv").exists()]
    measured = {name: read_cells(options.folder / f"{name}.csv") for name in names}
    accuracies, targets = read_table(options.table), options.targets.split(",")
    base = measured["base"]
    default = scored(base, value)
    rows = []
    for part in (of_parts(base), of_samples(base), of_percentiles(base), of_settings(measured)):
        for study, variant, z in part:
            for target in targets if z.nunique() > 1 else ():  # few samples give every network as many patterns
                found = bootstrapped(z, default, accuracies[target], options.resamples, options.seed)
                rows.append({"study": study, "variant": variant, "target": target, "seed": options.seed, **found})
    table = pd.DataFrame(rows)
    table.round(4).to_csv(options.out, index=False)
    if options.plot is not None:
        plot(table, targets[0]).savefig(options.plot, dpi=150)
    wide = table.pivot_table(index=["study", "variant"], columns="target", values="spearman", sort=False)
    sys.stdout.write(wide.round(3).to_string() + "\n")


if __name__ == "__main__":
    main()
