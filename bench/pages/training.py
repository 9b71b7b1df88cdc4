"""Tables of what training reaches and costs, of trainings that were killed, and of winners that were trained."""

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


def digits(path: Path) -> str:
    """What a small network reaches on the digits, a row for each seed."""
    found = pd.read_csv(path)
    ends = ("test_low", "test_high")
    rows = [
        [
            str(row["seed"]),
            f"{row['test_accuracy']:.1%} {markdown.bracketed(*(f'{row[end]:.1%}' for end in ends))}",
            f"{row['correct']} of {row['n_images']}",
            f"{row['processor_s']:.0f} s",
        ]
        for _, row in found.iterrows()
    ]
    head = ["seed", "test accuracy [95 %]", "images right", "processor time"]
    return f"{markdown.table(head, rows)}\n\n{markdown.measured_on(found.iloc[0])}"


def inherited_speed(path: Path) -> str:
    """Inherited accuracies a minute, a row for each time that they were measured."""
    found = pd.read_csv(path)
    rows = [
        [
            str(row["n"]),
            str(row["workers"]),
            f"{row['seconds']:,.0f} s",
            f"{row['networks_per_min']:.1f}",
            f"{row['processor_s'] / row['n']:.2f} s",
        ]
        for _, row in found.iterrows()
    ]
    head = ["networks", "workers", "seconds", "networks a minute", "processor time of one"]
    first = found.iloc[0]
    words = f"Of {first['n_images']:,} images each, one thread a worker. {markdown.measured_on(first)}"
    return f"{markdown.table(head, rows, n_words=0)}\n\n{words}"


def comparison(path: Path) -> str:
    """What each method of `lswag-fast compare` found: a row for each, the best mean accuracy first."""
    methods = pd.read_csv(path).groupby("method", sort=False)
    means = methods[["test_accuracy", "n_params", "search_s"]].mean().sort_values("test_accuracy", ascending=False)
    rows = []
    for method, mean in means.iterrows():
        own = methods.get_group(method).sort_values("seed")
        each = " ".join(f"{accuracy:.1%}" for accuracy in own["test_accuracy"])
        seconds = f"{mean['search_s']:.0f}"
        rows.append([f"`{method}`", f"{mean['test_accuracy']:.1%}", each, f"{mean['n_params']:,.0f}", seconds])
    head = ["method", "mean test accuracy", "of each seed", "parameters, mean", "search s, mean"]
    return markdown.table(head, rows)
