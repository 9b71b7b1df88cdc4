"""Which tensors a call writes into, by the conventions of torch's names."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.writes import written_tensors

X, Y = torch.zeros(2), torch.ones(2)


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "written"),
    [
        (torch.add, (X, Y), {}, []),
        (torch.add, (X, Y), {"out": Y}, [Y]),
        (Tensor.add_, (X, Y), {}, [X]),
        (Tensor.__iadd__, (X, Y), {}, [X]),
        (Tensor.__add__, (X, Y), {}, []),
        (Tensor.requires_grad_, (X,), {"requires_grad": False}, []),
        (Tensor.__setitem__, (X, 0, Y), {}, [X]),
        (Tensor.__getitem__, (X, 0), {}, []),
        (torch._foreach_mul_, ([X, Y], 2.0), {}, [X, Y]),
        (nn.init.normal_, (), {"tensor": X, "mean": 0.0}, [X]),
        (F.embedding, (X, Y), {}, []),
        (F.embedding, (X, Y, None, 0.0), {}, [Y]),
        (F.embedding, (X, Y), {"max_norm": 1.0}, [Y]),
        (F.embedding_bag, (X, Y, None, 1.0), {}, [Y]),
        (F.embedding_bag, (X,), {"weight": Y, "max_norm": 1.0}, [Y]),
    ],
)
def test_written_tensors(function, args, kwargs, written) -> None:
    assert sorted(map(id, written_tensors(function, args, kwargs))) == sorted(map(id, written))
