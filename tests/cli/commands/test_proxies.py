"""`lswag-fast proxies`."""

from __future__ import annotations

import json
import re

import pytest

from lswag_fast import list_proxies
from lswag_fast.cli import main
from lswag_fast.libra.recommended import recommendations


def test_every_proxy_is_listed_with_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies"]) == 0
    text = capsys.readouterr().out
    for info in list_proxies():
        assert re.search(rf"^{info.name} ", text, re.MULTILINE), info.name
        assert not info.reference or f"{info.name}: {info.reference}" in text
    assert "lower" in text


def test_what_is_recommended_is_shown_with_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies"]) == 0
    text = capsys.readouterr().out
    for each in recommendations():
        assert f"recommended:{each.kind}, for {each.networks} ({', '.join(each.spaces)}):" in text
        assert f"  {', '.join(each.proxies)}; {each.why} ({each.evidence})" in text
    assert main(["proxies", "te_nas*"]) == 0
    assert "recommended:" not in capsys.readouterr().out


def test_a_pattern_chooses_proxies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", "te_nas*"]) == 0
    text = capsys.readouterr().out
    assert "te_nas_ntk" in text
    assert "ranks of te_nas_ntk" in " ".join(text.split())
    assert "synflow" not in text


def test_no_match_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", "magic*"]) == 2
    assert "no proxy matches 'magic*'; there are az_nas" in capsys.readouterr().err


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", "te_nas*", "--json", "-"]) == 0
    found = {info["name"]: info for info in json.loads(capsys.readouterr().out)}
    assert set(found) == {"te_nas", "te_nas_ntk", "te_nas_regions"}
    assert found["te_nas"]["parts"] == ["te_nas_ntk", "te_nas_regions"]
    assert found["te_nas_ntk"]["higher_is_better"] is False
