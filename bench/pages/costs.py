"""Tables of times and memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.csv_file import rows_of
from bench.pages import markdown
from bench.score import proxy_table
from bench.score import table as score_table

N_BEST = 10
"""Of random networks, the best by either score, which a search would look at."""

_PROPOSERS = {
    "random": "`random`",
    "evolution": "`evolution`",
    "steady_state": "`steady_state`, one proposal per batch",
}


def whole_score(path: Path) -> str:
    """The whole score against its peers."""
    return score_table.markdown(rows_of(path))


def per_proxy(path: Path) -> str:
    """Each proxy by a call of its own, in units of a plain forward and backward pass."""
    return proxy_table.markdown(rows_of(path))


def row_fraction(path: Path) -> str:
    """How architectures rank by a part of the rows, and by all."""
    found = pd.read_csv(path)
    rows = []
    for name, exact, sampled in (
        ("the score", "exact", "sampled"),
        ("the sum of the trainabilities", "exact_trainability", "sampled_trainability"),
    ):
        rho = found[exact].corr(found[sampled], method="spearman")
        worst = (found[sampled] / found[exact] - 1).abs().max()
        rows.append([name, markdown.number(rho, 4), f"{worst:.1%}"])
    first = found.iloc[0]
    title = f"`row_fraction={first['row_fraction']}`, {len(found)} architectures, batch {first['batch']}"
    cells = markdown.table([title, "Spearman with the exact one", "largest difference"], rows)
    return f"{cells}\n\n{markdown.measured_on(first)}"


def per_trial(path: Path) -> str:
    """What asking for an architecture and telling its scores takes, early in a study and late."""
    found = pd.read_csv(path).query("what == 'ask and tell'")
    last = found["n_trials"].max()
    times = found.set_index(["sampler", "objective", "storage", "n_trials"])["ms"]
    rows = [
        [title, str(objective), *(f"{times[sampler, objective, store, n]:.2f}" for store, n in _columns(last))]
        for sampler, title in _PROPOSERS.items()
        for objective in found["objective"].unique()
    ]
    titles = [f"{_STORES[store]}, {'first 10,000' if n < last else f'last of {n:,}'}" for store, n in _columns(last)]
    cells = markdown.table(["ms per trial", "scored by", *titles], rows, n_words=2)
    return f"{cells}\n\n{markdown.measured_on(found.iloc[0])}"


def isomorphic(path: Path) -> str:
    """What a trial costs where no function is scored twice, early in a study and at its end."""
    found = pd.read_csv(path)
    rows = []
    for (space, functions), blocks in found.groupby(["space", "functions"], sort=False):
        first, last = blocks.iloc[0], blocks.iloc[-1]
        rows.append(
            [
                f"`{space}`",
                functions,
                f"{first['ms']:.2f}",
                f"{last['ms']:.2f}",
                f"{last['n_trials']:,}",
                f"{last['n_isomorphic']:,}",
            ]
        )
    head = ["space", "functions scored", "ms per trial, first 10,000", "ms, last block", "trials", "left out"]
    return f"{markdown.table(head, rows, n_words=2)}\n\n{markdown.measured_on(found.iloc[0])}"


def building(path: Path) -> str:
    """What a candidate costs before its score."""
    found = pd.read_csv(path)
    rows = [
        [
            f"`{row['space']}`",
            f"{row['choose_ms']:.3f}",
            f"{row['build_ms']:.0f}",
            f"{row['build_p90_ms']:.0f}",
            f"{max(0, row['draws_ms']):.0f}",
            f"{row['params_m']:.1f} M",
            str(row["modules"]),
        ]
        for _, row in found.iterrows()
    ]
    head = ["space", "choosing, ms", "building, ms", "ninth decile", "of it drawing", "parameters", "modules"]
    n = found.iloc[0]["n"]
    return f"{markdown.table(head, rows)}\n\nMedians of {n} architectures. {markdown.measured_on(found.iloc[0])}"


_STORES = {"sqlite": "SQLite", "log": "log"}


def _columns(last: int) -> list[tuple[str, int]]:
    return [(store, n) for store in _STORES for n in (10_000, last)]


def opening(path: Path) -> str:
    """How long a stored study takes to open, and how large it is."""
    found = pd.read_csv(path).query("what == 'open again'").set_index(["sampler", "objective", "storage"])
    rows = []
    for sampler, title in _PROPOSERS.items():
        for objective in found.index.unique("objective"):
            of_study = [found.loc[(sampler, objective, store)] for store in _STORES]
            times = (f"{row['ms'] / 1000:.2f} s" for row in of_study)
            sizes = (f"{row['bytes'] / 1e6:.0f} MB" for row in of_study)
            rows.append([title, str(objective), *times, *sizes])
    titles = [*_STORES.values(), *(f"{store}, on disk" for store in _STORES.values())]
    n_trials = f"{found['n_trials'].iloc[0]:,} trials, opened again"
    return (
        f"{markdown.table([n_trials, 'scored by', *titles], rows, n_words=2)}\n\n{markdown.measured_on(found.iloc[0])}"
    )


def rate(path: Path) -> str:
    """Candidates per second of a whole search, on each processor."""
    found = pd.read_csv(path)
    rows = [
        [
            str(row["workers"]),
            row["fidelity"],
            row["precision"],
            f"`{row['cpu']}`",
            f"{row['candidates_s']:.2f}",
            f"{row['first_s']:.1f} s",
            str(row["rounds"]),
        ]
        for _, row in found.iterrows()
    ]
    head = ["workers", "fidelity", "precision", "processor", "candidates per second", "until the first", "rounds"]
    cells = markdown.table(head, rows, n_words=4)
    machines = " ".join(markdown.measured_on(row) for _, row in found.drop_duplicates("cpu").iterrows())
    first = found.iloc[0]
    return f"{cells}\n\n{first['space']}, batch {first['batch']}, {first['n_trials']} candidates. {machines}"


def fast_ranks(path: Path) -> str:
    """How fast scores of random networks rank, and what they cost beside the exact ones."""
    found = pd.read_csv(path)
    best = found.nlargest(N_BEST, "exact").index
    rows = [
        [
            words,
            str(len(found)),
            markdown.number(found[name].corr(found["exact"], method="spearman"), 4),
            f"{len(best.intersection(found.nlargest(N_BEST, name).index))} of {N_BEST}",
            f"{found[f'{name}_s'].median():.2f} s",
            markdown.number((found[f"{name}_s"] / found["exact_s"]).median(), 2),
        ]
        for name, words in {"exact": "exact", "fast": "fast", "fast_bfloat16": "fast, in bfloat16"}.items()
    ]
    head = ["score", "networks", "Spearman with exact", "best in common", "processor time", "x exact"]
    first = found.iloc[0]
    building = f"{found['build_s'].median():.3f} s of it for building the network"
    what = f"{first['space']}, batch {first['batch']}; processor time of a candidate, {building}, medians"
    return f"{markdown.table(head, rows)}\n\n{what}. {markdown.measured_on(first)}"


def fast_settings(path: Path) -> str:
    """What scores of fewer samples cost, and how they rank."""
    found = pd.read_csv(path)
    rows = []
    for _, row in found.iterrows():
        ranks = []
        for proxy in ("lswag", "zico"):
            exact, least = (markdown.number(row[f"{proxy}_{name}"], 3) for name in ("exact", "exact_least"))
            ranks.append(exact if row["seeds"] == 1 else f"{exact} ({least})")
            ranks.append(markdown.number(row[f"{proxy}_accuracy"], 3))
            gain, low, high = (markdown.signed(row[f"{proxy}_gain{end}"]) for end in ("", "_low", "_high"))
            ranks.append(f"{gain} {markdown.bracketed(low, high)}")
        setting = (row["gradient_samples"], row["pattern_samples"], row["precision"])
        counts = (str(row["seeds"]), str(row["n"]))
        rows.append([f"`{row['space']}`", *setting, markdown.number(row["price"], 2), *ranks, *counts])
    values = [
        f"`{proxy}` {what}"
        for proxy in ("lswag", "zico")
        for what in ("with its exact value (the least of the seeds)", "with the accuracies", "more than exact")
    ]
    head = ["space", "gradients of", "patterns of", "precision", "x exact, processor time", *values, "seeds", "scored"]
    return f"{markdown.table(head, rows, n_words=4)}\n\nSpearman [95 % interval]. {markdown.measured_on(found.iloc[0])}"
