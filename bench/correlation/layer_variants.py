"""What each part of L-SWAG is worth on AutoFormer, over all sizes and inside windows: `python -m
bench.correlation.layer_variants LAYERS.csv TABLE --target COLUMN --within embed_dim --out FILE.csv`.

LAYERS.csv is what `bench.correlation.layer_numbers` wrote for the networks of TABLE, whose column params_m or params is
their size. A row of the result is one variant of the score (its layers, how they are combined, the samples of a
pattern, whether the mean gradient is kept) or a proxy of the same pass: its Spearman correlation over all networks,
inside windows of +-8 % of the parameters and inside one width, and how much better than the default it is inside
windows, with the 95 % interval over resamples of the networks.
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
from lswag_fast.data.tables import read_table
from lswag_fast.libra.windows import ComparisonWindow, Rows, Values

WINDOW = ComparisonWindow("params", 0.08)
SAMPLES = 32
DEFAULT = "all layers, layerwise"
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


def variants() -> Iterator[tuple[str, Callable[[Cell], float]]]:
    """Every variant, the default first."""
    yield DEFAULT, lambda cell: value(cell, samples=SAMPLES)
    for combine in ("Lambda", "Psi", "product", "log", "Psi of the union"):
        yield f"all layers, {combine}", lambda cell, c=combine: value(cell, c, samples=SAMPLES)  # type: ignore[misc]
    for kind, parts in KINDS.items():
        for combine in ("layerwise", "Lambda", "Psi"):
            yield (
                f"{kind}, {combine}",
                lambda cell, p=parts, c=combine: value(only(cell, p), c, samples=SAMPLES),  # type: ignore[misc]
            )
    for words, numerator in NUMERATORS.items():
        for combine in ("layerwise", "Lambda"):
            yield (
                f"all layers, {combine}, {words}",
                lambda cell, n=numerator, c=combine: value(cell, c, numerator=n, samples=SAMPLES),  # type: ignore[misc]
            )
    for samples in (8, 12, 16, 20, 24):
        yield (
            f"all layers, layerwise, S = {samples}",
            lambda cell, s=samples: value(cell, samples=s),  # type: ignore[misc]
        )
    for low in range(0, 10, 2):
        yield (
            f"bins {low} to {low + 2}, layerwise",
            lambda cell, b=(low, low + 2): value(cell, interval=b, samples=SAMPLES),  # type: ignore[misc]
        )
    yield "mean of the layers' Lambda", lambda cell: _mean_lambda(cell)


def _mean_lambda(cell: Cell) -> float:
    return float(np.mean([np.log(layer[INV_SIGMA]) for layer in cell["layers"]]))


def measured(scores: pd.DataFrame, table: pd.DataFrame, target: str, within: str, resamples: int) -> pd.DataFrame:
    """The correlations of each column of scores."""
    y = table[target].to_numpy(dtype=float)
    sizes = WINDOW.sizes(table).to_numpy(dtype=float)
    groups = ComparisonWindow(within).sizes(table).to_numpy(dtype=float)
    everything = np.ones(len(y))
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(y), size=len(y)) for _ in range(resamples)]
    base = scores[DEFAULT].to_numpy(dtype=float)

    def inside(z: Values, own: Values, window: ComparisonWindow, rows: Rows) -> float:
        return window.among(own[rows]).spearman(z[rows], y[rows])

    rows = []
    for name in scores.columns:
        z, whole = scores[name].to_numpy(dtype=float), np.arange(len(y))
        gains = [inside(z, sizes, WINDOW, draw) - inside(base, sizes, WINDOW, draw) for draw in draws]
        low, high = np.nanpercentile(gains, [2.5, 97.5]) if draws else (np.nan, np.nan)
        window = inside(z, sizes, WINDOW, whole)
        rows.append(
            {
                "variant": name,
                "over_all": inside(z, everything, ComparisonWindow("all"), whole),
                "inside_window": window,
                f"within_{within}": inside(z, groups, ComparisonWindow(within), whole),
                "difference": window - inside(base, sizes, WINDOW, whole),
                "low": low,
                "high": high,
                "n": len(y),
            }
        )
    return pd.DataFrame(rows)


def scores_of(cells: Cells, layers: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Every variant, every proxy that was scored in the same pass, and the sizes, of each network."""
    found = pd.DataFrame({name: {arch: variant(cell) for arch, cell in cells.items()} for name, variant in variants()})
    settings = json.loads(layers.with_name(layers.name + ".json").read_text(encoding="utf-8"))
    proxies = [name for name in settings["proxies"] if name != "listener"]
    scored = read_table(layers)
    own = {f"proxy {name}": scored.loc[found.index, name] for name in proxies if scored[name].nunique() > 1}
    macs = {"published MACs": table.loc[found.index, "flops_m"]} if "flops_m" in table.columns else {}
    return found.assign(**own, **macs)


def main() -> None:
    """Read the command line, derive and write."""
    parser = argparse.ArgumentParser(description="What each part of L-SWAG is worth on AutoFormer.")
    parser.add_argument("layers", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--within", default="embed_dim")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table = read_table(options.table)
    cells = read_cells(options.layers)
    scores = scores_of(cells, options.layers, table)
    known = table.loc[scores.index].assign(params=lambda t: t["params_m"] if "params_m" in t.columns else t["params"])
    found = measured(scores, known, options.target, options.within, options.resamples)
    found.round(4).to_csv(options.out, index=False)
    sys.stdout.write(found.round(3).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
