"""Turn the CSV of `bench.score.run --suite proxies` into a table."""

from __future__ import annotations

from bench.score.table import NETWORK_LABELS, measured_on

LABELS = {
    "shared": "ten proxies of the shared pass, together",
    "shared_apart": "the same ten, one call each",
    "shared_fast": 'the same ten together, `fidelity="fast"`',
    "lswag_fast": '`lswag` alone, `fidelity="fast"`',
}
Row = dict[str, str]


def label(method: str) -> str:
    """How the table calls a method."""
    return LABELS.get(method, f"`{method.removeprefix('proxy_')}`")


def _place(method: str) -> tuple[int, str]:
    """Those of several proxies first, then the others by name."""
    return (list(LABELS).index(method) if method in LABELS else len(LABELS), method)


def markdown(rows: list[Row]) -> str:
    """One line per method, one column per network: time in units of a plain forward and backward pass."""
    settings = list(dict.fromkeys((row["network"], row["batch"]) for row in rows))
    ratios = {(row["network"], row["batch"], row["method"]): float(row["ratio"]) for row in rows}
    titles = [f"{NETWORK_LABELS.get(network, network)}, batch {batch}" for network, batch in settings]
    lines = [f"| x plain forward + backward | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(settings)}"]
    for method in sorted({row["method"] for row in rows}, key=_place):
        found = (ratios.get((*setting, method)) for setting in settings)
        lines.append(f"| {label(method)} | {' | '.join('' if r is None else f'{r:.2f}' for r in found)} |")
    return "\n".join([*lines, "", measured_on(rows)])
