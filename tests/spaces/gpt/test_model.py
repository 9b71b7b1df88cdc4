"""The decoder of the space: what a token sees."""

from __future__ import annotations

import torch

from lswag_fast.spaces.gpt.model import GptNet


def test_a_token_sees_none_after_it() -> None:
    torch.manual_seed(0)
    model = GptNet(16, [(2, 2), (4, 3)], length=6, vocabulary=10).double()
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    changed = tokens.clone()
    changed[0, 3] = 9
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    assert torch.allclose(before[:, :3], after[:, :3], rtol=1e-12)
    assert not torch.allclose(before[:, 4], after[:, 4])
