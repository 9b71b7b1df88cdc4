"""Attributes of another kind than a study's are damage, said by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lswag_fast.study.storage.attributes import check_attributes

LAYER = {"name": "a.weight", "kind": "linear", "depth": 0.5, "n_weights": 8, "trainability": 1.0, "cardinality": None}
GOOD: dict[str, Any] = {
    "versions": {"python": "3.11"},
    "metadata": {"data": "digits", "of the user's": [1, 2.5, None, {"x": True}]},
    "status": "finished",
    "n_trials": 3,
    "n_written": 3,
    "profile": {
        "trial": 2,
        "layers": [LAYER, {**LAYER, "cardinality": 4, "trainability": None}],
        "seconds": {"build": 0.5, "forward": 2},
    },
    "repeats": {"4": {"lswag": [1.5, 2]}, "0": {"lswag": [1.0, 3.0]}},
}
BAD: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "infinite": (("metadata", "of the user's", 1), float("inf"), "holds the number inf"),
    "not a number": (("metadata", "of the user's", 3, "x"), float("nan"), "holds the number nan"),
    "beyond float": (("metadata", "data"), 10**400, "holds the number 1000"),
    "a version": (("versions", "python"), 3, "versions"),
    "versions": (("versions",), [], "versions"),
    "metadata": (("metadata",), "text", "metadata"),
    "status": (("status",), 5, "status"),
    "trials": (("n_trials",), "many", "n_trials"),
    "written": (("n_written",), -1, "n_written"),
    "profile": (("profile",), "text", "profile"),
    "the profile's trial": (("profile", "trial"), 0.5, "profile"),
    "layers": (("profile", "layers"), {}, "profile"),
    "seconds": (("profile", "seconds"), [1.0], "the seconds of its best network"),
    "a part of the seconds": (("profile", "seconds", "build"), "1", "the seconds of its best network"),
    "repeats": (("repeats",), [1.0, 2.0], "the repeated scores are none"),
    "the number of a repeat": (("repeats", "best"), {"lswag": [1.0, 2.0]}, "the repeated scores are none"),
    "the repeats of a trial": (("repeats", "4", "lswag"), 1.0, "the repeated scores of a trial"),
    "a repeat": (("repeats", "4", "lswag", 0), "1", "a repeated score is no number"),
    "too few repeats": (("repeats", "4", "lswag"), [1.0], "different lengths"),
    "a layer": (("profile", "layers", 1), "text", "a layer of its best network"),
    "a layer's name": (("profile", "layers", 0, "name"), 3, "a layer of its best network"),
    "a layer's depth": (("profile", "layers", 0, "depth"), "deep", "a layer of its best network"),
    "a layer's size": (("profile", "layers", 0, "n_weights"), None, "a layer of its best network"),
    "a layer's trainability": (("profile", "layers", 0, "trainability"), [], "a layer of its best network"),
    "a layer's cardinality": (("profile", "layers", 0, "cardinality"), "4", "a layer of its best network"),
}


def test_what_a_study_stores_is_taken() -> None:
    check_attributes(GOOD)
    check_attributes({name: GOOD[name] for name in ("versions", "metadata", "status")})


@pytest.mark.parametrize(("path", "value", "message"), BAD.values(), ids=BAD)
def test_what_no_study_stores_is_refused(path: tuple[Any, ...], value: Any, message: str) -> None:
    attrs = copy.deepcopy(GOOD)
    place: Any = attrs
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        check_attributes(attrs)
