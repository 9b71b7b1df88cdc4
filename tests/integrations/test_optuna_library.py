"""Optuna is imported late, asked for named choices, and kept from talking."""

from __future__ import annotations

import sys

import pytest

from lswag_fast.errors import MissingExtraError, SpaceError
from lswag_fast.integrations.optuna_library import naming_choices, optuna, quiet
from lswag_fast.spaces import NasBench201
from support.user_networks import Mlps


def test_it_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lswag-fast\[optuna\]'"):
        optuna()


def test_a_space_without_named_choices_is_refused() -> None:
    space = NasBench201()
    assert naming_choices(space) is space
    with pytest.raises(SpaceError, match="mlps does not say which choices its architectures are made of"):
        naming_choices(Mlps())


def test_what_it_tells_is_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    before = optuna().logging.get_verbosity()
    with quiet():
        optuna().create_study()
    assert optuna().logging.get_verbosity() == before
    assert capfd.readouterr().err == ""
