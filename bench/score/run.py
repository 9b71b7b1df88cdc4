"""Measure cells and append each to a CSV as soon as it is there.

`python -m bench.score.run --out bench/results/score/NAME.csv`.

A cell is one network, batch size and method; it runs in a process of its own, its peak memory in another. Run again
with the same file, it leaves out the cells that are there. `--only autoformer_s:32:loop` names cells, `--tiny` checks
that all of them run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.csv_file import append, rows_of
from bench.score.methods import METHODS, missing_package, proxy_methods
from bench.score.networks import OF_TIMM, SETTINGS, TINY_SETTINGS, WHOLE_SCORE, Setting

KEY = ("network", "batch", "method", "threads", "isa")
COLUMNS = (
    "benchmark", "network", "batch", "method", "isa", "threads", "median_s", "min_s", "max_s", "n", "ratio",
    "plain_median_s", "peak_rss_mb", "result", "cpu", "cores", "compiler", "python", "torch", "lswag_fast", "opacus",
    "backpack", "date",
)  # fmt: skip
MB_DIGITS = 1
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
"""Has glibc keep freed memory while times are taken, for every method alike.

By default large tensors go back to the system and come again as pages to clear: up to a third of the time of a pass,
and it depends on what else the process has allocated.
"""
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
"""Has glibc return a freed tensor at once while memory is measured, for every method alike.

The peak is then what lives at one time. By default glibc keeps some of what was freed, in pieces that may not fit the
next tensor: 5 to 15 % of a peak, by the order of the sizes rather than by what a method needs.
"""
PEERS_NOISE = "ignore:Full backward hook is firing"  # Opacus and BackPACK hook modules whose inputs need no gradient


def _batches(settings: Mapping[str, Setting]) -> dict[str, tuple[int, ...]]:
    return {name: setting.batch_sizes for name, setting in settings.items()}


SUITES = {
    "whole_score": (WHOLE_SCORE, lambda: list(METHODS)),
    "proxies": (_batches(SETTINGS), lambda: list(proxy_methods())),
    "depthwise": (_batches(OF_TIMM), lambda: ["proxy_te_nas_ntk"]),
}
"""What the rows of a file are about: the batch sizes of each network, and the methods that are measured for it."""
TINY = _batches(TINY_SETTINGS)


def cells(suite: str, tiny: bool, only: list[str]) -> Iterator[tuple[str, int, str]]:
    """Network, batch size and method of each cell, those named `network[:batch[:method]]` by `only` if any."""
    networks, methods = SUITES[suite]
    for network, batch_sizes in (TINY if tiny else networks).items():
        for batch_size in batch_sizes:
            for method in methods():
                parts = (network, str(batch_size), method)
                if not only or any(parts[: len(w.split(":"))] == tuple(w.split(":")) for w in only):
                    yield network, batch_size, method


def package_version(name: str) -> str:
    """The installed version, or an empty string."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def where() -> dict[str, Any]:
    """The columns that say where and when a row was measured."""
    from bench.machine import machine_columns

    return {
        **machine_columns(),
        "opacus": package_version("opacus"),
        "backpack": package_version("backpack-for-pytorch"),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def measure_here(what: str, network: str, batch_size: int, method: str, n_rounds: int) -> dict[str, Any]:
    """Measure in this process: `what` is "time" or "memory"."""
    from bench.score.measure import paired_times, peak_above_model_mb

    if what == "memory":
        return {"peak_rss_mb": round(peak_above_model_mb(network, batch_size, method), MB_DIGITS)}
    return {**paired_times(network, batch_size, method, n_rounds), **where()}


def measure_apart(what: str, network: str, batch_size: int, method: str, n_rounds: int) -> dict[str, Any]:
    """Measure in a fresh process, which prints its row as JSON on the last line."""
    cell = json.dumps([what, network, batch_size, method, n_rounds])
    command = [sys.executable, "-W", PEERS_NOISE, "-m", "bench.score.run", "--cell", cell]
    environment = {**os.environ, **(KEEP_MEMORY if what == "time" else RETURN_MEMORY)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure_all(suite: str, out: Path, tiny: bool, only: list[str], n_rounds: int) -> int:
    """Measure every cell that `out` does not hold yet for this machine's threads and instruction set.

    A method that fails, or needs more memory than there is, has no row; the others get theirs.

    Returns:
        How many cells failed.
    """
    n_failed = 0
    here = {key: str(value) for key, value in where().items()}
    done = {tuple(row[key] for key in KEY) for row in rows_of(out)}
    for network, batch_size, method in cells(suite, tiny, only):
        label = f"{network}:{batch_size}:{method}"
        if (network, str(batch_size), method, here["threads"], here["isa"]) in done:
            sys.stderr.write(f"{label} is there\n")
            continue
        if package := missing_package(method):
            sys.stderr.write(f"{label} left out: {package} is not installed\n")
            continue
        row: dict[str, Any] = {"benchmark": suite, "network": network, "batch": batch_size, "method": method}
        try:
            row |= measure_apart("time", network, batch_size, method, n_rounds)
            row |= measure_apart("memory", network, batch_size, method, n_rounds)
        except subprocess.CalledProcessError as error:
            n_failed += 1
            sys.stderr.write(f"{label} failed, exit status {error.returncode}\n")
            continue
        append(out, COLUMNS, row)
        sys.stderr.write(f"{label} {row['median_s']:.3f} s, {row['ratio']:.2f} x plain, {row['peak_rss_mb']} MB\n")
    return n_failed


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure cells, each appended to a CSV as soon as it is there.")
    parser.add_argument("--out", type=Path, help="the CSV file; cells that it holds are left out")
    parser.add_argument("--suite", choices=SUITES, default="whole_score", help="what to measure (default whole_score)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NETWORK[:BATCH[:METHOD]]")
    parser.add_argument("--tiny", action="store_true", help="the tiny networks: checks that everything runs")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of plain pass and method (default 5)")
    parser.add_argument("--cell", help=argparse.SUPPRESS)  # one cell in this process, as JSON
    options = parser.parse_args()
    if options.cell:
        sys.stdout.write(json.dumps(measure_here(*json.loads(options.cell))) + "\n")
    elif options.out:
        if measure_all(options.suite, options.out, options.tiny, options.only, options.rounds):
            sys.exit("not every cell has its row")
    else:
        parser.error("--out is needed")


if __name__ == "__main__":
    main()
