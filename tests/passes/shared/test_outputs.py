"""Choosing the part of a model's outputs that holds the logits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score_many
from lswag_fast.errors import InputError
from lswag_fast.passes.shared.outputs import chosen_output, described, find_logits
from support.oracle import SHOWN

PART = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("outputs", "output"),
    [
        ((1, PART), 1),
        ((1, PART), -1),
        ([PART, 2], 0),
        ({"main": PART}, "main"),
        (SimpleNamespace(main=PART), "main"),
        ((1, (2, PART)), lambda outputs: outputs[1][1]),
        (PART, None),
    ],
)
def test_a_part_by_its_place_its_name_or_a_function(outputs: Any, output: Any) -> None:
    assert chosen_output(outputs, output) is PART


@pytest.mark.parametrize(
    ("outputs", "output", "message"),
    [
        ((1, 2), 2, "output=2: the model returned a tuple of 2"),
        ({"main": 1}, "logits", r"output='logits': the model returned a dict \(keys: main\)"),
        ((1, 2), "main", "output='main': the model returned a tuple of 2"),
        (None, 0, "output=0: the model returned None"),
        (PART, 0, "returned a tensor, of which nothing is to be chosen"),
    ],
)
def test_a_part_that_is_not_there(outputs: Any, output: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen_output(outputs, output)


def test_logits_are_the_tensor_or_called_so() -> None:
    for outputs in (PART, {"logits": PART}, SimpleNamespace(logits=PART)):
        assert find_logits(outputs) is PART
    for outputs in ((PART,), {"logits": 3}, None):
        assert find_logits(outputs) is None
    assert described([1, 2]) == "a list of 2"


class Features(nn.Module):
    """Returns its features beside the logits, as many classifiers do."""

    def __init__(self, pair: bool) -> None:
        super().__init__()
        self.body, self.head, self.pair = nn.Linear(5, 8), nn.Linear(8, 3), pair

    def forward(self, x: Tensor) -> Any:
        features = torch.relu(self.body(x))
        logits = self.head(features)
        return (features, logits) if self.pair else logits


def test_every_pass_takes_the_chosen_output() -> None:
    torch.manual_seed(0)
    plain, pair = Features(False), Features(True)
    pair.load_state_dict(plain.state_dict())
    batch = torch.randn(6, 5), torch.arange(6) % 3
    proxies = ["lswag", "snip", "grasp", "synflow", "jacov", "te_nas_ntk"]
    expected = score_many(plain, batch, proxies=proxies, pattern_samples=SHOWN)
    found = score_many(pair, batch, proxies=proxies, pattern_samples=SHOWN, output=-1)
    assert all(score.error is None for score in found.values()), found
    assert {name: score.value for name, score in found.items()} == {name: s.value for name, s in expected.items()}
