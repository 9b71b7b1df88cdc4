"""What the proxies reach and what they cost, side by side: the README's table and the numbers of its picture."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.pages import markdown

SHOWN = (
    "lswag", "reg_swap", "t_cet", "swap", "nwot", "xi_gsnr",
    "logsynflow", "params", "zico", "snip", "jacov", "te_nas_ntk",
)  # fmt: skip
TAUGHT = ("c100_kd_acc", "flower_kd_acc", "chaoyang_kd_acc")


def on_cells(correlations: Path, prices: Path) -> pd.DataFrame:
    """Each proxy on NAS-Bench-201: Spearman with CIFAR-10, its interval, and the price of a call on such a cell."""
    found = pd.read_csv(correlations).query("target == 'cifar10_test'").set_index("proxy")
    return _with_prices(found[["spearman", "spearman_low", "spearman_high"]], prices, "nasbench201_like", 64)


def on_transformers(correlations: Path, prices: Path) -> pd.DataFrame:
    """Each proxy on Autoformer-Tiny: the mean Spearman of the networks trained with a teacher, and its price."""
    found = pd.read_csv(correlations).query("target in @TAUGHT").groupby("proxy")[["spearman"]].mean()
    return _with_prices(found, prices, "autoformer_s", 8)


def _with_prices(found: pd.DataFrame, path: Path, network: str, batch: int) -> pd.DataFrame:
    rows = pd.read_csv(path).query("network == @network and batch == @batch")
    names = rows["method"].str.removeprefix("proxy_")
    return found.join(pd.Series(rows["ratio"].to_numpy(), names, name="price"), how="inner")


def table(nasbench201: Path, nasbench101: Path, autoformer: Path, prices: Path) -> str:
    """A line for each of the proxies that the README shows; of NAS-Bench-101 some are not measured."""
    cells, transformers = on_cells(nasbench201, prices), on_transformers(autoformer, prices)
    others = pd.read_csv(nasbench101).query("column == 'nb101'").set_index("proxy")
    ranges = ["spearman", "spearman_low", "spearman_high"]
    rows = []
    for proxy in SHOWN:
        cell, transformer = cells.loc[proxy], transformers.loc[proxy]
        own = markdown.with_range(*cell[ranges])
        other = markdown.with_range(*others.loc[proxy, ranges]) if proxy in others.index else ""
        costs = [f"{row['price']:.2f}" for row in (cell, transformer)]
        rows.append([f"`{proxy}`", own, other, markdown.number(transformer["spearman"]), *costs])
    benchmarks = ["NAS-Bench-201, CIFAR-10", "NAS-Bench-101", "Autoformer-Tiny"]
    return markdown.table(["proxy", *benchmarks, "price, CNN", "price, transformer"], rows)
