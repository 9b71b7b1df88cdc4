"""The space of a stored search is made again, or refused where it is another one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lswag_fast.cli import main
from lswag_fast.cli.stored_space import find_stored_space, stored_weights
from lswag_fast.errors import InputError, SpaceError
from lswag_fast.study.stored import StoredStudy, read_study


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> StoredStudy:
    run = tmp_path_factory.mktemp("stored") / "run"
    size = ("--image-size", "8", "--num-classes", "3", "--batch-size", "4", "--data", "synthetic")
    command = ("search", "nasbench201", *size, "--trials", "1", "--sampler", "random", "--proxies", "params")
    assert main([*command, "--out", str(run)]) == 0
    return read_study(run)


def test_a_named_space_is_made_with_its_options(searched: StoredStudy) -> None:
    space, recipe = find_stored_space(searched)
    assert (space.input_shape, space.num_classes) == ((3, 8, 8), 3)
    assert recipe.expression == "lswag_fast.spaces.get('nasbench201', image_size=8, num_classes=3)"
    assert stored_weights(searched, space) is None


def test_further_options_are_stored_with_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    widths = ("--space-set", "stage_widths=8,8,16,16,24,24", "--space-set", "squeeze_excitation=true")
    size = ("--image-size", "32", "--num-classes", "3", "--batch-size", "4", "--data", "synthetic", *widths)
    command = ("search", "proxylessnas", *size, "--sampler", "random", "--proxies", "params", "--out", "run")
    assert main([*command, "--trials", "1"]) == 0
    space, recipe = find_stored_space(read_study(Path("run")))
    made: Any = space
    assert (made.stage_widths, made.squeeze_excitation) == ((8, 8, 16, 16, 24, 24), True)
    assert recipe.expression.endswith("num_classes=3, stage_widths=[8, 8, 16, 16, 24, 24], squeeze_excitation=True)")
    words = shlex.split(str(read_study(Path("run")).metadata["command"]))
    assert main([*words[1:], "--trials", "2"]) == 0
    assert main(["export", "run", "--arch", "best", "-o", "best"]) == 0
    assert recipe.expression in capsys.readouterr().out
    assert main([*command, "--trials", "3", "--space-set", "activation=swish"]) == 2
    assert "activation" in capsys.readouterr().err


def test_another_space_under_the_same_words_is_refused(searched: StoredStudy) -> None:
    other = replace(searched.settings, space=replace(searched.settings.space, choices="NasBench201(channels=1)"))
    with pytest.raises(SpaceError, match=r"was NasBench201\(channels=1\); lswag_fast.spaces.get\(.*\) now makes"):
        find_stored_space(replace(searched, settings=other))


def test_a_space_that_was_made_in_python_cannot_be_made_here(searched: StoredStudy, tmp_path: Path) -> None:
    settings = replace(searched.settings, space=replace(searched.settings.space, name="own"))
    with pytest.raises(InputError, match="the space 'own' of this search was made in Python"):
        find_stored_space(replace(searched, settings=settings, metadata={}))
