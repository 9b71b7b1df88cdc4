"""Every weight of a public network is observed or listed with a reason, and the network is left as it was."""

from __future__ import annotations

import warnings

from lswag_fast import score
from lswag_fast.errors import LswagWarning
from lswag_fast.passes.standard.coverage import WARN_BELOW
from public_networks import PUBLIC_NETWORKS, PublicNetwork, each_network
from support.snapshot import assert_unchanged, snapshot

SHOWN = 4  # pattern samples, so that a small batch needs no warning


@each_network()
def test_each_weight_is_observed_or_listed_and_the_network_is_left_as_it_was(net: PublicNetwork) -> None:
    model, batch = net.build()
    before = snapshot(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LswagWarning)  # of a coverage that is expected to be low
        found = score(model, batch, pattern_samples=SHOWN, **net.options)
    assert_unchanged(model, before)

    reasons = {skipped.name: skipped.reason for skipped in found.skipped}
    named = {layer.name for layer in found.layers} | reasons.keys()
    matrices = {name for name, parameter in model.named_parameters() if sum(size > 1 for size in parameter.shape) > 1}
    assert matrices - named == set()
    assert all(reasons.values())
    assert found.coverage is not None
    assert found.coverage >= net.coverage


def test_a_low_coverage_is_registered_with_its_reason() -> None:
    assert [net.name for net in PUBLIC_NETWORKS if net.coverage < WARN_BELOW and not net.reason] == []


def test_the_small_tier_has_forty_networks() -> None:
    assert sum(not net.slow for net in PUBLIC_NETWORKS) >= 40
