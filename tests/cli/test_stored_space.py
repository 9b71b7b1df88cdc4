"""The space of a stored search is made again, or refused where it is another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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


def test_another_space_under_the_same_words_is_refused(searched: StoredStudy) -> None:
    other = replace(searched.settings, space=replace(searched.settings.space, choices="NasBench201(channels=1)"))
    with pytest.raises(SpaceError, match=r"was NasBench201\(channels=1\); lswag_fast.spaces.get\(.*\) now makes"):
        find_stored_space(replace(searched, settings=other))


def test_a_space_that_was_made_in_python_cannot_be_made_here(searched: StoredStudy, tmp_path: Path) -> None:
    settings = replace(searched.settings, space=replace(searched.settings.space, name="own"))
    with pytest.raises(InputError, match="the space 'own' of this search was made in Python"):
        find_stored_space(replace(searched, settings=settings, metadata={}))
