"""The directive `proxy-reference`: each registered proxy with its formula, range, direction, passes, price and source.

Everything is read when the pages are built: from the registry, from the docstring of the function behind a proxy, and
the prices from the CSV of `bench.score.run --suite proxies`.
"""

from __future__ import annotations

import csv
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata, OptionSpec

from lswag_fast import ProxyInfo, list_proxies

PRICES = Path(__file__).parents[2] / "bench/results/score/proxies.csv"
NETWORKS = {"autoformer_s": "Autoformer-S", "nasbench201_like": "NAS-Bench-201-like"}
AGGREGATES = {"rank_sum": "the sum of the ranks of {}", "log_rank": "sum ln(rank / n) over {}, of n networks"}
Prices = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Formula:
    """What a docstring says of a proxy: its text without the sections, and what it returns."""

    text: str
    range: str


def formula_of(info: ProxyInfo) -> Formula:
    """Read the docstring of the function behind a proxy; of a ranked one, which has no formula, say what it ranks."""
    if info.aggregate is not None:
        parts = " and ".join((", ".join(f"`{name}`" for name in info.parts[:-1]), f"`{info.parts[-1]}`"))
        return Formula(f"{AGGREGATES[info.aggregate].format(parts).capitalize()}.", "of ranks among networks")
    text, *sections = re.split(r"^(Args|Returns|Raises):\n", inspect.getdoc(info.compute) or "", flags=re.MULTILINE)
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    return Formula(text.strip(), " ".join(found.get("Returns", "").split()))


def prices_of(path: Path) -> dict[str, dict[str, float]]:
    """{proxy: {network, its batch: times of a plain forward and backward pass}}."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"].startswith("proxy_")]
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        network = f"{NETWORKS[row['network']]}, batch {row['batch']}"
        found.setdefault(row["method"].removeprefix("proxy_"), {})[network] = float(row["ratio"])
    return found


def overview(infos: list[ProxyInfo], prices: Prices) -> Iterator[str]:
    """Yield the lines of the table of all proxies."""
    networks = list(dict.fromkeys(network for by_network in prices.values() for network in by_network))
    yield f"| proxy | better | passes | {' | '.join(networks)} |"
    yield f"| --- | --- | --- |{' ---: |' * len(networks)}"
    for info in infos:
        passes = ", ".join(info.needs) or "of its parts"
        own = prices.get(info.name, {})  # some are not measured on all networks
        cells = [f"{own[network]:.2f}" if network in own else "" for network in networks]
        yield f"| [`{info.name}`](#proxy-{info.name}) | {_direction(info)} | {passes} | {' | '.join(cells)} |"


def entry(info: ProxyInfo) -> Iterator[str]:
    """Yield the lines of one proxy, below its title."""
    formula = formula_of(info)
    yield from (f"*{_sentence(info.summary)}*", "", formula.text, "")
    facts = {
        "Range": formula.range,
        "Better": _direction(info),
        "Reads": "; ".join(f"{name}: {', '.join(sorted(which))}" for name, which in info.needs.items()),
        "Options": ", ".join(f"`{option}`" for option in _options(info)),
        "Source": info.reference,
    }
    yield from (f"- **{name}:** {text}" for name, text in facts.items() if text)


def _direction(info: ProxyInfo) -> str:
    return "higher" if info.higher_is_better else "lower"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _options(info: ProxyInfo) -> list[str]:
    parameters = list(inspect.signature(info.compute).parameters.values())[1:]
    return [f"{parameter.name}={parameter.default!r}" for parameter in parameters]


class ProxyReference(SphinxDirective):
    """Writes the table and the entries of all registered proxies as Markdown, and has it parsed."""

    has_content = False
    option_spec: ClassVar[OptionSpec] = {}

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the table and the entries."""
        self.env.note_dependency(str(PRICES))
        infos = [info for info in list_proxies() if info.compute.__module__.startswith("lswag_fast.")]
        table = self.parse_text_to_nodes("\n".join(overview(infos, prices_of(PRICES))))
        return [*table, *(self._section(info) for info in infos)]

    def _section(self, info: ProxyInfo) -> nodes.section:
        target = f"proxy-{info.name}"
        section = nodes.section("", nodes.title("", info.name), ids=[target], names=[target])
        section += self.parse_text_to_nodes("\n".join(entry(info)))
        self.env.domains.standard_domain.note_hyperlink_target(target, self.env.docname, target, info.name)
        return section


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("proxy-reference", ProxyReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
