"""How few samples, or bfloat16, rank as the exact score does, and what they cost: `python -m bench.search.fast_settings
measure SPACE --table TABLE --targets COLUMN,... --data FILE --raw FOLDER --gradients 2 4 8`, then `... summary --raw
FOLDER --out bench/results/search/fast_settings.csv`.

Random networks of a table of accuracies are scored by each setting of gradient samples, pattern samples and precision
in turn, L-SWAG and ZiCo in one pass on one thread, the exact score in float32 first. FOLDER/SPACE.csv has a row a
network, seed and setting and is continued; times are those of the processor. A seed draws weights and images.

The summary has a row a space and setting, over the networks that have a value by it and by the exact score: how both
proxies correlate with their exact values (the mean of the seeds, and the least), how they correlate with the
accuracies, how much more than the exact values do, with the percentile interval of that difference over networks drawn
again, and the median of the time over that of the exact score. Networks that lack a value are counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast import ScoreOptions, data, spaces
from lswag_fast.data.tables import read_table
from lswag_fast.options import Precision
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import SearchSpace

Setting = tuple[int | Literal["all"], int | Literal["auto"], Precision]
"""The samples of the gradients, those of the patterns, and the precision."""

EXACT: Setting = ("all", "auto", "float32")
PROXIES = ("lswag", "zico")
CELLS = {"batch_size": 64, "init": "kaiming", "mode": "train"}
TRANSFORMERS = {"batch_size": 32, "init": "own", "mode": "eval"}
SETTING = ["gradient_samples", "pattern_samples", "precision"]
KEY = ("seed", "arch", *SETTING)
MACHINE = ("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date")
N_RESAMPLES = 1000
RAW = (*KEY, "accuracy", *PROXIES, "seconds", "errors", *MACHINE)


def job_of(space: SearchSpace, path: Path, setting: Setting, seed: int) -> ScoreJob:
    """How networks are scored by a setting."""
    how = CELLS if space.name == "nasbench201" else TRANSFORMERS
    side = space.input_shape[-1]
    split = "train" if space.name == "nasbench201" else None
    batch = data.load(path, batch_size=how["batch_size"], image_size=side, seed=seed, split=split).batch
    gradient_samples, pattern_samples, precision = setting
    options = ScoreOptions(
        init=how["init"],
        gradient_samples=how["batch_size"] if gradient_samples == "all" else gradient_samples,
        pattern_samples=pattern_samples,
        precision=precision,
    )
    return ScoreJob(space, batch, PROXIES, mode=how["mode"], options=options, weights="fresh", seed=seed)


def measured(job: ScoreJob, arch: str) -> dict[str, Any]:
    """The values of a network, why one is missing, and the processor's seconds, the building included."""
    start = time.process_time()
    report = job.report(arch)
    seconds = time.process_time() - start
    return {**report.values, "seconds": round(seconds, 4), "errors": "; ".join(sorted(report.errors.values()))}


def measure(options: argparse.Namespace) -> None:
    """Score the networks by the settings that the file has not yet."""
    torch.set_num_threads(1)
    space, path, seed = spaces.get(options.space), options.raw / f"{options.space}.csv", options.seed
    settings = (EXACT, *product(options.gradients, options.patterns, options.precisions))
    jobs = {tuple(map(str, setting)): job_of(space, options.data, setting, seed) for setting in settings}
    known = {tuple(row[column] for column in KEY) for row in rows_of(path)}
    where = {**machine_columns(), "date": date.today().isoformat()}
    accuracies = read_table(options.table)[options.targets].rank().mean(axis=1)
    for arch, accuracy in accuracies.sample(frac=1, random_state=0)[: options.n].items():
        for setting, job in jobs.items():
            if (str(seed), arch, *setting) not in known:
                row = dict(zip(KEY, (seed, arch, *setting), strict=True))
                append(path, RAW, {**row, "accuracy": accuracy, **measured(job, arch), **where})
    sys.stdout.write(f"{options.space}, seed {seed}: {options.n} networks\n")


def summary_of(raw: pd.DataFrame) -> pd.DataFrame:
    """A row a setting of one space."""
    by_setting = dict(list(raw.set_index(["seed", "arch"]).groupby(SETTING)))
    exact = by_setting[EXACT]
    rows = []
    for setting in sorted(by_setting, key=_place):
        both = by_setting[setting].join(exact[[*PROXIES, "seconds"]].add_suffix("_exact"), how="inner")
        whole = both.dropna(subset=[*PROXIES, *(f"{proxy}_exact" for proxy in PROXIES)])
        row: dict[str, Any] = dict(zip(SETTING, setting, strict=True))
        row |= {"price": round((whole["seconds"] / whole["seconds_exact"]).median(), 4)}
        row |= {"seeds": whole.index.get_level_values("seed").nunique(), "n": len(whole)}
        row |= {"n_left_out": len(both) - len(whole)}
        for proxy in PROXIES:
            row |= ranks_of([seed for _, seed in whole.groupby("seed")], proxy)
        rows.append(row)
    return pd.DataFrame(rows)


def _place(setting: tuple[str, str, str]) -> tuple[bool, float, float, bool]:
    """The exact score comes first, then many samples before few, of each the one in float32."""
    gradients, patterns, precision = setting
    return setting != EXACT, -_number(gradients), -_number(patterns), precision != "float32"


def _number(samples: str) -> float:
    return float(samples) if samples.isdigit() else float("inf")


def ranks_of(seeds: list[pd.DataFrame], proxy: str) -> dict[str, float]:
    """How the values of a proxy rank, with the exact ones and with the accuracies; a frame a seed."""
    rng = np.random.default_rng(0)
    drawn = np.mean([_gain(rows, proxy, rng.integers(len(rows), size=(N_RESAMPLES, len(rows)))) for rows in seeds], 0)
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    with_exact = [float(_spearman(rows[proxy], rows[f"{proxy}_exact"])) for rows in seeds]
    found = {
        "exact": np.mean(with_exact),
        "exact_least": min(with_exact),
        "accuracy": np.mean([_spearman(rows[proxy], rows["accuracy"]) for rows in seeds]),
        "gain": np.mean([_gain(rows, proxy, np.arange(len(rows))) for rows in seeds]),
        "gain_low": low,
        "gain_high": high,
    }
    return {f"{proxy}_{name}": round(float(value), 4) for name, value in found.items()}


def _gain(rows: pd.DataFrame, proxy: str, draw: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much better the values rank than the exact ones, of each draw of the rows (..., n)."""
    values, exact, accuracy = (rows[name].to_numpy()[draw] for name in (proxy, f"{proxy}_exact", "accuracy"))
    return _spearman(values, accuracy) - _spearman(exact, accuracy)


def _spearman(values: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Along the last axis."""
    ranks = [rankdata(numbers, axis=-1) for numbers in (values, others)]
    one, other = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    return (one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))


def _samples(text: str) -> int | Literal["auto"]:
    return "auto" if text == "auto" else int(text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="How few samples rank as all of them do.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("measure", "summary"):
        commands.add_parser(command).add_argument("--raw", type=Path, required=True, metavar="FOLDER")
    measuring, summing = (commands.choices[name] for name in ("measure", "summary"))
    measuring.add_argument("space", choices=("nasbench201", "autoformer-tiny", "autoformer-small"))
    measuring.add_argument("--table", type=Path, required=True, help="its column arch names the networks")
    measuring.add_argument(
        "--targets", type=lambda text: text.split(","), required=True, help="of several, the mean rank"
    )
    measuring.add_argument("--data", type=Path, required=True, help="the images, an .npz file")
    measuring.add_argument("--gradients", type=int, nargs="+", required=True, help="beside all")
    measuring.add_argument("--patterns", nargs="+", type=_samples, default=["auto"], help="(default: auto)")
    text = "(default: float32)"
    measuring.add_argument("--precisions", nargs="+", choices=get_args(Precision), default=["float32"], help=text)
    measuring.add_argument("--seed", type=int, default=0, help="of weights and images (default: 0)")
    measuring.add_argument("--n", type=int, default=100, help="networks of the table (default: 100)")
    summing.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "measure":
        return measure(options)
    found = []
    for path in sorted(options.raw.glob("*.csv")):
        raw = pd.read_csv(path, dtype=dict.fromkeys(KEY, str))
        machine = {column: raw[column].iloc[-1] for column in MACHINE}
        found.append(summary_of(raw).assign(space=path.stem, **machine))
    pd.concat(found).to_csv(options.out, index=False)
    return None


if __name__ == "__main__":
    main()
