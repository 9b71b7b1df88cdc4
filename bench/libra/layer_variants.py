"""What each part of L-SWAG is worth on AutoFormer, over all sizes and inside windows: `python -m
bench.libra.layer_variants LAYERS.csv TABLE --target COLUMN --within embed_dim --out FILE.csv`.

LAYERS.csv is what `bench.correlation.layer_numbers` wrote for the networks of TABLE, whose column params_m or params is
their size; --signed the same with the variance of the signed gradient (its setting "signed"). A row of the result is
one variant of the score (its layers, how they are combined, the samples of a pattern, whether the mean gradient is
kept, which gradient varies) or a proxy of the same pass:

    over_all, inside_window, within_*   Spearman over all networks, inside windows of +-8 % of the parameters, inside
                                        one width
    difference, low, high               to the default on the same networks, inside windows; its 95 % interval over
                                        resamples of the networks
    chosen                              in how many of the random halves it was the best variant inside windows
    n                                   networks

The row "best variant of the other half" is what such a choice is worth where it was not made: the mean over the halves
that were held out, and the interval that holds 95 % of them. For the tables in bench/results/libra, with FOLDER for
where the numbers of the layers lie:

    for s in tiny small base; do
      python -m bench.libra.layer_variants FOLDER/autoformer-$s/base.csv \
        DATA/autoformer_inherited/autoformer_${s}_501.csv.gz --target imagenet_inherited_top1 \
        --signed FOLDER/autoformer-$s/signed.csv --out bench/results/libra/autoformer_${s}_variants.csv
    done
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bench.correlation.ablations import ABS_MU, INV_SIGMA, SIGNED_MU, Cell, Cells, read_cells, value
from bench.correlation.layer_numbers import LISTENER_NAME, common_samples
from lswag_fast.data.tables import read_table
from lswag_fast.libra.windows import ComparisonWindow, Rows, Values, everything

WINDOW = ComparisonWindow("params", 0.08)
DEFAULT = "all layers, layerwise"
SIGNED = "signed gradient"
HELD_OUT = "best variant of the other half"
PROXY = "proxy "
"""Begins the name of a row that is no variant of the score."""
KINDS: dict[str, tuple[str, ...]] = {
    "qkv": ("attn.qkv",),
    "proj": ("attn.proj",),
    "attention": ("attn.",),
    "fc1": ("fc1",),
    "fc2": ("fc2",),
    "feed-forward": ("fc1", "fc2"),
    "head": ("head",),
}
NUMERATORS = {"mean kept": ABS_MU, "mean kept, signed": SIGNED_MU}


def only(cell: Cell, parts: tuple[str, ...]) -> Cell:
    """The cell with those layers whose name has one of the parts."""
    return {**cell, "layers": [layer for layer in cell["layers"] if any(part in layer["name"] for part in parts)]}


def variants(default: int) -> Iterator[tuple[str, Callable[[Cell], float]]]:
    """Every variant, the default first, which takes so many samples of a pattern."""
    yield DEFAULT, lambda cell: value(cell, samples=default)
    for combine in ("Lambda", "Psi", "product", "log", "Psi of the union"):
        yield f"all layers, {combine}", lambda cell, c=combine: value(cell, c, samples=default)  # type: ignore[misc]
    for kind, parts in KINDS.items():
        for combine in ("layerwise", "Lambda", "Psi"):
            yield (
                f"{kind}, {combine}",
                lambda cell, p=parts, c=combine: value(only(cell, p), c, samples=default),  # type: ignore[misc]
            )
    for words, numerator in NUMERATORS.items():
        for combine in ("layerwise", "Lambda"):
            yield (
                f"all layers, {combine}, {words}",
                lambda cell, n=numerator, c=combine: value(cell, c, numerator=n, samples=default),  # type: ignore[misc]
            )
    for samples in sorted({8, 12, 16, 20, 24, 32} - {default}):
        yield (
            f"all layers, layerwise, S = {samples}",
            lambda cell, s=samples: value(cell, samples=s),  # type: ignore[misc]
        )
    for bins in (*((low, low + 2) for low in range(0, 10, 2)), *((low, 10) for low in (4, 5, 6, 7))):
        yield (
            f"bins {bins[0]} to {bins[1]}, layerwise",
            lambda cell, b=bins: value(cell, interval=b, samples=default),  # type: ignore[misc]
        )
    for low in (5, 6):
        yield (
            f"bins {low} to 10, Lambda of the signed mean (ZiCo)",
            lambda cell, b=(low, 10): value(cell, "Lambda", numerator=SIGNED_MU, interval=b),  # type: ignore[misc]
        )
    yield "mean of the layers' Lambda", lambda cell: _mean_lambda(cell)


def _mean_lambda(cell: Cell) -> float:
    return float(np.mean([np.log(layer[INV_SIGMA]) for layer in cell["layers"]]))


def signed_variants(default: int) -> Iterator[tuple[str, Callable[[Cell], float]]]:
    """Those of the passes that took the variance of the signed gradient."""
    for combine in ("layerwise", "Lambda", "log"):
        yield f"{SIGNED}, {combine}", lambda cell, c=combine: value(cell, c, samples=default)  # type: ignore[misc]


def inside(z: Values, y: Values, sizes: Values, rows: Rows) -> Values:
    """(columns of z,) the correlation of each with y inside the windows of some rows."""
    windows = WINDOW.among(sizes[rows])
    return np.array([windows.spearman(column, y[rows]) for column in z[rows].T])


def measured(
    scores: pd.DataFrame, table: pd.DataFrame, target: str, within: str, resamples: int, halves: int
) -> pd.DataFrame:
    """The rows of the result for each column of scores, the default among them."""
    z, y = scores.to_numpy(dtype=float), table[target].to_numpy(dtype=float)
    sizes = WINDOW.sizes(table).to_numpy(dtype=float)
    group = ComparisonWindow(within)
    groups = group.among(group.sizes(table).to_numpy(dtype=float))
    whole, default = np.arange(len(y)), scores.columns.get_loc(DEFAULT)
    rng = np.random.default_rng(0)
    found = inside(z, y, sizes, whole)
    again = np.array([inside(z, y, sizes, rng.integers(len(y), size=len(y))) for _ in range(resamples)])
    low, high = np.nanpercentile(again - again[:, [default]], [2.5, 97.5], axis=0)
    chosen, held_out = on_halves(scores, y, sizes, halves)
    rows = pd.DataFrame(
        {
            "variant": scores.columns,
            "over_all": [everything(len(y)).spearman(column, y) for column in z.T],
            "inside_window": found,
            f"within_{within}": [groups.spearman(column, y) for column in z.T],
            "difference": found - found[default],
            "low": low,
            "high": high,
            "chosen": chosen,
            "n": len(y),
        }
    )
    return pd.concat([rows, pd.DataFrame([{"variant": HELD_OUT, **held_out, "n": len(y)}])])


def on_halves(scores: pd.DataFrame, y: Values, sizes: Values, halves: int) -> tuple[list[int], dict[str, float]]:
    """How often each column was the best variant on a half, and what that one was worth on the other half."""
    variants = np.flatnonzero([not name.startswith(PROXY) for name in scores.columns])
    default, z = scores.columns.get_loc(DEFAULT), scores.to_numpy(dtype=float)
    rng = np.random.default_rng(1)
    counts, values, gains = [0] * len(scores.columns), [], []
    for _ in range(halves):
        here, rest = np.array_split(rng.permutation(len(y)), 2)
        best = variants[np.argmax(inside(z[:, variants], y, sizes, here))]
        counts[best] += 1
        value_there, default_there = inside(z[:, [best, default]], y, sizes, rest)
        values.append(value_there)
        gains.append(value_there - default_there)
    low, high = np.nanpercentile(gains, [2.5, 97.5])
    return counts, {"inside_window": np.mean(values), "difference": np.mean(gains), "low": low, "high": high}


def scores_of(cells: Cells, layers: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Every variant, every proxy that was scored in the same pass, and the sizes, of each network."""
    found = derived(cells, variants(common_samples(cells.values())))
    settings = json.loads(layers.with_name(layers.name + ".json").read_text(encoding="utf-8"))
    proxies = [name for name in settings["proxies"] if name != LISTENER_NAME]
    scored = read_table(layers)
    own = {f"{PROXY}{name}": scored.loc[found.index, name] for name in proxies if scored[name].nunique() > 1}
    macs = {f"{PROXY}published MACs": table.loc[found.index, "flops_m"]} if "flops_m" in table.columns else {}
    return found.assign(**own, **macs)


def derived(cells: Cells, chosen: Iterator[tuple[str, Callable[[Cell], float]]]) -> pd.DataFrame:
    """Some variants of the score of each network."""
    return pd.DataFrame({name: {arch: variant(cell) for arch, cell in cells.items()} for name, variant in chosen})


def main() -> None:
    """Read the command line, derive and write."""
    parser = argparse.ArgumentParser(description="What each part of L-SWAG is worth on AutoFormer.")
    parser.add_argument("layers", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--signed", type=Path, help="may not exist yet")
    parser.add_argument("--target", required=True)
    parser.add_argument("--within", default="embed_dim")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--halves", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table = read_table(options.table)
    known = table if "params" in table.columns else table.assign(params=table["params_m"])
    scores = scores_of(read_cells(options.layers), options.layers, table)
    parts = [scores]
    if options.signed is not None and options.signed.exists():
        cells = read_cells(options.signed)
        signed = derived(cells, signed_variants(common_samples(cells.values())))
        parts.append(scores[[DEFAULT]].join(signed, how="inner"))
    found = [
        measured(part, known.loc[part.index], options.target, options.within, options.resamples, options.halves)
        for part in parts
    ]
    rows = pd.concat([found[0], *(part[part["variant"].str.startswith(SIGNED)] for part in found[1:])])
    rows.round(4).to_csv(options.out, index=False)
    sys.stdout.write(rows.round(3).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
