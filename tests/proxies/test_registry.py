"""Registering and listing proxies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from lswag_fast import ProxyInfo, list_proxies, register_proxy, score, score_many
from lswag_fast.errors import InputError
from lswag_fast.passes import get_pass
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.proxies import get_proxy, registry
from networks import NETWORKS
from support.oracle import SHOWN


@pytest.fixture(autouse=True)
def registered_before() -> Iterator[None]:
    before = dict(registry._REGISTRY)
    yield
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)


def smallest_layer(numbers: registry.Measurements, scale: float = 1.0) -> float:
    return scale * min(math.log(layer["sum_inv_sigma"]) for layer in numbers.of(StandardMeasurements).layers())


def register() -> ProxyInfo:
    return register_proxy("smallest", smallest_layer, needs={"standard": ["gradients"]}, reference="here")


def test_a_proxy_of_the_users_own_is_scored_and_listed() -> None:
    info = register()
    assert (info.name, info.higher_is_better, info.reference) == ("smallest", True, "here")
    assert info in list_proxies()
    model, batch = NETWORKS["mlp"].build()
    found = score(model, batch, proxy="smallest")
    assert found.value == min(layer.trainability for layer in found.layers)
    doubled = score(model, batch, proxy="smallest", proxy_options={"smallest": {"scale": 2.0}})
    assert doubled.value == 2 * found.value
    assert doubled.options["scale"] == 2.0


def test_it_shares_the_pass_of_others() -> None:
    register()
    model, batch = NETWORKS["mlp"].build()
    scores = score_many(model, batch, proxies=["smallest", "lswag", "swap"], pattern_samples=SHOWN)
    assert scores.passes == ("standard",)
    assert list(scores) == ["smallest", "lswag", "swap"]


def test_a_name_is_taken_once() -> None:
    register()
    with pytest.raises(InputError, match="'smallest' is already registered"):
        register()


@pytest.mark.parametrize("name", [5, "", "a,b", "a b", "a.b", "a:b", "-a", "2d", None])
def test_a_name_can_stand_in_options_lists_and_tables(name: Any) -> None:
    with pytest.raises(InputError, match="the name of a proxy is letters, digits, _ and -"):
        register_proxy(name, smallest_layer, needs={"standard": ["gradients"]})


def test_what_computes_is_a_function_and_its_needs_are_lists() -> None:
    with pytest.raises(InputError, match="proxy 'a': fn must be a function of measurements, got None"):
        register_proxy("a", None, needs={"standard": ["gradients"]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"proxy 'a': needs must be .*, got 'gradients'"):
        register_proxy("a", smallest_layer, needs={"standard": "gradients"})


def test_needs_are_checked() -> None:
    with pytest.raises(InputError, match="there is no pass 'thirdpass'; there are model, standard"):
        register_proxy("a", smallest_layer, needs={"thirdpass": []})
    with pytest.raises(InputError, match="needs 'colours' of the standard pass, which gives activation_codes, batch"):
        register_proxy("a", smallest_layer, needs={"standard": ["colours"]})


def test_an_option_decides_what_is_needed() -> None:
    def depth(numbers: registry.Measurements, of: str = "layers") -> float:
        return len(numbers["standard"].layers()) if of == "layers" else numbers["model"].n_params

    needs_by_option = {"of": {"parameters": {"model": ["params"]}}}
    register_proxy("depth", depth, needs={"standard": ["gradients"]}, needs_by_option=needs_by_option)
    model, batch = NETWORKS["mlp"].build()
    plain = score_many(model, batch, proxies=["depth"])
    other = score_many(model, batch, proxies=["depth"], proxy_options={"depth": {"of": "parameters"}})
    assert (plain.passes, other.passes) == (("standard",), ("model",))
    assert plain["depth"].value == len(NETWORKS["mlp"].observed)
    assert other["depth"].value == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("needs_by_option", "said"),
    [
        ({"of": {"x": {"thirdpass": []}}}, "there is no pass 'thirdpass'"),
        ({"of": {"x": {"standard": ["colours"]}}}, "proxy 'a' needs 'colours' of the standard pass"),
        ({"size": {"x": {"model": ["params"]}}}, "proxy 'a' has no option 'size'; it takes scale"),
    ],
)
def test_the_needs_of_options_are_checked(needs_by_option: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        register_proxy("a", smallest_layer, needs={"standard": ["gradients"]}, needs_by_option=needs_by_option)


def test_an_option_that_a_proxy_does_not_take() -> None:
    register()
    model, batch = NETWORKS["mlp"].build()
    with pytest.raises(InputError, match="proxy 'smallest' has no option 'size'; it takes scale"):
        score(model, batch, proxy="smallest", proxy_options={"smallest": {"size": 2.0}})
    with pytest.raises(InputError, match="proxy 'snip' has no option 'size'; it takes none"):
        score(model, batch, proxy="snip", proxy_options={"snip": {"size": 2.0}})


@pytest.mark.parametrize(
    ("proxy", "option", "said"),
    [
        ("vkdnw_single", "scalars", "vkdnw_single: scalars must be 'weights' or 'all', got 'some'"),
        ("zen", "batch_norm", "zen: batch_norm must be 'required' or 'optional', got 'some'"),
        ("zico", "sigma", "zico: sigma must be 'signed' or 'abs', got 'some'"),
        ("lswag", "combine", "lswag: combine must be 'layerwise', 'product' or 'log', got 'some'"),
    ],
)
def test_a_value_that_an_option_does_not_list(proxy: str, option: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        get_proxy(proxy).checked_options({option: "some"})


def test_an_unknown_name_suggests_the_nearest() -> None:
    model, batch = NETWORKS["mlp"].build()
    with pytest.raises(InputError, match="there is no proxy 'lswaq'; did you mean 'lswag'"):
        score(model, batch, proxy="lswaq")


def test_the_list_is_by_name_and_by_pattern() -> None:
    names = [info.name for info in list_proxies()]
    assert names == sorted(names)
    assert {"lswag", "snip", "nwot", "swap", "zico"} <= set(names)
    assert [info.name for info in list_proxies("*swap")] == ["reg_swap", "swap"]
    assert list_proxies("nothing*") == []


def test_each_says_what_it_needs_and_where_it_comes_from() -> None:
    for info in list_proxies():
        assert info.summary, info.name
        assert info.compute.__doc__, info.name
        for name, statistics in info.needs.items():
            assert statistics <= set(get_pass(name).statistics)


@pytest.mark.parametrize("raw", [0.0, -0.5, -3.0])
def test_a_logarithm_of_zero_or_less_is_no_score(raw: float) -> None:
    """sign(s) ln|s| would rank 0 above 0.5, and -0.5 above both."""
    info = register_proxy(
        f"logarithm_of_{raw}".replace(".", "_"), lambda measurements: raw, needs={"model": ["params"]}, log_scale=True
    )
    found = score(*NETWORKS["mlp"].build(), proxy=info.name)
    assert math.isnan(found.value)
    assert found.raw == raw
    assert "the logarithm, needs more than 0" in (found.error or "")
