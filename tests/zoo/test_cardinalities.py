"""Cardinalities of public networks, against distinct patterns counted in the outputs of their activation modules."""

from __future__ import annotations

import warnings

import pytest
import torch

from lswag_fast import reference, score
from lswag_fast.errors import LswagWarning
from public_networks import PUBLIC_NETWORKS, PublicNetwork
from support.oracle import module_activations

SHOWN = 4  # pattern samples
# Networks whose activations are all modules, in a chain in which each feeds a weight.
CHAINS = ("torchvision/mobilenet_v2", "torchvision/mnasnet0_5", "torchvision/vit")


@pytest.mark.parametrize("net", [net for net in PUBLIC_NETWORKS if net.name in CHAINS], ids=lambda net: net.name)
def test_cardinality_is_the_number_of_distinct_patterns(net: PublicNetwork) -> None:
    model, batch = net.build(torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LswagWarning)
        layers = score(model, batch, pattern_samples=SHOWN, **net.options).layers
    by_place = {int(layer.activation.rpartition("@")[2]): layer.cardinality for layer in layers if layer.activation}
    counted = [len(reference.neuron_patterns(output, SHOWN)) for output in module_activations(model, batch[0])]
    found = [by_place[place] for place in sorted(by_place)]
    assert len(found) >= len(counted) - 1  # the last may feed no weight
    assert found == counted[: len(found)]
