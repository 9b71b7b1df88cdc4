"""The columns of the paper's Table 1: `python -m bench.table1.columns COLUMN=scores.csv... --out FILE.csv`.

FILE.csv keeps its other columns, so that each can be measured by a command of its own.

Each file is what `lswag-fast evaluate` or `bench.libra.score_table` wrote for the networks of that column; of several
files of one column, each adds the proxies that those before it lack. A row of the result is one way to rank the
networks of one column, of the kind

    proxy       every proxy of the file
    no labels   the ranks of several summed: proxies that are made so (az_nas), what the package recommends for the
                space, and the combinations of `bench.correlation.combinations` and `bench.libra.label_free`
    LIBRA       what each rule selects on random halves, judged on the others, and the best single proxy of those halves

with Spearman, Kendall's tau-b, nDCG@10 and the overlap of the best 5 %, and the mean Spearman inside windows of the
parameters (`inside`) and inside one embed_dim, where the networks have one; each with its interval of 95 %, over
resamples of the networks or, for LIBRA, over the halves. LIBRA has the two figures that it is fitted to: over all and
inside windows. `published` is what others have (`bench.table1.published`), Spearman over all.

The networks of a column that ends in -drawn are scored on targets that were drawn, those of the others on real ones.
docs/results/repeat.md has the commands of the scores.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.correlation.runs import named
from bench.table1 import published, ways
from lswag_fast import LswagWarning
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation import correlate
from lswag_fast.libra.windows import ComparisonWindow

MEASURES = ("spearman", "kendall", "ndcg10", "top5")
ENDS = ("", "_low", "_high")
WIDTH = ComparisonWindow("embed_dim")
INHERITED = "imagenet_inherited_top1"
PROXY, NO_LABELS, LIBRA = "proxy", "no labels", "LIBRA"
"""The kinds of rows."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: In words.
        target: The column of the accuracies.
        space: Of its networks.
        share: How wide the windows of the parameters are.
    """

    title: str
    target: str
    space: str
    share: float = 0.08

    @property
    def window(self) -> ComparisonWindow:
        """Of the parameters."""
        return ComparisonWindow("params", self.share)


def _of_transnas(space: str) -> dict[str, Column]:
    tasks = {
        "autoencoder": ("autoencoder", "autoencoder"),
        "room-drawn": ("room layout", "room_layout"),
        "object": ("objects", "class_object"),
        "scene": ("scenes", "class_scene"),
        "jigsaw": ("jigsaw", "jigsaw"),
        "normal-drawn": ("surface normals", "normal"),
        "segments-drawn": ("segments", "segmentsemantic"),
    }
    return {
        f"{space}-{key}": Column(f"TransNAS {space}, {words}", target, f"transnas-{space}")
        for key, (words, target) in tasks.items()
    }


COLUMNS = {
    "nb201-cifar10": Column("NAS-Bench-201, CIFAR-10", "cifar10_test", "nasbench201"),
    "nb201-cifar100": Column("NAS-Bench-201, CIFAR-100", "cifar100_test", "nasbench201"),
    "nb201-imagenet16": Column("NAS-Bench-201, ImageNet16-120", "imagenet16_test", "nasbench201"),
    "nb101": Column("NAS-Bench-101, CIFAR-10", "cifar10_test", "nasbench101"),
    "darts": Column("DARTS, CIFAR-10", "cifar10_acc", "darts"),
    **_of_transnas("micro"),
    **_of_transnas("macro"),
    "autoformer-tiny": Column("Autoformer-Tiny, inherited ImageNet", INHERITED, "autoformer-tiny"),
    "autoformer-small": Column("Autoformer-Small, inherited ImageNet", INHERITED, "autoformer-small"),
    "autoformer-base": Column("Autoformer-Base, inherited ImageNet", INHERITED, "autoformer-base"),
}


def measured(name: str, scores: pd.DataFrame, resamples: int, seed: int, halves: int) -> list[dict[str, object]]:
    """The rows of a column; without halves none of LIBRA."""
    column = COLUMNS[name]
    proxies = ways.proxies(scores)
    sums = ways.combinations(scores, column.space, proxies)
    table = scores.assign(**{way: found.scores for way, found in sums.items()})
    found = _correlations(table, column, [*proxies, *sums], resamples, seed)
    rows = [
        {
            "column": name,
            "kind": NO_LABELS if way in sums else PROXY,
            "proxy": way,
            "members": " ".join(sums[way].members) if way in sums else way,
            **row,
            "published": _published(str(way), name),
        }
        for way, row in found.iterrows()
    ]
    if not halves:
        return rows
    chosen = ways.held_out_rows(scores, column.target, _window(scores, column), halves, seed)
    extra = {way: {"kind": LIBRA, "published": _published(way, name)} for way in chosen}
    return rows + [{"column": name, "proxy": way, **row, **extra[way]} for way, row in chosen.items()]


def _published(way: str, column: str) -> float:
    """The paper's LIBRA is that of the published rule."""
    known = published.LIBRA if way == ways.PUBLISHED_RULE else way
    return published.SPEARMAN.get(known, {}).get(column, float("nan"))


def _window(scores: pd.DataFrame, column: Column) -> ComparisonWindow | None:
    """The window of a column, if that of most networks holds enough others to compare."""
    if "params" not in scores.columns:
        return None
    windows = column.window.among(column.window.sizes(scores).to_numpy())
    return column.window if windows.n_left_out < len(scores) / 2 else None


def _correlations(table: pd.DataFrame, column: Column, names: list[str], resamples: int, seed: int) -> pd.DataFrame:
    window = _window(table, column)
    found = correlate(table, column.target, names, window=window, n_bootstrap=resamples, seed=seed)
    found["window"] = "" if window is None else str(window)
    if WIDTH.column in table.columns:
        inside = correlate(table, column.target, names, window=WIDTH, n_bootstrap=resamples, seed=seed)
        for end in ENDS:
            found[f"inside_embed_dim{end}"] = inside[f"inside{end}"]
    return found


def add_scores(parser: argparse.ArgumentParser) -> None:
    """The scores of the columns, by the name of each."""
    parser.add_argument(
        "scores", nargs="+", type=_of_column, metavar="COLUMN=FILE", help=f"one of {', '.join(COLUMNS)}"
    )


def _of_column(word: str) -> tuple[str, Path]:
    name, path = named(word)
    if name not in COLUMNS:
        raise argparse.ArgumentTypeError(f"there is no column {name}; there are {', '.join(COLUMNS)}")
    return name, path


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="The columns of the paper's Table 1.")
    add_scores(parser)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--halves", type=int, default=20, help="on which LIBRA is judged; 0 for no LIBRA")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore", LswagWarning)  # a widened tolerance is no news in 20 fits
    for name, scores in tables(options.scores).items():
        rows = measured(name, scores, options.resamples, options.seed, options.halves)
        found = pd.DataFrame(rows)
        add(found, options.out)
        sys.stdout.write(f"{found[['column', 'proxy', *MEASURES, 'n', 'published']].round(3).to_string(index=False)}\n")


def add(rows: pd.DataFrame, path: Path) -> None:
    """Write the rows of a column into the table of all, in place of older ones, in the order of `COLUMNS`."""
    known = pd.read_csv(path) if path.exists() else rows.iloc[:0]
    others = [part for name, part in known.groupby("column") if name != rows["column"].iloc[0]]
    parts = sorted([*others, rows.round(4)], key=lambda part: list(COLUMNS).index(part["column"].iloc[0]))
    pd.concat(parts).to_csv(path, index=False)


def tables(files: Sequence[tuple[str, Path]]) -> dict[str, pd.DataFrame]:
    """The scores of each column; its files are joined, and of columns that several have the first gives them."""
    found: dict[str, pd.DataFrame] = {}
    for name, path in files:
        table, before = _read(path), found.get(name)
        if before is None:
            found[name] = table
        else:
            found[name] = before.join(table[table.columns.difference(before.columns, sort=False)], how="inner")
    return found


def _read(path: Path) -> pd.DataFrame:
    key = "arch" if "arch" in pd.read_csv(path, nrows=0).columns else "genotype"
    return read_table(path, key=key)


if __name__ == "__main__":
    main()
