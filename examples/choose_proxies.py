"""Choose proxies with LIBRA from a table of accuracies, and search by them."""

from __future__ import annotations

import argparse
import random

import pandas as pd

import lswag_fast
from lswag_fast import data, spaces

PROXIES = ("lswag", "zico", "nwot", "snip", "l2_norm")


def made_up_accuracies(space: spaces.NasBench201, n_rows: int) -> pd.DataFrame:
    """Return architectures with made-up accuracies, in the place of those that you trained or that a benchmark has."""
    rng = random.Random(0)
    archs = list({space.encode(arch): arch for arch in (space.sample(rng) for _ in range(2 * n_rows))}.values())
    convolutions = [sum("conv" in op for op in space.ops(arch)) for arch in archs]
    rows = [
        {"arch": space.encode(arch), "accuracy": 60 + 5 * n + rng.gauss(0, 2), "params": space.n_params(arch)}
        for arch, n in zip(archs, convolutions, strict=True)
        if n  # a cell without a convolution has nothing to score
    ]
    return pd.DataFrame(rows[:n_rows])


def main() -> None:
    """Score the table, choose, search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="few rows and trials, small networks")
    args = parser.parse_args()

    channels, n_rows, n_trials = (4, 24, 6) if args.tiny else (16, 200, 100)
    space = spaces.NasBench201(channels=channels, cells_per_stage=1, image_size=16)
    batch = data.load("digits", batch_size=16, image_size=16).batch
    table = made_up_accuracies(space, n_rows)
    scores = []
    for text in table["arch"]:
        model = space.build(space.decode(text))  # in train mode, which ranks CNNs better than eval mode
        found = lswag_fast.score_many(model, batch, proxies=PROXIES, init="kaiming", pattern_samples=16)
        scores.append({name: score.value for name, score in found.items()})
    table = table.join(pd.DataFrame(scores))

    libra = lswag_fast.Libra().fit(table, target="accuracy", bias="params", proxies=PROXIES)
    print(libra.explain().to_string())
    print("chosen:", ", ".join(libra.selection))
    weights = libra.result.weights  # None for all alike
    result = lswag_fast.search(
        space, batch, proxy=list(libra.selection), rank_weights=weights, n_trials=n_trials, init="kaiming"
    )
    print("best:", result.best.arch["cell"])


if __name__ == "__main__":
    main()
