"""The oldest versions: the lower bound of each requirement, and nothing guessed for one that has none."""

from __future__ import annotations

import pytest

from release.oldest import EXTRAS, constraints


def project(*dependencies: str) -> dict[str, object]:
    return {"dependencies": list(dependencies), "optional-dependencies": {extra: [f"{extra}>=7"] for extra in EXTRAS}}


def test_the_oldest_version_is_the_lower_bound() -> None:
    found = constraints(project("torch>=2.8", "some-name.x>=1.0.3"))
    assert found == ["torch==2.8", "some-name.x==1.0.3", *(f"{extra}==7" for extra in EXTRAS)]


def test_another_torch_takes_the_place_of_the_oldest() -> None:
    found = constraints(project("torch>=2.8", "torchlike>=1"), "torch==2.8.1+cpu")
    assert found[:2] == ["torch==2.8.1+cpu", "torchlike==1"]


@pytest.mark.parametrize("requirement", ["torch", "torch==2.8", "torch>=2.8,<3", "torch~=2.8"])
def test_another_form_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="is not of the form name>=version"):
        constraints(project(requirement))
