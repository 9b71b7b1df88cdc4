"""Every public name says what it is and shows it by an example that runs (`make test` runs the examples)."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

import lswag_fast

# The packages whose __all__ is public, beside the names of the package itself.
PUBLIC_PACKAGES = (
    "data", "passes", "spaces", "study", "study.samplers", "study.storage", "execution", "evaluation", "integrations",
)  # fmt: skip

# Small parts of a protocol, which the example of another name makes or is handed.
SHOWN_ELSEWHERE = {
    "study.Proposal": "study.Sampler",
    "study.ProposalBatch": "study.Sampler",
    "study.samplers.Proposal": "study.samplers.Sampler",
    "study.samplers.ProposalBatch": "study.samplers.Sampler",
    "study.storage.Record": "study.storage.Storage",
}


def _public() -> dict[str, Any]:
    found = {name: getattr(lswag_fast, name) for name in lswag_fast.__all__}
    for package in PUBLIC_PACKAGES:
        module = import_module(f"lswag_fast.{package}")
        found |= {f"{package}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())}
    return {name: thing for name, thing in found.items() if inspect.isclass(thing) or inspect.isfunction(thing)}


def _methods(kind: type[Any]) -> dict[str, Any]:
    """The public methods that a class defines itself; a protocol's are described, not called."""
    if getattr(kind, "_is_protocol", False):
        return {}
    return {name: member for name, member in vars(kind).items() if inspect.isfunction(member) and name[0] != "_"}


@pytest.mark.parametrize("name", _public())
def test_it_has_an_example(name: str) -> None:
    thing = _public()[name]
    if name in SHOWN_ELSEWHERE or (inspect.isclass(thing) and issubclass(thing, BaseException)):
        assert inspect.getdoc(thing)
        return
    assert ">>>" in (inspect.getdoc(thing) or ""), f"{name} has no example"


@pytest.mark.parametrize("name", SHOWN_ELSEWHERE)
def test_what_is_shown_elsewhere_is_shown_there(name: str) -> None:
    assert name.rpartition(".")[2] in (inspect.getdoc(_public()[SHOWN_ELSEWHERE[name]]) or "")


@pytest.mark.parametrize("name", [name for name, thing in _public().items() if inspect.isclass(thing)])
def test_its_methods_are_described(name: str) -> None:
    undescribed = [method for method, function in _methods(_public()[name]).items() if not function.__doc__]
    assert undescribed == []
