"""`lswag-fast info`."""

import json

import pytest

from lswag_fast import __version__
from lswag_fast.cli import main


def test_info_reports(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert __version__ in capsys.readouterr().out


def test_info_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__
