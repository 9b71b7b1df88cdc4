"""Tables of what training costs, and of trainings that were killed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.pages import markdown


def kills(path: Path) -> str:
    """Trainings that were killed and continued, all together."""
    found = pd.read_csv(path)
    row = [str(len(found)), str(found["kills"].sum()), str(found["kills"].max()), f"{found['identical'].sum()}"]
    head = ["trainings", "kills", "most in one training", "trainings that ended with the same weights, bit for bit"]
    return f"{markdown.table(head, [row], n_words=0)}\n\n{markdown.measured_on(found.iloc[0])}"


def step_overhead(path: Path) -> str:
    """A supernet's step over that of the network alone."""
    found = pd.read_csv(path)
    rows = [
        [
            row["space"],
            f"{row['alone_ms']:.0f} ms",
            f"{row['supernet_ms']:.0f} ms",
            markdown.with_range(row["ratio"], row["ratio_low"], row["ratio_high"], 3),
            str(row["n_pairs"]),
        ]
        for _, row in found.iterrows()
    ]
    head = ["space", "the network alone", "the supernet's step", "median of the ratio [quartiles]", "pairs"]
    first = found.iloc[0]
    return f"{markdown.table(head, rows)}\n\nBatches of {first['batch']}. {markdown.measured_on(first)}"
