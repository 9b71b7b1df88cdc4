"""Warnings that travel with a result."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import Future
from typing import Any

import pytest

from execution import jobs
from execution.jobs import refuse, shout, warn
from lswag_fast.errors import LswagWarning
from lswag_fast.execution.warning_relay import ResultWithWarnings, WarningRecorder, without_warnings


def done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def test_our_warnings_travel_and_those_of_others_are_shown_at_once() -> None:
    with pytest.warns(DeprecationWarning, match="old") as shown:
        result = WarningRecorder(warn)("a")
    assert len(shown) == 1
    result = pickle.loads(pickle.dumps(result))
    assert isinstance(result, ResultWithWarnings)
    assert (result.result, [text for text, _, _ in result.warnings]) == ("A", ["a is short"])


def test_they_are_issued_where_the_result_is_taken() -> None:
    recorded = ResultWithWarnings("A", (("a is short", jobs.__file__, 7),))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert without_warnings(done(recorded)).result() == "A"
    assert [(w.category, str(w.message), w.filename) for w in caught] == [(LswagWarning, "a is short", __file__)]
    assert [warning.message.place for warning in caught] == [(jobs.__file__, 7)]


def test_without_a_warning_nothing_is_added() -> None:
    assert WarningRecorder(shout)("a") == "A"
    plain = done("A")
    assert without_warnings(plain) is plain
    failed: Future[Any] = Future()
    failed.set_exception(ValueError("b is refused"))
    assert without_warnings(failed) is failed
    with pytest.raises(ValueError, match="b is refused"):
        WarningRecorder(refuse)("b")
