"""Recurrent networks: layers, stacks in both directions, and cells that the network steps itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network

WIDTH = 8


class Recurrent(nn.Module):
    """An LSTM and two linear layers after it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, WIDTH, batch_first=True)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.inner(self.lstm(x)[0][:, -1])))


@network("lstm", "recurrent", observed=("lstm.weight_ih_l0", "lstm.weight_hh_l0", "inner.weight", "head.weight"))
def lstm() -> Made:
    return Recurrent(), torch.randn(6, 4, 5), labels(6)


class Stack(nn.Module):
    """Two layers of a GRU in both directions, time first, on as many steps as samples."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.gru = nn.GRU(WIDTH, 4, num_layers=2, bidirectional=True)
        self.head = nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        steps = F.gelu(self.inner(x)).transpose(0, 1)
        return self.head(self.gru(steps)[0].mean(0))


@network(
    "gru_stack",
    "recurrent",
    "ambiguous",
    observed=(
        "inner.weight",
        *(f"gru.weight_{part}_l{k}{side}" for k in (0, 1) for side in ("", "_reverse") for part in ("ih", "hh")),
        "head.weight",
    ),
)
def gru_stack() -> Made:
    return Stack(), torch.randn(6, 6, 5), labels(6)


class Cell(nn.Module):
    """An LSTM cell over the columns of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(6, WIDTH)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for column in x.mean(1).unbind(-1):
            state = self.cell(column, state)
        return self.head(F.relu(self.inner(state[0])))


@network("lstm_cell", "recurrent", observed=("cell.weight_ih", "cell.weight_hh", "inner.weight", "head.weight"))
def lstm_cell() -> Made:
    return Cell(), torch.randn(5, 3, 6, 7), labels(5)
