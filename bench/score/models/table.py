"""Turn the CSV of `bench.score.models` into docs/results/models.md; `python -m bench.pages` writes it."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Sequence

from bench.score.models import registry

Row = dict[str, str]
KINDS = (
    registry.CONVOLUTIONS, registry.HYBRIDS, registry.TOKENS, registry.DENSE, registry.ENCODERS, registry.DECODERS,
    registry.OTHERS,
)  # fmt: skip
LOW = 0.9  # below it a score warns
_WIDTH = 120

_HEAD = """\
# Public networks

How much of a network a score observes, and what it costs: {n_models} networks of {libraries},
at least one small one of each family, with random weights. {scored},
{covered}, and each is left as it was{but}. The median price of a score is
{ratio:.2f} plain forward and backward passes, and the median peak of its memory {memory:.2f} times theirs.

How to read the tables:

- **Networks** are named by their library, as `python -m bench.score.models --only` takes them.{rescue}
- **Coverage** is the share of the elements of the trainable weight matrices that are observed; of several networks of a
  family, the least. What counts: every parameter with at least two dimensions larger than one that some call multiplies
  with features, also element by element; every table that samples look up; and what is never used. Tables of positions
  that are only added, or looked up by numbers that come from no sample, do not count, be they parameters or
  `nn.Embedding`.
- **Layers** counts the weights that have a statistic, and in brackets those among them in which no gradient varies at
  the network's own initialisation (zero scales and heads); `init="rescue"` gives them one. Several networks have a
  number each, in their order.
- **Skipped** counts the weight matrices without a statistic, of all networks of a family together, with the reason that
  most of their elements have. Tables of positions, and parameters in whose place a computed weight is observed (weight
  standardisation), are among them, although they do not count against the coverage.
- **Price** is the time of `score` (L-SWAG, default options) by that of one plain forward and backward pass on the same
  batch ({pairs}), **memory** the same of the peaks above the model and the batch. Of
  several networks of a family, the median.

**Why the price is above that of [one transformer](speed.md)**, which is of batches of 8 and 32 images at 224 pixels:
these networks and batches are small ({batch} samples, mostly of 64 pixels or 64 tokens; a plain pass took
{plain_s:.2f} s in the median), and what a score does once for each layer, and for each weight and sample however few
positions the sample has, is a larger part of it. The half of the networks with the quicker plain passes has a median
price of {quick:.2f}, the other half {slow:.2f}. {load}

To repeat it, in about 20 minutes (nothing is downloaded but the libraries):

    pip install 'lswag-fast[zoo]'
    rm bench/results/score/models.csv
    python -m bench.score.models --out bench/results/score/models.csv
    python -m bench.pages
"""
_RESCUE = """
  *rescue*: no gradient varies in any of its layers at its own initialisation, so that it was scored with
  `init="rescue"`."""
_TITLES = ("family", "networks", "coverage", "layers", "skipped", "price", "memory")


def page(rows: Sequence[Row]) -> str:
    """All of docs/results/models.md."""
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
    by_time = sorted(scored, key=lambda row: float(row["plain_s"]))
    half = len(by_time) // 2
    text = _HEAD.format(
        n_models=len(rows),
        libraries=_listed(_libraries(rows)),
        scored="All of them score" if len(scored) == len(rows) else f"{len(scored)} of them score",
        covered=_covered(scored),
        but="".join(f", {part}" for part in but),
        ratio=_median(scored, "ratio"),
        memory=_median(scored, "memory_ratio"),
        rescue=_RESCUE if any(row["init"] == "rescue" for row in scored) else "",
        pairs=_pairs(scored),
        batch=scored[0]["batch"],
        plain_s=_median(scored, "plain_s"),
        quick=_median(by_time[:half] or by_time, "ratio"),
        slow=_median(by_time[half:], "ratio"),
        load=_load(scored),
    )
    return "\n\n".join(_filled(block) for block in text.split("\n\n"))


def _filled(block: str) -> str:
    """A paragraph or a list in lines of equal length, whatever was put into it; code and titles as they are."""
    if block.startswith(("#", " ")):
        return block
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            _WIDTH,
            subsequent_indent="  " * item.startswith("- "),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in re.split(r"\n(?=- )", block)
    )


def _covered(scored: Sequence[Row]) -> str:
    low = [f"{row['model']} ({_coverage([row])})" for row in scored if float(row["coverage"]) < LOW]
    return f"all {f'but {_listed(low)} ' if low else ''}with a coverage of {LOW:g} or more"


def _pairs(scored: Sequence[Row]) -> str:
    counts = sorted({int(row["n"]) for row in scored})
    if counts == [1]:
        return "one pair, so that a single price may be far off"
    return f"median of {' to '.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))} pairs measured in turn"


def _load(scored: Sequence[Row]) -> str:
    """How busy the machine was: the measurement itself keeps as many of its cores busy as it has threads."""
    loads = [float(row["load"]) for row in scored if row.get("load")]
    if len(loads) < len(scored):
        return (
            "These rows, which have no load of the machine, were measured beside much other work: their seconds are up "
            "to ten times those of a machine that has nothing else to do, and their prices scatter."
        )
    return (
        f"The load of the machine's {scored[0]['cores']} cores was {statistics.median(loads):.1f} in the median, "
        f"{scored[0]['threads']} of it this measurement's own."
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
    labels = ((f"{row['library']}/{row['model']}", row["init"]) for row in rows)
    names = ", ".join(f"{label}{' (*rescue*)' * (init == 'rescue')}" for label, init in labels)
    if not scored:
        return f"| {family} | {names} | | | no score, see below | | |"
    layers = ", ".join(row["n_layers"] + f" ({row['n_constant']})" * (row["n_constant"] != "0") for row in scored)
    n_skipped = sum(int(row["n_skipped"]) for row in scored)
    reasons = dict.fromkeys(row["skipped_reason"] for row in scored if row["skipped_reason"])
    skipped = f"{n_skipped}: {_cell('; '.join(reasons))}" if n_skipped else ""
    costs = f"{_median(scored, 'ratio'):.2f} | {_median(scored, 'memory_ratio'):.2f}"
    return f"| {family} | {names} | {_coverage(scored)} | {layers} | {skipped} | {costs} |"


def _scored(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row["error"]]


def _coverage(scored: Sequence[Row]) -> str:
    """The least of them, rounded down: 1.000 is all."""
    return f"{min(int(float(row['coverage']) * 1000) for row in scored) / 1000:.3f}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _libraries(rows: Sequence[Row]) -> list[str]:
    return sorted({row["library"] for row in rows})


def _median(rows: Sequence[Row], column: str) -> float:
    return statistics.median(float(row[column]) for row in rows)


def _cell(text: str) -> str:
    """Text that ends no cell of a table."""
    return text.replace("|", "\\|")
