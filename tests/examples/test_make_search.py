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
from lswag_fast.spaces import EntanglesWeights

ROOT = Path(__file__).parents[2]


def test_each_command_is_one_that_the_parser_knows() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    recipe = subprocess.run(["make", "-n", "search"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [shlex.split(line) for line in recipe.replace("\\\n", " ").splitlines() if "bin/lswag-fast " in line]
    steps = ["supernet", "benchmark", "evaluate", "libra", "compare", "compare", "report", "report"]
    assert [words[1] for words in lines] == steps
    for words in lines:
        make_parser().parse_args(words[1:])


def test_its_space_shares_weights_that_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.delitem(sys.modules, "small_vits", raising=False)
    from small_vits import make

    space = make()
    assert isinstance(space, EntanglesWeights)
    arch = space.sample(random.Random(0))
    assert sum(p.numel() for p in space.build(arch).parameters()) == space.n_params(arch)
