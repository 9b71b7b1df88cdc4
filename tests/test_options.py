"""The options of a score: ranges, what does not fit a batch, and the ways to give them."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score, score_many
from lswag_fast.errors import InputError
from lswag_fast.options import ScoreOptions, is_nameless, parse_variance


def test_numbers_of_numpy_become_python_s() -> None:
    given = {
        "layers": (np.int64(2), np.int32(7)),
        "pattern_samples": np.int64(16),
        "row_fraction": np.float32(0.5),
        "chunk_size": np.uint8(4),
        "seed": np.uint64(3),
    }
    found = ScoreOptions(**given)
    values = {name: getattr(found, name) for name in given}
    assert values == {"layers": (2, 7), "pattern_samples": 16, "row_fraction": 0.5, "chunk_size": 4, "seed": 3}
    json.dumps(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss_reduction", "none"),
        ("gradient", "absolute"),
        ("layers", (3,)),
        ("layers", (4, 3)),
        ("layers", (-1, 3)),
        ("layers", (0, 11)),
        ("layers", (0.0, 3.0)),
        ("layers", (False, True)),
        ("layers", 3),
        ("layers", "03"),
        ("row_fraction", 0.0),
        ("row_fraction", 1.5),
        ("row_fraction", True),
        ("row_fraction", float("nan")),
        ("row_fraction", "half"),
        ("pattern_samples", 0),
        ("pattern_samples", 2.0),
        ("pattern_samples", "all"),
        ("pattern_samples", True),
        ("chunk_size", 0),
        ("chunk_size", -1),
        ("chunk_size", 1),
        ("chunk_size", 1.5),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", None),
        ("seed", 2**64),
        ("combine", "sum"),
        ("loss_fn", 5),
        ("loss_fn", "hinge"),
        ("features", 5),
        ("proxy_options", None),
        ("proxy_options", {"snip": 5}),
        ("nonfinite", "ignore"),
    ],
)
def test_a_value_outside_of_its_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name} .*{value!r}".replace("(", r"\(").replace(")", r"\)")):
        ScoreOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", (0, 10)),
        ("layers", [3, 3]),
        ("row_fraction", 1),
        ("row_fraction", 1e-9),
        ("pattern_samples", 1),
        ("chunk_size", 2),
        ("seed", 2**64 - 1),
        ("loss_reduction", "mean"),
        ("gradient", "signed"),
    ],
)
def test_the_ends_of_each_range_are_taken(name: str, value: Any) -> None:
    found = getattr(ScoreOptions(**{name: value}), name)
    assert found == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern_samples": 9}, "pattern_samples is 9, the batch has 8 samples"),
        ({"variance": "microbatch:3"}, "'microbatch:3' does not divide the batch of 8 samples"),
        ({"variance": "microbatch:4", "chunk_size": 3}, "chunk_size 3 cuts a micro-batch; make it a multiple of 2"),
    ],
)
def test_what_does_not_fit_the_batch(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScoreOptions(**changes).for_batch(8)


@pytest.mark.parametrize(
    "changes", [{"pattern_samples": 8}, {"variance": "microbatch:4"}, {"variance": "microbatch:4", "chunk_size": 6}]
)
def test_what_fits_the_batch(changes: dict[str, Any]) -> None:
    ScoreOptions(**changes).for_batch(8)


@pytest.mark.parametrize(("variance", "expected"), [("sample", None), ("microbatch:2", 2), ("microbatch:16", 16)])
def test_parse_variance(variance: str, expected: int | None) -> None:
    assert parse_variance(variance) == expected


@pytest.mark.parametrize(
    "variance", ["samples", "microbatch", "microbatch:", "microbatch:1", "microbatch:-2", "microbatch:2.0", "", None, 4]
)
def test_another_variance_is_refused(variance: Any) -> None:
    with pytest.raises(InputError, match="variance must be 'sample' or 'microbatch:N'"):
        parse_variance(variance)


def test_ready_options_single_keywords_and_both() -> None:
    ready = ScoreOptions(seed=3, gradient="signed")
    assert ScoreOptions.of("score", None, {}) == ScoreOptions()
    assert ScoreOptions.of("score", ready, {}) == ready
    assert ScoreOptions.of("score", ready, {"seed": 4}) == ScoreOptions(seed=4, gradient="signed")


def test_a_keyword_that_is_no_option_is_a_type_error_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match=r"score\(\) got an unexpected keyword argument 'pattern_sample'; did you mean"):
        ScoreOptions.of("score", None, {"pattern_sample": 3})
    with pytest.raises(TypeError, match=r"search\(\) got an unexpected keyword argument 'zzz'$"):
        ScoreOptions.of("search", None, {"zzz": 3})


@pytest.mark.parametrize("function", [score, score_many])
def test_the_signature_shows_every_option_and_its_default(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    for option in fields(ScoreOptions):
        assert option.name in parameters
        if option.name != "proxy_options":
            assert parameters[option.name].default == getattr(ScoreOptions(), option.name)
    assert "keywords" not in parameters


def test_every_option_is_described() -> None:
    described = ScoreOptions.__doc__ or ""
    assert [option.name for option in fields(ScoreOptions) if f"        {option.name}: " not in described] == []


def test_the_json_form_names_functions_and_has_no_tuples() -> None:
    found = ScoreOptions(loss_fn=a_loss, layers=(1, 4), proxy_options={"reg_swap": {"mu": np.float64(5.0)}}).to_json()
    assert json.loads(json.dumps(found)) == found
    assert (found["loss_fn"], found["layers"], found["proxy_options"]) == ("a_loss", [1, 4], {"reg_swap": {"mu": 5.0}})
    assert set(found) == {option.name for option in fields(ScoreOptions)}


def a_loss(outputs: Any, targets: Any) -> Any:
    return outputs.sum(1)


def test_options_are_frozen_and_can_be_keys() -> None:
    given = {"reg_swap": {"mu": 5.0}}
    options = ScoreOptions(proxy_options=given, layers=[1, 2])  # type: ignore[arg-type]
    given["reg_swap"]["mu"] = 7.0
    assert options.proxy_options == {"reg_swap": {"mu": 5.0}}
    assert {options, ScoreOptions(proxy_options={"reg_swap": {"mu": 5.0}}, layers=(1, 2))} == {options}
    with pytest.raises(InputError, match="options must be ScoreOptions, got dict"):
        ScoreOptions.of("score", {"seed": 1}, {})  # type: ignore[arg-type]


class Weighted:
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum(1)


def test_a_loss_is_called_by_what_tells_it_from_others() -> None:
    names = [ScoreOptions(loss_fn=loss).to_json()["loss_fn"] for loss in (a_loss, nn.MSELoss(), Weighted())]
    assert names == ["a_loss", "MSELoss()", "Weighted object"]
    assert [is_nameless(name) for name in [*names, "test.<locals>.<lambda>", None]] == [False, False, True, True, False]


def test_a_task_is_called_by_one_name_and_decides_the_loss() -> None:
    options = ScoreOptions(task="segmentsemantic")
    assert options == ScoreOptions(task="segmentation")
    assert options.changed() == {"task": "segmentation"}
    assert options.is_cross_entropy and ScoreOptions(task="segmentation", ignore_index=255).ignore_index == 255
    assert ScoreOptions(task="normal", loss_fn="cosine").loss_name == "cosine"
    assert ScoreOptions(task="normal", loss_fn=a_loss).loss_name is None
    with pytest.raises(InputError, match="there is no task 'detection'; known are classification"):
        ScoreOptions(task="detection")
    for options_of_classes in ({"ignore_index": 1}, {"class_axis": -1}):
        with pytest.raises(InputError, match="is of cross-entropy; leave it out with this loss"):
            ScoreOptions(task="regression", **options_of_classes)  # type: ignore[arg-type]


# Gradient samples for a batch of 32, in general; tests/proxies/test_fidelity.py has those by proxy.
PRESETS = {None: 32, "exact": 32, "fast": 8}


@pytest.mark.parametrize(("fidelity", "n_gradient_samples"), PRESETS.items())
def test_a_fidelity_sets_the_gradient_samples_and_nothing_else(fidelity: Any, n_gradient_samples: int) -> None:
    options = ScoreOptions(fidelity=fidelity)
    assert options.n_gradient_samples(32) == n_gradient_samples
    assert options.changed() == ({} if fidelity is None else {"fidelity": fidelity})
    batch = torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    found = score(model, batch, proxy="zico", fidelity=fidelity)
    same = score(model, batch, proxy="zico", gradient_samples=n_gradient_samples)
    assert (found.value, found.n_gradient_samples) == (same.value, n_gradient_samples)
    assert (found.n_pattern_samples, found.options["fidelity"]) == (same.n_pattern_samples, fidelity or "exact")
