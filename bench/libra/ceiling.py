"""What can be reached inside windows at all: `python -m bench.libra.ceiling SCORES.csv.gz TABLE --target COLUMN
--window params:8% --out FILE.csv`.

SCORES.csv.gz is what `bench.libra.score_table` wrote of networks of AutoFormer, TABLE all networks that are published,
with params_m, of which some are scored. A row of the result is one way to rank the networks of a space inside windows
of their parameters. What a way ranks is the mean Spearman correlation inside windows, of the networks whose labels it
has seen (`seen`: chosen with the labels of all, an upper bound of what such a way can do) and of networks whose labels
it has not (`unseen`, the mean of the parts that were left out, `low` and `high` the interval that holds 95 % of them):

    params      by their number alone
    late        by the parameters of the last third of the blocks, rounded up: 4 of 12 blocks, 5 of 13 or 14
    deeper      by one bit, whether a network has more blocks than the shallowest ones
    zico nwot   by the sum of their log ranks, as every sum here
    best sum    of all sums of one to three proxies, the one that ranks the labels best; "with late" as one of them
    ridge       log ranks with weights of either sign, fitted to the ranks inside windows with the penalty of `Libra()`:
                of all proxies; of zico, nwot and late; of zico, nwot and the parameters of the attention and of the
                feed-forward layers in each third of the blocks
    boosting    gradient boosting of scikit-learn, as it is by default, on the architecture: depth, width, mean heads
                and mean mlp ratio ("means"), or also those of the first and the last third of the blocks ("thirds")

All but boosting rank the scored networks, on halves; boosting, params, late and deeper all published ones, four times
five folds. A row "other images" is a bound on the accuracies themselves: what these accuracies would rank of accuracies
of another 50,000 images, if two networks differ by chance on the share of the images in its name. What that share is
nobody has published for these networks. FILE.csv keeps the rows of other spaces. All that the pages show:

    R=bench/results/libra I=DATA/autoformer_inherited T="--target imagenet_inherited_top1 --out $R/ceiling.csv"
    for s in tiny small base; do
      python -m bench.libra.ceiling $R/autoformer_${s}_scores.csv.gz $I/autoformer_${s}_501.csv.gz --window params:8% $T
    done
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import RepeatedKFold

from bench.correlation.combinations import pool
from bench.libra.label_free import add
from lswag_fast.data.tables import finite_numbers, read_table
from lswag_fast.libra.halves import cuts
from lswag_fast.libra.judge import Candidates
from lswag_fast.libra.ranking import oriented
from lswag_fast.libra.weights import PENALTY
from lswag_fast.libra.windows import NOBODY, ComparisonWindow, Rows, Values, centred, ranks_inside

SIZE = "params"
MOST = 3
"""Proxies in a sum, as many as the rule "halves" takes."""
HALVES, FOLDS, REPEATS = 20, 5, 4
"""As many folds, with their repeats, as halves."""
THIRDS = tuple(f"{kind} {place}" for kind in ("attention", "feed-forward") for place in ("first", "middle", "last"))
LATE, DEEPER = "late", "deeper"
HEAD_WIDTH = 64
"""Of AutoFormer."""
PARTS = {"means": ("all",), "thirds": ("all", "first", "last")}
"""Of the blocks, what boosting sees."""
N_IMAGES = 50_000
"""Of the validation set of ImageNet."""
DIFFERING = (0.02, 0.05, 0.1)
DRAWS = 200


class Scored:
    """Some networks, the logarithms of their proxies' ranks inside each window, and their accuracies there.

    Args:
        table: the networks.
        rows: which of them; they have windows of their own.
    """

    def __init__(self, table: Candidates, rows: Rows) -> None:
        self.windows = table.windows(rows)
        self.target = centred(ranks_inside(self.windows.inside(table.target.to_numpy(dtype=float)[rows])))
        columns = table.scores.to_numpy(dtype=float)[rows].T
        ranks = np.stack([ranks_inside(self.windows.inside(column)) for column in columns], axis=-1)
        self.logs = np.log(ranks / self.sizes[:, None, None])

    @property
    def sizes(self) -> Values:
        """How many networks each window holds."""
        counts: Values = (self.windows.rows != NOBODY).sum(axis=1).astype(float)
        return counts

    def rho(self, weights: Values) -> float:
        """Return what the proxies rank inside windows, with a weight for each."""
        return self.windows.of_ranks(centred(ranks_inside(self.logs @ weights)), self.target)


Way = Callable[[Scored], Values]
"""Chooses the weights of the proxies with the labels of some networks."""


def best_sum(scored: Scored) -> Values:
    """Weights of 1 for the one to three proxies whose sum ranks the networks best, and 0 for all others."""
    n_proxies = scored.logs.shape[-1]
    sums = (places for size in range(1, MOST + 1) for places in combinations(range(n_proxies), size))
    found = np.array([np.isin(np.arange(n_proxies), places) for places in sums], dtype=float)
    best: Values = found[int(np.argmax([scored.rho(weights) for weights in found]))]
    return best


def ridge(scored: Scored) -> Values:
    """Weights of either sign that fit the ranks of the target inside windows."""
    shares = scored.windows.counts / scored.sizes
    logs = np.nan_to_num(scored.logs - np.nanmean(scored.logs, axis=1, keepdims=True))
    products = np.einsum("wip,wiq,w->pq", logs, logs, shares, optimize=True)
    towards = np.einsum("wip,wi,w->p", logs, scored.target, shares / scored.sizes, optimize=True)
    weights: Values = np.linalg.solve(products + PENALTY * np.eye(len(products)), towards)
    return weights


def summed(scored: Scored) -> Values:
    """Weights of 1 for all."""
    return np.ones(scored.logs.shape[-1])


def ways(proxies: Sequence[str]) -> dict[str, tuple[list[str], Way]]:
    """What ranks the scored networks: the columns that each way sees, and how it chooses among them."""
    pair = ["zico", "nwot"]
    return {
        SIZE: ([SIZE], summed),
        LATE: ([LATE], summed),
        DEEPER: ([DEEPER], summed),
        " ".join(pair): (pair, summed),
        "best sum": ([*proxies], best_sum),
        "best sum with late": ([*proxies, LATE], best_sum),
        "ridge": ([*proxies], ridge),
        "ridge with late": ([*pair, LATE], ridge),
        "ridge with thirds": ([*pair, *THIRDS], ridge),
    }


def on_halves(table: Candidates, way: Way) -> dict[str, Any]:
    """What a way ranks whose labels it has seen, and on halves that it has not."""
    whole = Scored(table, np.arange(len(table)))
    weights = way(whole)
    unseen = [Scored(table, rest).rho(way(Scored(table, here))) for here, rest in cuts(table, HALVES, seed=0)]
    chosen = [str(name) for name, weight in zip(table.scores.columns, weights, strict=True) if weight]
    return {"members": " ".join(chosen), "seen": whole.rho(weights), **interval(unseen), "n": len(table)}


def interval(unseen: list[float]) -> dict[str, float]:
    """The mean of some parts and the interval that holds 95 % of them."""
    low, high = np.percentile(unseen, [2.5, 97.5])
    return {"unseen": float(np.mean(unseen)), "low": float(low), "high": float(high)}


def features(arch: str, parts: Sequence[str]) -> list[float]:
    """What an architecture of AutoFormer is, in numbers.

    Args:
        arch: as in the published tables.
        parts: of the blocks, whose mean heads and mlp ratio are taken: "all", "first", "last" third.

    Example:
        >>> arch = {"embed_dim": 192, "depth": 3, "num_heads": [3, 4, 4], "mlp_ratio": [4.0, 3.5, 3.0]}
        >>> features(json.dumps(arch), ["first", "last"])
        [3.0, 192.0, 3.0, 4.0, 4.0, 3.0]
    """
    known = json.loads(arch)
    third = -(-known["depth"] // 3)
    places = {"all": slice(None), "first": slice(third), "last": slice(-third, None)}
    means = [float(np.mean(known[name][places[part]])) for part in parts for name in ("num_heads", "mlp_ratio")]
    return [float(known["depth"]), float(known["embed_dim"]), *means]


def thirds(arch: str) -> list[float]:
    """The parameters of the `THIRDS` of an architecture, without biases and norms.

    Example:
        >>> arch = {"embed_dim": 192, "depth": 3, "num_heads": [3, 4, 4], "mlp_ratio": [4.0, 3.5, 3.0]}
        >>> [number / 192 for number in thirds(json.dumps(arch))]
        [768.0, 1024.0, 1024.0, 1536.0, 1344.0, 1152.0]
    """
    known = json.loads(arch)
    width, depth = known["embed_dim"], known["depth"]
    third = -(-depth // 3)
    attention = 4 * HEAD_WIDTH * width * np.array(known["num_heads"])
    feed_forward = 2 * width**2 * np.array(known["mlp_ratio"])
    ends = [0, third, depth - third, depth]
    return [float(of[low:high].sum()) for of in (attention, feed_forward) for low, high in pairwise(ends)]


def with_blocks(table: pd.DataFrame) -> pd.DataFrame:
    """A table of architectures with the parameters of their thirds, those of the last one together, and the bit."""
    found = pd.DataFrame([thirds(arch) for arch in table.index], index=table.index, columns=list(THIRDS))
    late = found["attention last"] + found["feed-forward last"]
    depths = np.array([json.loads(arch)["depth"] for arch in table.index])
    return table.join(found.assign(**{LATE: late, DEEPER: (depths > depths.min()).astype(float)}))


def on_folds(table: pd.DataFrame, target: str, window: ComparisonWindow) -> Iterator[dict[str, Any]]:
    """The rows of all published networks."""
    y, sizes = (table[column].to_numpy(dtype=float) for column in (target, SIZE))
    folds = list(RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0).split(sizes))
    for name in (SIZE, LATE, DEEPER):
        z = table[name].to_numpy(dtype=float)
        unseen = [window.among(sizes[rest]).spearman(z[rest], y[rest]) for _, rest in folds]
        yield {"way": name, "seen": window.among(sizes).spearman(z, y), **interval(unseen)}
    for name, parts in PARTS.items():
        known = np.array([features(arch, parts) for arch in table.index])
        unseen = []
        for here, rest in folds:
            model = GradientBoostingRegressor(random_state=0).fit(known[here], y[here])
            unseen.append(window.among(sizes[rest]).spearman(model.predict(known[rest]), y[rest]))
        yield {"way": f"boosting, {name}", **interval(unseen)}
    for share in DIFFERING:
        yield {"way": f"other images, {share:.0%} differ", **interval(other_images(y, sizes, window, share))}


def other_images(y: Values, sizes: Values, window: ComparisonWindow, share: float) -> list[float]:
    """What accuracies rank of others of as many images, if each pair of networks differs on a share of the images.

    The difference of two accuracies then has the variance share / images, half of it from each network. The
    accuracies given stand for true ones, which spread a little less: this is an upper bound.

    Args:
        y: (n,) the accuracies in percent.
        sizes: (n,) of the networks.
        window: of those sizes.
        share: between 0 and 1.

    Returns:
        A correlation for each of `DRAWS` draws.
    """
    windows, rng = window.among(sizes), np.random.default_rng(0)
    deviation = 100 * np.sqrt(share / 2 / N_IMAGES)
    return [windows.spearman(y, y + rng.normal(scale=deviation, size=len(y))) for _ in range(DRAWS)]


def measured(
    scores: pd.DataFrame, published: pd.DataFrame, target: str, proxies: list[str], window: ComparisonWindow
) -> pd.DataFrame:
    """All rows of a space."""
    table, _ = finite_numbers(with_blocks(scores), [target, *proxies, LATE, DEEPER, *THIRDS])
    size = table[SIZE]
    rows = []
    for name, (columns, choose) in ways(proxies).items():
        candidates = Candidates(oriented(table, columns), table[target], size, size, window)
        rows.append({"networks": "scored", "way": name, **on_halves(candidates, choose)})
    with_size = with_blocks(published).assign(**{SIZE: 1e6 * published["params_m"]})
    others = [{"networks": "published", **row, "n": len(published)} for row in on_folds(with_size, target, window)]
    return pd.DataFrame(rows + others).assign(target=target, window=str(window))


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description="What can be reached inside windows.")
    parser.add_argument("scores", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--window", type=ComparisonWindow.parse, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    scores, published = read_table(options.scores), read_table(options.table)
    found = measured(scores, published, options.target, pool(scores), options.window)
    add(found.assign(space=options.scores.name.removesuffix("_scores.csv.gz")), options.out)
    sys.stdout.write(f"{found.round(3).to_string(index=False)}\n")


if __name__ == "__main__":
    main()
