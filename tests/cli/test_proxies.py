"""`lswag-fast proxies`, and `lswag-fast score` by one proxy, by several and by all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lswag_fast import list_proxies
from lswag_fast.cli import main

FACTORY = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).eval()
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    (tmp_path / "cnn_factory.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)

    def score(*argv: str) -> tuple[int, str, str]:
        size = ["--image-size", "8", "--batch-size", "6", "--num-classes", "3", "--pattern-samples", "6"]
        code = main(["score", "cnn_factory:make", *size, "--features", "[03]", *argv])
        return code, *capsys.readouterr()

    return score


def test_every_proxy_is_listed_with_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies"]) == 0
    text = capsys.readouterr().out
    for info in list_proxies():
        assert re.search(rf"^{info.name} ", text, re.MULTILINE), info.name
        assert not info.reference or f"{info.name}: {info.reference}" in text
    assert "lower" in text


def test_a_pattern_chooses_proxies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", "te_nas*"]) == 0
    text = capsys.readouterr().out
    assert "te_nas_ntk" in text
    assert "ranks of te_nas_ntk" in " ".join(text.split())
    assert "synflow" not in text


def test_no_match_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proxies", "magic*"]) == 2
    assert "no proxy matches 'magic*'; there are az_nas" in capsys.readouterr().err


def test_all_proxies_make_one_table(run: Any) -> None:
    code, out, err = run("--proxy", "all")
    assert (code, err) == (0, "")
    shown = dict(re.findall(r"^(\w+) +(\S+) +(?:higher|lower)", out, re.MULTILINE))
    assert set(shown) == {info.name for info in list_proxies() if not info.parts}
    assert [name for name, value in shown.items() if value == "-"] == ["dss"]  # a CNN has no attention
    assert "dss: dss is for vision transformers" in out
    assert "8 passes: none, standard, synflow" in out


def test_several_as_json(run: Any) -> None:
    code, out, _ = run("--proxy", "snip, te_nas,dss", "--json")
    content = json.loads(out)
    assert code == 0
    assert list(content["scores"]) == ["snip", "te_nas_ntk", "te_nas_regions", "dss"]
    assert content["scores"]["dss"]["value"] is None
    assert content["passes"] == ["standard", "synflow", "ntk"]


def test_one_proxy_says_which_way_is_better(run: Any) -> None:
    code, out, _ = run("--proxy", "te_nas_ntk")
    assert code == 0
    assert re.search(r"te_nas_ntk score: [\d.e+]+ \(lower is better\)", out)


def test_an_option_of_a_proxy(run: Any) -> None:
    values = [
        json.loads(run("--proxy", "reg_swap", "--json", "--set", f"reg_swap.sigma={sigma}")[1])["value"]
        for sigma in (25, 50)
    ]
    assert values[0] < values[1]
    code, _, err = run("--proxy", "snip", "--set", "zen.batch_norm=optional")
    assert (code, "'zen' is not among the proxies" in err) == (2, True)
    code, _, err = run("--proxy", "zen", "--set", "batch_norm=optional")
    assert (code, "is not PROXY.OPTION=VALUE" in err) == (2, True)


def test_an_unknown_name_is_a_mistake_with_a_proposal(run: Any) -> None:
    code, out, err = run("--proxy", "snip,sinflow")
    assert (code, out) == (2, "")
    assert "did you mean 'synflow'?" in err
