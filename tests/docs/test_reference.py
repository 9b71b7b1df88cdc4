"""What the reference says: the formulas and prices of proxies, the versions of file formats, formulas as MathML."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from lswag_fast import list_proxies
from lswag_fast.libra import stored
from lswag_fast.proxies import get_proxy
from lswag_fast.study import export
from lswag_fast.study.storage import folder, schema
from lswag_fast.training.loop import folder as training_folder

pytest.importorskip("sphinx", reason="the pages are built by the extra `docs`")
ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "docs/_ext"))

import proxy_reference  # noqa: E402


def test_a_formula_comes_from_the_docstring() -> None:
    found = proxy_reference.formula_of(get_proxy("snip"))
    assert found.text.startswith("sum_w |w dL/dw|")
    assert "Raises" not in found.text
    assert found.range == "A number in (0, inf)."


def test_a_ranked_proxy_says_what_it_ranks() -> None:
    found = proxy_reference.formula_of(get_proxy("te_nas"))
    assert "`te_nas_ntk` and `te_nas_regions`" in found.text


@pytest.mark.parametrize("info", list_proxies(), ids=lambda info: info.name)
def test_each_proxy_has_a_formula_and_a_range(info: proxy_reference.ProxyInfo) -> None:
    if info.compute.__module__.startswith("lswag_fast."):
        found = proxy_reference.formula_of(info)
        assert found.text
        assert found.range


def test_what_was_not_measured_on_a_network_has_an_empty_cell() -> None:
    infos = [get_proxy("snip"), get_proxy("nwot"), get_proxy("zico")]
    *_, snip, nwot, zico = proxy_reference.overview(infos, {"snip": {"a": 0.5}, "nwot": {"b": 0.25}})
    assert [line.split(" | ")[3:] for line in (snip, nwot, zico)] == [["0.50", " |"], ["", "0.25 |"], ["", " |"]]


def test_prices_are_those_of_the_csv(tmp_path: Path) -> None:
    path = tmp_path / "proxies.csv"
    path.write_text("network,batch,method,ratio\nautoformer_s,8,shared,0.7\nautoformer_s,8,proxy_snip,0.668\n")
    prices = proxy_reference.prices_of(path)
    assert prices == {"snip": {"Autoformer-S, batch 8": 0.668}}
    head, _, snip, zico = proxy_reference.overview([get_proxy("snip"), get_proxy("zico")], prices)
    assert head == "| proxy | better | passes | Autoformer-S, batch 8 |"
    assert snip == "| [`snip`](#proxy-snip) | higher | standard | 0.67 |"
    assert zico.endswith("| standard |  |")


def test_an_entry_names_options_and_source() -> None:
    lines = list(proxy_reference.entry(get_proxy("reg_swap")))
    assert "- **Options:** `mu=25.0`, `sigma=25.0`" in lines
    assert any(line.startswith("- **Source:** Peng, Song") for line in lines)
    assert not any("Options" in line for line in proxy_reference.entry(get_proxy("snip")))


def test_the_versions_of_formats_are_those_of_the_code() -> None:
    page = (ROOT / "docs/reference/file_formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.*?)\]\(.*?\) \| .*? \| (\d+)", page, re.MULTILINE)
    assert dict(rows) == {
        "`study.sqlite`": str(schema.SCHEMA_VERSION),
        "`study.jsonl`": str(schema.SCHEMA_VERSION),
        "`result.json`": str(folder.RESULT_VERSION),
        f"`{export.ARCH_FILE}`": str(export.SCHEMA_VERSION),
        "`settings.json`, `log.csv`, `weights.safetensors`": str(training_folder.SCHEMA_VERSION),
        "a selection": str(stored.SCHEMA_VERSION),
    }
