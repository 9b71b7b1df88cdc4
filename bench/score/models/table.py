"""Turn the CSV of `bench.score.models` into docs/models.md.

`python -m bench.score.models.table bench/results/score/models.csv [--page docs/models.md]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.score.models import registry
from bench.score.run import rows_of

Row = dict[str, str]
KINDS = (
    registry.CONVOLUTIONS, registry.HYBRIDS, registry.TOKENS, registry.DENSE, registry.ENCODERS, registry.DECODERS,
    registry.OTHERS,
)  # fmt: skip
LOW = 0.9  # below it a score warns

_HEAD = """\
# Public networks

How much of a network a score observes, and what it costs: {n_models} networks of {libraries},
at least one small one of each family, with random weights. {n_scored} of them score, {n_covered} with a coverage of .9
or more, and each is left as it was{but}. The median price of a score is {ratio:.2f} plain forward and backward passes,
and the median peak of its memory {memory:.2f} times theirs.

How to read the tables:

- **Coverage** is the share of the elements of the trainable weight matrices that are observed, the least of the
  family's networks.
- **Layers** counts the weights that have a statistic, and in brackets those among them in which no gradient varies at
  the network's own initialisation (zero scales and heads); `init="rescue"` gives them one. *rescue*: that is so of all
  of them, so the network was scored with it.
- **Skipped** counts the weight matrices without a statistic, with the reason that most of their elements have. Tables
  that are only added or chosen from (positions), and parameters in whose place a computed weight is observed (weight
  standardisation), are among them, although they do not count against the coverage.
- **Price** is the time of `score` (L-SWAG, default options) by that of one plain forward and backward pass on the same
  batch (median of {n_pairs} measured in turn), **memory** the same of the peaks above the model and the batch. Of
  several networks of a family, the median.

These networks and batches are small ({batch} samples, mostly of 64 pixels or 64 tokens): a pass takes some tens of
milliseconds, and the calls themselves are a large part of the price. The README gives it for larger ones.

To repeat it, in about 20 minutes (nothing is downloaded but the libraries):

    pip install 'lswag-fast[zoo]'
    rm bench/results/score/models.csv
    python -m bench.score.models --out bench/results/score/models.csv
    python -m bench.score.models.table bench/results/score/models.csv --page docs/models.md
"""
_TITLES = ("family", "networks", "coverage", "layers", "skipped", "price", "memory")


def page(rows: Sequence[Row]) -> str:
    """All of docs/models.md."""
    parts = [_head(rows), "\n".join(_overview(rows)), ""]
    for kind in KINDS:
        of_kind = [row for row in rows if row["kind"] == kind]
        if of_kind:
            parts += [f"## {kind}", "", "\n".join(_table(of_kind)), ""]
    failed = [f"- {row['library']}/{row['model']}: {_cell(row['error'])}" for row in rows if row["error"]]
    if failed:
        parts += ["## What has no score", "", *failed, ""]
    first = rows[0]
    libraries = ", ".join(f"{name} {first[name]}" for name in _libraries(rows))
    parts.append(
        f"Measured on: {first['cpu']}, {first['threads']} thread{'s' * (first['threads'] != '1')}, {first['isa']}, "
        f"torch {first['torch']}, {libraries}, {first['date']} (`bench/results/score/models.csv`)."
    )
    return "\n".join(parts) + "\n"


def _head(rows: Sequence[Row]) -> str:
    scored = _scored(rows)
    changed = [row["model"] for row in scored if row["left_as_it_was"] != "True"]
    unlisted = [row["model"] for row in scored if row["unlisted"]]
    but = [f"but {', '.join(changed)}"] if changed else []
    but += [f"with weights neither observed nor listed in {', '.join(unlisted)}"] if unlisted else []
    return _HEAD.format(
        n_models=len(rows),
        libraries=" and ".join(", ".join(_libraries(rows)).rsplit(", ", 1)),
        n_scored=len(scored),
        n_covered=sum(float(row["coverage"]) >= LOW for row in scored),
        but="".join(f", {part}" for part in but),
        ratio=_median(scored, "ratio"),
        memory=_median(scored, "memory_ratio"),
        n_pairs=f"{scored[0]['n']} pair{'s' * (scored[0]['n'] != '1')}",
        batch=scored[0]["batch"],
    )


def _overview(rows: Sequence[Row]) -> list[str]:
    lines = ["| | networks | scored | coverage below .9 | median price | median memory |", "| --- |" + " ---: |" * 5]
    for kind in KINDS:
        of_kind = [row for row in rows if row["kind"] == kind]
        scored = _scored(of_kind)
        if scored:
            n_low = sum(float(row["coverage"]) < LOW for row in scored)
            costs = f"{_median(scored, 'ratio'):.2f} | {_median(scored, 'memory_ratio'):.2f}"
            lines.append(f"| {kind} | {len(of_kind)} | {len(scored)} | {n_low} | {costs} |")
    return lines


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [f"| {' | '.join(_TITLES)} |", "| --- | --- | ---: | ---: | --- | ---: | ---: |"]
    families = sorted({row["family"] for row in rows}, key=str.lower)
    return lines + [_line(family, [row for row in rows if row["family"] == family]) for family in families]


def _line(family: str, rows: Sequence[Row]) -> str:
    scored = _scored(rows)
    names = ", ".join(f"{row['model']}{' (*rescue*)' * (row['init'] == 'rescue')}" for row in rows)
    if not scored:
        return f"| {family} | {names} | | | no score, see below | | |"
    coverage = f"{min(int(float(row['coverage']) * 1000) for row in scored) / 1000:.3f}"
    n_layers, n_constant = (sum(int(row[column]) for row in scored) for column in ("n_layers", "n_constant"))
    layers = f"{n_layers} ({n_constant})" if n_constant else f"{n_layers}"
    n_skipped = sum(int(row["n_skipped"]) for row in scored)
    reasons = dict.fromkeys(row["skipped_reason"] for row in scored if row["skipped_reason"])
    skipped = f"{n_skipped}: {_cell('; '.join(reasons))}" if n_skipped else ""
    costs = f"{_median(scored, 'ratio'):.2f} | {_median(scored, 'memory_ratio'):.2f}"
    return f"| {family} | {names} | {coverage} | {layers} | {skipped} | {costs} |"


def _scored(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row["error"]]


def _libraries(rows: Sequence[Row]) -> list[str]:
    return sorted({row["library"] for row in rows})


def _median(rows: Sequence[Row], column: str) -> float:
    return statistics.median(float(row[column]) for row in rows)


def _cell(text: str) -> str:
    """Text that ends no cell of a table."""
    return text.replace("|", "\\|")


def main() -> None:
    """Read the command line; print the page or write it."""
    parser = argparse.ArgumentParser(description="Turn the measured public networks into docs/models.md.")
    parser.add_argument("csv", type=Path)
    parser.add_argument("--page", type=Path, help="write this file instead of printing it")
    options = parser.parse_args()
    rows = rows_of(options.csv)
    if not rows:
        raise SystemExit(f"{options.csv} holds no rows; measure with python -m bench.score.models --out {options.csv}")
    if options.page:
        options.page.write_text(page(rows), encoding="utf-8")
    else:
        sys.stdout.write(page(rows))


if __name__ == "__main__":
    main()
