"""The registry of passes, and a pass of the user's own."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lswag_fast import register_pass, register_proxy, score, score_many
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.passes import Measurements, Pass, get_pass, list_passes, preserve_model_state, registry
from lswag_fast.proxies import registry as proxies
from support.contract import X, Y, mlp
from support.snapshot import snapshot


@dataclass(frozen=True)
class LogitMeasurements:
    mean: float
    asked_for: frozenset[str]


@pytest.fixture(autouse=True)
def own_registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_PASSES", dict(registry._PASSES))
    monkeypatch.setattr(proxies, "_REGISTRY", dict(proxies._REGISTRY))
    yield


@pytest.fixture
def runs() -> list[frozenset[str]]:
    """A pass that writes into the model, two proxies that read it, and its runs."""
    seen: list[frozenset[str]] = []

    def run(model: nn.Module, batch: Any, options: Any, statistics: frozenset[str]) -> LogitMeasurements:
        seen.append(statistics)
        with preserve_model_state(model, options.seed) as snapshot_, torch.no_grad():
            for name, parameter in model.named_parameters():
                snapshot_.protect(name)
                parameter.fill_(0.5)
            return LogitMeasurements(model.eval()(batch.inputs).mean().item(), statistics)

    register_pass(Pass("logits", run, {"mean", "largest"}, "one forward"))
    register_proxy("logit_mean", lambda m: m["logits"].mean, needs={"logits": {"mean"}})
    register_proxy("logit_twice", lambda m: 2 * m.of(LogitMeasurements).mean, needs={"logits": {"largest"}})
    return seen


def test_it_runs_once_for_all_its_proxies_and_gives_the_model_back(runs: list[frozenset[str]]) -> None:
    model = mlp().train()
    before = snapshot(model)
    scores = score_many(model, (X, Y), proxies=["logit_mean", "snip", "logit_twice"])
    assert snapshot(model) == before
    assert runs == [frozenset(("mean", "largest"))]
    assert scores["logit_twice"].value == 2 * scores["logit_mean"].value != 0
    assert scores.passes == ("standard", "logits")


def test_its_error_is_that_of_its_proxies_alone() -> None:
    def fail(*arguments: Any) -> None:
        raise UnsupportedModelError("not today")

    register_pass(Pass("failing", fail, {"anything"}))
    register_proxy("failing_proxy", lambda m: 1.0, needs={"failing": {"anything"}})
    scores = score_many(mlp(), (X, Y), proxies=["failing_proxy", "snip"])
    assert (scores["failing_proxy"].error, scores["snip"].error) == ("not today", None)
    with pytest.raises(UnsupportedModelError, match="not today"):
        score(mlp(), (X, Y), proxy="failing_proxy")


@pytest.mark.parametrize(
    ("pass_", "message"),
    [
        (Pass("standard", print, {"x"}), "a pass named 'standard' is already registered"),
        (Pass("", print, {"x"}), "the name of a pass is letters, digits, _ and -.*; got ''"),
        (Pass("a,b", print, {"x"}), "the name of a pass is letters, digits, _ and -.*; got 'a,b'"),
        (Pass(5, print, {"x"}), "the name of a pass is letters, digits, _ and -.*; got 5"),  # type: ignore[arg-type]
        (Pass("empty", print, ()), r"pass 'empty': statistics must be at least one name, got \(\)"),
        (Pass("text", print, "count"), "pass 'text': statistics must be at least one name, got 'count'"),
        (Pass("none", None, {"x"}), "pass 'none': run must be a function, got None"),  # type: ignore[arg-type]
        (3, r"a pass is a Pass\(name, run, statistics\), got 3"),
    ],
)
def test_what_is_refused(pass_: Pass, message: str) -> None:
    with pytest.raises(InputError, match=message):
        register_pass(pass_)


def test_an_unknown_pass_or_statistic_is_refused_when_a_proxy_is_registered(runs: list[frozenset[str]]) -> None:
    with pytest.raises(InputError, match=r"there is no pass 'logit'; there are model, standard, .*, logits"):
        register_proxy("wrong", lambda m: 1.0, needs={"logit": {"mean"}})
    with pytest.raises(InputError, match="needs 'median' of the logits pass, which gives largest, mean"):
        register_proxy("wrong", lambda m: 1.0, needs={"logits": {"median"}})
    assert runs == []


def test_measurements_that_no_pass_left_are_a_mistake_of_the_proxy() -> None:
    found = Measurements({"logits": LogitMeasurements(1.0, frozenset())})
    assert found["logits"] is found.of(LogitMeasurements)
    with pytest.raises(TypeError, match="the standard pass has not run: name it among the proxy's needs"):
        found["standard"]
    with pytest.raises(TypeError, match="no pass left int"):
        found.of(int)


def test_each_says_what_it_does() -> None:
    names = [pass_.name for pass_ in list_passes()]
    assert names == [
        "model", "standard", "synflow", "jacobian", "ntk", "double_backward", "noise_pair", "block_features",
        "features",
        "empirical_fisher",
        "curvature",
    ]  # fmt: skip
    assert all(pass_.summary and get_pass(pass_.name) is pass_ for pass_ in list_passes())


def test_no_pass_names_a_proxy_in_its_messages() -> None:
    passes = list_passes()
    # Words that name a pass or a statistic as well.
    own = {pass_.name for pass_ in passes} | {statistic for pass_ in passes for statistic in pass_.statistics}
    names = {info.name for info in proxies.list_proxies()} - own
    assert {"jacov", "zen"} <= names
    for pass_ in passes:
        for text in strings(pass_.run):
            assert names.isdisjoint(re.findall(r"\w+", text)), (pass_.name, text)


def strings(function: Any) -> Iterator[str]:
    """The strings in the module of a function, docstrings left out."""
    tree = ast.parse(Path(inspect.getfile(function)).read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
