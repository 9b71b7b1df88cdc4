"""Turn the CSV of `bench.score.run` into tables: `python -m bench.score.table FILE.csv` prints them."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from bench.csv_file import measured_rows
from bench.score.methods import FAST_GRADIENT_SAMPLES, SAMPLED_ROWS
from bench.score.networks import ALL_SETTINGS
from bench.score.peers import GRADIENT_PEERS

SAMPLED = f"score_rows_{SAMPLED_ROWS}"
PEER_LABELS = {
    "loop": "loop over samples",
    "vmap": "`torch.func.vmap(grad)`",
    "opacus": "Opacus",
    "backpack": "BackPACK",
}
LABELS = {
    "plain": "plain forward + backward",
    "score": "`score` (exact)",
    "score_fast": '`score(fidelity="fast")`',
    SAMPLED: f"`score(row_fraction={SAMPLED_ROWS})`",
    **{name: f"{label}, gradients only" for name, label in PEER_LABELS.items()},
    "unique": "`torch.unique(dim=0)`, patterns only",
    **{f"{name}_fast": f"{label}, gradients of {FAST_GRADIENT_SAMPLES} samples" for name, label in PEER_LABELS.items()},
    "published_zico": "ZiCo by the steps of its script, two batches",
    "same_zico": "the same number by `score_many`",
    "published_swap": "SWAP by the steps of its script",
    "same_swap": "the same number by `score_many`",
    "published_nwot": "NWOT by the steps of its script",
    "same_nwot": "the same number by `score_many`",
}
NETWORK_LABELS = {
    "autoformer_s": "Autoformer-S",
    "autoformer_s_published": "Autoformer-S, published form",
    "resnet50": "ResNet-50",
    "nasbench201_like": "NAS-Bench-201-like",
    "resnet18": "ResNet-18",
    "efficientnet_b0": "EfficientNet-B0",
    "mobilenetv3_large_100": "MobileNetV3-Large",
    "convnext_atto": "ConvNeXt-Atto",
}
Row = dict[str, str]


def closing_lines(cell: dict[str, Row]) -> list[str]:
    """Sentences that compare what gives the same: both halves of an L-SWAG by others, and by `score`."""
    prices = {name: float(row["ratio"]) for name, row in cell.items()}
    lines = [
        _fastest_peer(prices, "", "Same numbers by the fastest peer"),
        _fastest_peer(prices, "_fast", f"Gradients of {FAST_GRADIENT_SAMPLES} samples by the fastest peer"),
    ]
    if prices.keys() >= {"published_zico", "published_swap", "score_fast"}:
        both = prices["published_zico"] + prices["published_swap"]
        what = "Gradient statistics and patterns by published steps (ZiCo + SWAP)"
        lines.append(_compared(what, both, prices, "score_fast"))
    return [line for line in lines if line]


def _fastest_peer(prices: dict[str, float], suffix: str, what: str) -> str:
    """The fastest gradient peer and the patterns, against the score that ranks alike."""
    peers = {name: prices[name + suffix] for name in GRADIENT_PEERS if name + suffix in prices}
    own = f"score{suffix}"
    if not peers or not {"unique", own} <= prices.keys():
        return ""
    name = min(peers, key=lambda peer: peers[peer])
    return _compared(f"{what} ({name} + unique)", peers[name] + prices["unique"], prices, own)


def _compared(what: str, price: float, prices: dict[str, float], own: str) -> str:
    return f"{what}: {price:.2f} x plain, {price / prices[own]:.1f} x the time of {LABELS[own]}."


def cell_table(network: str, batch: str, cell: dict[str, Row]) -> list[str]:
    """The lines of one network and batch size."""
    title = f"{NETWORK_LABELS.get(network, network)}, batch {batch}"
    lines = [f"| {title} | median s | x plain | peak MB above the model | n |", "| --- | ---: | ---: | ---: | ---: |"]
    for method, label in LABELS.items():
        if row := cell.get(method):
            time = f"{float(row['median_s']):.3g} | {float(row['ratio']):.2f}"
            lines.append(f"| {label} | {time} | {float(row['peak_rss_mb']):.0f} | {row['n']} |")
    closing = [text for line in closing_lines(cell) for text in (line, "")]
    return [*lines, "", *closing]


def markdown(rows: list[Row]) -> str:
    """All tables, and the machine they were measured on."""
    grouped: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        grouped[row["network"], row["batch"]][row["method"]] = row
    order = [(name, str(size)) for name, setting in ALL_SETTINGS.items() for size in setting.batch_sizes]
    lines = [line for key in sorted(grouped, key=lambda k: order.index(k) if k in order else len(order))
             for line in cell_table(*key, grouped[key])]  # fmt: skip
    return "\n".join([*lines, measured_on(rows)])


def measured_on(rows: list[Row]) -> str:
    """A sentence on the machines of the rows, each with the days on which it measured."""
    dates: dict[str, set[str]] = {}
    for row in rows:
        machine = f"{row['cpu']}, {row['threads']} threads, {row['isa']}, torch {row['torch']}"
        dates.setdefault(machine, set()).add(row["date"])
    spans = {machine: " to ".join(sorted({min(days), max(days)})) for machine, days in dates.items()}
    return f"Measured on: {'; '.join(f'{machine}, {span}' for machine, span in spans.items())}."


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description="Turn measured cells into tables.")
    parser.add_argument("csv", type=Path)
    options = parser.parse_args()
    sys.stdout.write(markdown(measured_rows(options.csv, "bench.score.run")) + "\n")


if __name__ == "__main__":
    main()
