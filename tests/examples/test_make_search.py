"""`make search` says commands that there are, in a space that can do what they ask for."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lswag_fast.cli import make_parser
from lswag_fast.libra.windows import ComparisonWindow
from lswag_fast.spaces import EntanglesWeights

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def commands() -> list[list[str]]:
    """The words of each command, from its name on."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    recipe = subprocess.run(["make", "-n", "search"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = recipe.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if "bin/lswag-fast " in line]


def test_each_command_is_one_that_the_parser_knows(commands: list[list[str]]) -> None:
    steps = ["supernet", "benchmark", "evaluate", "libra", "compare", "compare", "report", "report"]
    assert [words[0] for words in commands] == steps
    for words in commands:
        make_parser().parse_args(words)


def test_the_selection_is_made_and_judged_where_the_budget_asks_for_it(commands: list[list[str]]) -> None:
    libra, *compared = (make_parser().parse_args(words) for words in commands if words[0] in ("libra", "compare"))
    window = ComparisonWindow.parse(libra.window)
    assert window.column == "params" and libra.held_out >= 20
    for args in compared:
        width = (args.params.hi - args.params.lo) / (args.params.hi + args.params.lo)
        assert window.share == pytest.approx(width, abs=0.01)


def test_its_space_shares_weights_that_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.delitem(sys.modules, "small_vits", raising=False)
    from small_vits import make

    space = make()
    assert isinstance(space, EntanglesWeights)
    arch = space.sample(random.Random(0))
    assert sum(p.numel() for p in space.build(arch).parameters()) == space.n_params(arch)
