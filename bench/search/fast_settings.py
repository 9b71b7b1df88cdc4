"""How few samples rank as all of them do, and what they cost: `python -m bench.search.fast_settings measure SPACE
--table SCORES --data FILE --raw FOLDER`, then `... summary --raw FOLDER --out bench/results/search/fast_settings.csv`.

The networks of a table of accuracies are scored by each pair of gradient samples and pattern samples in turn, L-SWAG
and ZiCo in one pass on one thread, the exact score first. FOLDER/SPACE.csv has a row a network and setting and is
continued; times are those of the processor. The summary has a row a space and setting: how both proxies correlate with
their exact values and with the accuracies, with percentile intervals over the networks, and the median of the time over
that of the exact score. Networks that lack a value by any setting are left out, and counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from bench.csv_file import append, rows_of
from bench.machine import machine_columns
from lswag_fast import ScoreOptions, data, spaces
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.correlation import correlate
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import SearchSpace

Samples = tuple[int | Literal["all"], int | Literal["auto"]]
"""Those of the gradients and those of the patterns."""

SETTINGS: tuple[Samples, ...] = (("all", "auto"), (8, "auto"), (8, 12), (6, 16), (4, "auto"), (4, 16), (4, 12), (2, 16))
PROXIES = ("lswag", "zico")
CELLS = {"batch_size": 64, "init": "kaiming", "mode": "train"}
TRANSFORMERS = {"batch_size": 32, "init": "own", "mode": "eval"}
KEY = ("arch", "gradient_samples", "pattern_samples")
MACHINE = ("cpu", "cores", "isa", "threads", "torch", "lswag_fast", "compiler", "python", "date")
RAW = (*KEY, *PROXIES, "seconds", "errors", *MACHINE)


def job_of(space: SearchSpace, path: Path, samples: Samples) -> ScoreJob:
    """How networks are scored by a setting."""
    how = CELLS if space.name == "nasbench201" else TRANSFORMERS
    side = space.input_shape[-1]
    split = "train" if space.name == "nasbench201" else None
    batch = data.load(path, batch_size=how["batch_size"], image_size=side, seed=0, split=split).batch
    gradient_samples, pattern_samples = samples
    options = ScoreOptions(
        init=how["init"],
        gradient_samples=how["batch_size"] if gradient_samples == "all" else gradient_samples,
        pattern_samples=pattern_samples,
    )
    return ScoreJob(space, batch, PROXIES, mode=how["mode"], options=options, weights="fresh")


def measured(job: ScoreJob, arch: str) -> dict[str, Any]:
    """The values of a network, why one is missing, and the processor's seconds, the building included."""
    start = time.process_time()
    report = job.report(arch)
    seconds = time.process_time() - start
    return {**report.values, "seconds": round(seconds, 4), "errors": "; ".join(sorted(report.errors.values()))}


def measure(name: str, table: Path, images: Path, folder: Path, n: int) -> None:
    """Score the networks by the settings that the file has not yet."""
    torch.set_num_threads(1)
    space, path = spaces.get(name), folder / f"{name}.csv"
    jobs = {tuple(map(str, samples)): job_of(space, images, samples) for samples in SETTINGS}
    known = {tuple(row[column] for column in KEY) for row in rows_of(path)}
    where = {**machine_columns(), "date": date.today().isoformat()}
    for arch in read_table(table).sample(frac=1, random_state=0).index[:n]:
        for samples, job in jobs.items():
            if (arch, *samples) not in known:
                row = dict(zip(KEY, (arch, *samples), strict=True))
                append(path, RAW, {**row, **measured(job, arch), **where})
    sys.stdout.write(f"{name}: {n} networks\n")


def summary_of(raw: pd.DataFrame, accuracy: pd.Series) -> pd.DataFrame:
    """A row a setting of one space."""
    every = {proxy: raw.pivot(index="arch", columns=list(KEY[1:]), values=proxy) for proxy in PROXIES}
    whole = pd.concat(every.values(), axis=1).dropna().index
    seconds = raw.pivot(index="arch", columns=list(KEY[1:]), values="seconds").loc[whole]
    exact = tuple(map(str, SETTINGS[0]))
    rows = []
    for samples in (tuple(map(str, pair)) for pair in SETTINGS):
        row: dict[str, Any] = dict(zip(KEY[1:], samples, strict=True))
        row |= {"price": round((seconds[samples] / seconds[exact]).median(), 4), "n": len(whole)}
        row |= {"n_left_out": raw["arch"].nunique() - len(whole)}
        for proxy, values in every.items():
            found = values.loc[whole, samples].rename(proxy).to_frame()
            for of, target in (("exact", values.loc[whole, exact]), ("accuracy", accuracy.loc[whole])):
                ranked = correlate(found.assign(**{of: target}), of, [proxy]).loc[proxy]
                row |= {f"{proxy}_{of}{end}": round(ranked[f"spearman{end}"], 4) for end in ("", "_low", "_high")}
        rows.append(row)
    return pd.DataFrame(rows)


def accuracy_of(name: str) -> pd.Series:
    """The accuracies of the committed table of a space; of several data sets, the mean rank."""
    short = name.replace("-", "_")
    table = read_table(Path(f"bench/results/libra/{short}_scores.csv.gz"))
    if "imagenet_inherited_top1" in table:
        return table["imagenet_inherited_top1"]
    return table[["cifar10_test", "cifar100_test", "imagenet16_test"]].rank().mean(axis=1)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="How few samples rank as all of them do.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("measure", "summary"):
        commands.add_parser(command).add_argument("--raw", type=Path, required=True, metavar="FOLDER")
    measuring, summing = (commands.choices[name] for name in ("measure", "summary"))
    measuring.add_argument("space", choices=("nasbench201", "autoformer-tiny", "autoformer-small"))
    measuring.add_argument("--table", type=Path, required=True, help="its column arch names the networks")
    measuring.add_argument("--data", type=Path, required=True, help="the images, an .npz file")
    measuring.add_argument("--n", type=int, default=100, help="networks of the table (default: 100)")
    summing.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "measure":
        return measure(options.space, options.table, options.data, options.raw, options.n)
    found = []
    for path in sorted(options.raw.glob("*.csv")):
        raw = pd.read_csv(path, dtype=dict.fromkeys(KEY, str))
        machine = {column: raw[column].iloc[-1] for column in MACHINE}
        found.append(summary_of(raw, accuracy_of(path.stem)).assign(space=path.stem, **machine))
    pd.concat(found).to_csv(options.out, index=False)
    return None


if __name__ == "__main__":
    main()
