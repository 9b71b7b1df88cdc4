"""Following calls that are not the model's."""

from __future__ import annotations

import torch
from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.observe import CaptureOptions, observe
from lswag_fast.observe.samples.axis import SampleAxis

B = 4


def test_a_loss_is_followed_with_its_targets() -> None:
    model, inputs, targets = nn.Linear(5, 3), torch.randn(B, 5), torch.randn(B, 3)
    with observe(model, Batch(inputs, targets, B), CaptureOptions(0)) as observation:
        outputs = observation.run()
        with observation.following(targets):
            losses = (outputs - targets).square().mean(1)
            shared = losses - targets.mean()
        flow = observation._mode.flow
        assert flow.place_of(targets) == flow.place_of(losses) == SampleAxis(0)
        assert observation.mixing_calls([losses], lambda outputs, targets: []) == ()
        assert observation.mixing_calls([shared], lambda outputs, targets: []) == ("mean",)
    assert torch._C._len_torch_function_stack() == 0
