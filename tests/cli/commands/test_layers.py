"""`lswag-fast layers`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lswag_fast.cli import main


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small_space.py").write_text(
        "from lswag_fast.spaces import NasBench201\n\n"
        "def make():\n    return NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=10)\n"
    )
    words = [
        "layers",
        "small_space:make",
        "--trials",
        "3",
        "--batch-size",
        "6",
        "--mode",
        "eval",
        "--plot",
        "a.png",
        "--json",
        "a.json",
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("a.json").read_text())
    assert content["n_networks"] == 3
    assert ("--layers" in out) == (content["interval"] is not None)
    assert Path("a.png").stat().st_size > 0
