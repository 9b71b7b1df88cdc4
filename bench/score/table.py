"""Turn the CSV of `bench.score.run` into tables: `python -m bench.score.table FILE.csv` prints them."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from bench.csv_file import measured_rows
from bench.score.methods import SAMPLED_ROWS
from bench.score.networks import SETTINGS
from bench.score.peers import GRADIENT_PEERS

SAMPLED = f"score_rows_{SAMPLED_ROWS}"
LABELS = {
    "plain": "plain forward + backward",
    "score": "`score` (exact)",
    SAMPLED: f"`score(row_fraction={SAMPLED_ROWS})`",
    "loop": "loop over samples, gradients only",
    "vmap": "`torch.func.vmap(grad)`, gradients only",
    "opacus": "Opacus, gradients only",
    "backpack": "BackPACK, gradients only",
    "unique": "`torch.unique(dim=0)`, patterns only",
}
NETWORK_LABELS = {
    "autoformer_s": "Autoformer-S",
    "autoformer_s_published": "Autoformer-S, published form",
    "nasbench201_like": "NAS-Bench-201-like",
}
Row = dict[str, str]


def fastest_peer_line(cell: dict[str, Row]) -> str:
    """One sentence: the fastest gradient peer plus the patterns, against the exact score."""
    peers = {name: cell[name] for name in GRADIENT_PEERS if name in cell}
    if not peers or "unique" not in cell or "score" not in cell:
        return ""
    name = min(peers, key=lambda peer: float(peers[peer]["ratio"]))
    together = float(peers[name]["ratio"]) + float(cell["unique"]["ratio"])
    factor = together / float(cell["score"]["ratio"])
    sentence = f"Same numbers by the fastest peer ({name} + unique): {together:.2f} x plain"
    return f"{sentence}, {factor:.1f} x the time of `score`."


def cell_table(network: str, batch: str, cell: dict[str, Row]) -> list[str]:
    """The lines of one network and batch size."""
    title = f"{NETWORK_LABELS.get(network, network)}, batch {batch}"
    lines = [f"| {title} | median s | x plain | peak MB above the model | n |", "| --- | ---: | ---: | ---: | ---: |"]
    for method, label in LABELS.items():
        if row := cell.get(method):
            time = f"{float(row['median_s']):.3g} | {float(row['ratio']):.2f}"
            lines.append(f"| {label} | {time} | {float(row['peak_rss_mb']):.0f} | {row['n']} |")
    closing = fastest_peer_line(cell)
    return [*lines, "", *([closing, ""] if closing else [])]


def markdown(rows: list[Row]) -> str:
    """All tables, and the machine they were measured on."""
    grouped: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        grouped[row["network"], row["batch"]][row["method"]] = row
    order = [(name, str(size)) for name, setting in SETTINGS.items() for size in setting.batch_sizes]
    lines = [line for key in sorted(grouped, key=lambda k: order.index(k) if k in order else len(order))
             for line in cell_table(*key, grouped[key])]  # fmt: skip
    first = rows[0]
    machine = f"{first['cpu']}, {first['threads']} threads, {first['isa']}, torch {first['torch']}, {first['date']}"
    return "\n".join([*lines, f"Measured on: {machine}."])


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description="Turn measured cells into tables.")
    parser.add_argument("csv", type=Path)
    options = parser.parse_args()
    sys.stdout.write(markdown(measured_rows(options.csv, "bench.score.run")) + "\n")


if __name__ == "__main__":
    main()
