"""Recurrent layers and cells, run step by step as the linear calls that they amount to.

torch runs a whole LSTM, GRU or RNN as one call. Here the weight of the inputs is one linear call over all steps, and
the weight of the state, and that of a projection, one call at each step, so that they are shared weights like others.
Outputs are those of torch to rounding; dropout between layers draws what torch draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.operations.operation import CallObserver, Composite
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis, axes_of_size

State = tuple[Tensor, ...]
"""(N, H) hidden state, of an LSTM also the cell's."""

Step = Callable[[Tensor, Tensor, State], State]
"""(what the input says to the gates, what the state says to them, the state) -> the next state."""


class Weights(NamedTuple):
    """Of one direction of one layer."""

    of_input: Tensor
    of_state: Tensor
    input_bias: Tensor | None = None
    state_bias: Tensor | None = None
    projection: Tensor | None = None


def _lstm_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    entry, forget, new, out = (from_input + from_state).chunk(4, -1)
    cell = forget.sigmoid() * state[1] + entry.sigmoid() * new.tanh()
    return out.sigmoid() * cell.tanh(), cell


def _gru_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    reset_x, update_x, new_x = from_input.chunk(3, -1)
    reset_h, update_h, new_h = from_state.chunk(3, -1)
    new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
    return (new + (update_x + update_h).sigmoid() * (state[0] - new),)


def _tanh_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    return ((from_input + from_state).tanh(),)


def _relu_step(from_input: Tensor, from_state: Tensor, state: State) -> State:
    return ((from_input + from_state).relu(),)


Candidates = Callable[[int], AxisCandidates]
"""Where the samples may lie if an axis, the argument, is that of the sequences."""


def _candidates(n_sequences: int, n_samples: int, known: Place | None) -> Candidates:
    """The samples among `n_sequences` sequences, whose place is `known` or else possible by size."""

    def candidates(axis: int) -> AxisCandidates:
        if isinstance(known, SampleAxis):
            return AxisCandidates((SampleAxis(axis, known.outer, known.inner),), certain=True)
        return AxisCandidates(axes_of_size(axis, n_sequences, n_samples), certain=False)

    return candidates


def _run_direction(
    observer: CallObserver, x: Tensor, state: State, weights: Weights, step: Step, candidates: Candidates
) -> tuple[Tensor, State]:
    """Run one direction over the steps of x (T, N, I): the hidden states (T, N, H) and the last state."""
    gates = observer.inner_call(F.linear, (x, weights.of_input, weights.input_bias), candidates(1))
    state = tuple(part.to(gates.dtype) for part in state)  # autocast may have chosen another
    hidden = []
    for from_input in gates:
        arguments = (state[0], weights.of_state, weights.state_bias)
        state = step(from_input, observer.inner_call(F.linear, arguments, candidates(0)), state)
        if weights.projection is not None:
            state = (observer.inner_call(F.linear, (state[0], weights.projection, None), candidates(0)), *state[1:])
        hidden.append(state[0])
    return torch.stack(hidden), state


def _run_layer(
    observer: CallObserver,
    x: Tensor,
    states: Sequence[State],
    weights: Sequence[Weights],
    step: Step,
    candidates: Candidates,
) -> tuple[Tensor, list[State]]:
    """Run one layer, with a second direction from the end if there are weights for it."""
    outputs, last = [], []
    for backwards, (state, of_direction) in enumerate(zip(states, weights, strict=True)):
        steps = x.flip(0) if backwards else x
        hidden, state = _run_direction(observer, steps, state, of_direction, step, candidates)
        outputs.append(hidden.flip(0) if backwards else hidden)
        last.append(state)
    return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], last


def _observe_layers(step: Step) -> Composite:
    """The runner of `torch.lstm` and its kin, but for packed sequences."""

    def observe(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if kwargs or isinstance(args[3], (list, tuple)):  # (data, sizes of the steps, state, weights, ...)
            return NotImplemented
        x, given, flat, has_biases, n_layers, dropout, train, bidirectional, batch_first = args
        n_directions = 2 if bidirectional else 1
        weights = _grouped(flat, has_biases, n_layers * n_directions)
        given = (given,) if isinstance(given, Tensor) else tuple(given)
        states = list(zip(*given, strict=True))
        place = observer.place_of(x)
        if place is not None and place.axis != (0 if batch_first else 1):
            return NotImplemented
        x = x.transpose(0, 1) if batch_first else x
        candidates = _candidates(x.shape[1], observer.n_samples, place)
        last: list[State] = []
        for layer in range(n_layers):
            directions = slice(layer * n_directions, (layer + 1) * n_directions)
            x = F.dropout(x, dropout, train and layer > 0)
            x, of_layer = _run_layer(observer, x, states[directions], weights[directions], step, candidates)
            last += of_layer
        finals = (torch.stack(parts) for parts in zip(*last, strict=True))
        return (x.transpose(0, 1) if batch_first else x, *finals)

    return observe


def _grouped(flat: Sequence[Tensor], has_biases: bool, n_groups: int) -> list[Weights]:
    """Group a flat list of weights by layer and direction."""
    size = len(flat) // n_groups
    groups = [flat[k * size : (k + 1) * size] for k in range(n_groups)]
    if has_biases:
        return [Weights(*group) for group in groups]
    return [Weights(group[0], group[1], projection=group[2] if size > 2 else None) for group in groups]


def _observe_cell(step: Step) -> Composite:
    """The runner of `torch.lstm_cell` and its kin."""

    def observe(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if kwargs:
            return NotImplemented
        x, given, *weights = args
        of = Weights(*weights)
        from_input = observer.inner_call(F.linear, (x, of.of_input, of.input_bias))
        state = (given,) if isinstance(given, Tensor) else tuple(given)
        from_state = observer.inner_call(F.linear, (state[0], of.of_state, of.state_bias))
        following = step(from_input, from_state, tuple(part.to(from_input.dtype) for part in state))
        return following if len(following) > 1 else following[0]

    return observe


RECURRENT: dict[Callable[..., Any], Composite] = {
    torch.lstm: _observe_layers(_lstm_step),
    torch.gru: _observe_layers(_gru_step),
    torch.rnn_tanh: _observe_layers(_tanh_step),
    torch.rnn_relu: _observe_layers(_relu_step),
    torch.lstm_cell: _observe_cell(_lstm_step),
    torch.gru_cell: _observe_cell(_gru_step),
    torch.rnn_tanh_cell: _observe_cell(_tanh_step),
    torch.rnn_relu_cell: _observe_cell(_relu_step),
}
"""The recurrent functions of torch."""
