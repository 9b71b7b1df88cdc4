"""Activation patterns of a pass: how many samples they use, and how many of them are distinct."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.errors import InputError, warn
from lswag_fast.observe import ActivationCall

WORD_BITS = 64
AUTO_LIMIT = 32
"""Most samples packed for pattern_samples="auto": enough for 2^30 neurons in one activation."""


def samples_for(n_neurons: int) -> int:
    """Return S for the largest activation's V neurons: ceil(log2 V) + 2, so that 2^S is just above V.

    Fewer bits merge neurons that differ, far more make every neuron distinct; either way the cardinality says little
    about the network. The paper does not name S.

    Example:
        >>> samples_for(1000)
        12
    """
    return math.ceil(math.log2(n_neurons)) + 2


def samples_to_pack(pattern_samples: int | Literal["auto"], n_samples: int, chunk_size: int | None) -> int:
    """How many samples to pack in the forward pass, when V and with it S may not be known yet."""
    if pattern_samples == "auto":
        return min(n_samples, AUTO_LIMIT)
    if pattern_samples > WORD_BITS and chunk_size is not None and chunk_size < pattern_samples:
        raise InputError(
            f"pattern_samples {pattern_samples} > {WORD_BITS} cannot be collected over chunks of {chunk_size}; "
            f"use chunk_size >= {pattern_samples} or fewer pattern samples"
        )
    return pattern_samples


@dataclass
class Activation:
    """One activation call over all chunks of a batch: V, the packed signs (V, W) so far, and the agreements (B, B) of
    all samples; None for what was not asked for, and agreements do not reach over chunks.

    V grows where the data choose how many rows a sample has: it is that of the sample with the most rows. The rows of a
    sample come in their order, so that the neurons of a further row are the last ones.
    """

    index: int
    name: str
    n_neurons: int
    words: Tensor
    agreements: Tensor | None = None

    @classmethod
    def of(cls, call: ActivationCall, n_before: int = 0) -> Activation:
        """What the first chunk with elements found, after `n_before` packed samples that switched nothing on."""
        words = call.resolved_words
        words = words << n_before if n_before else words
        return cls(call.index, call.name, call.n_neurons, words, call.resolved_agreements)

    def append(self, call: ActivationCall, n_before: int) -> None:
        """Add the samples of a further chunk as bits above those of the `n_before` packed so far."""
        more = call.resolved_words << n_before
        shape = [max(sizes) for sizes in zip(self.words.shape, more.shape, strict=True)]
        self.words = _padded(self.words, shape)
        self.words |= _padded(more, shape)
        self.n_neurons = max(self.n_neurons, call.n_neurons)
        self.agreements = call.resolved_agreements  # of the whole batch, if this is more than a chunk


def _padded(words: Tensor, shape: Sequence[int]) -> Tensor:
    """Words (V, W) with zeros after them, up to a shape."""
    if words.shape == tuple(shape):
        return words
    further = [size - there for size, there in zip(shape, words.shape, strict=True)]
    return F.pad(words, (0, further[1], 0, further[0]))


class Patterns:
    """The activations of a pass in order of execution, and their cardinalities (Eq. 7, 8 of the paper).

    `pairs` gives of each call on a weight the activation call that feeds it, both by their number in the pass. With
    `pattern_samples` None nothing was packed, and there are no cardinalities.
    """

    def __init__(
        self,
        activations: Sequence[Activation],
        pattern_samples: int | Literal["auto"] | None,
        n_samples: int,
        pairs: Mapping[int, int] | None = None,
    ) -> None:
        self.activations = tuple(activations)
        self._places = {activation.index: place for place, activation in enumerate(self.activations)}
        self._pairs = pairs or {}
        if pattern_samples is None:
            self.n_samples = 0
        else:
            self.n_samples = pattern_samples if pattern_samples != "auto" else self._automatic(n_samples)
        self._counts: dict[int, int] = {}

    def _automatic(self, n_samples: int) -> int:
        largest = max((a.n_neurons for a in self.activations), default=0)
        wanted = samples_for(largest) if largest else 1
        if wanted > AUTO_LIMIT:
            raise InputError(
                f"an activation has {largest} neurons, for which the patterns want {wanted} samples; "
                f"only {AUTO_LIMIT} are packed for pattern_samples='auto': pass the number you want"
            )
        if wanted > n_samples:
            warn(
                f"the batch of {n_samples} is smaller than the {wanted} samples that the patterns of the largest "
                "activation want; cardinalities saturate: use a larger batch, or pass pattern_samples to accept it"
            )
        return min(wanted, n_samples)

    def feeding(self, weight_call: int) -> int | None:
        """Position in `activations` of the one that a weight is paired with, by the number of its first call.

        (On NAS-Bench-201 the activation before a weight reached a Spearman of 0.886 where the one after reached 0.839.
        By order of execution rather than by the data, 0.2 % of the weights there are paired otherwise, and the Spearman
        is the same to four digits: bench/results/correlation/pairing.csv. On Autoformer both agree.)
        """
        return self._places.get(self._pairs.get(weight_call, -1))

    def cardinality(self, activation: int) -> int:
        """Psi: distinct neuron patterns of the activation at this position of `activations`."""
        if activation not in self._counts:
            self._counts[activation] = self.union_cardinality([activation])
        return self._counts[activation]

    def union_cardinality(self, activations: Iterable[int]) -> int:
        """Distinct neuron patterns of several activations taken together."""
        words = [self.activations[a].words for a in sorted(set(activations))]
        if not words or self.n_samples == 0:
            return 0
        # One that has elements for none of the packed samples has no words yet.
        width = max(-(-self.n_samples // WORD_BITS), *[w.shape[1] for w in words])
        return kernels.count_distinct([_padded(w, (len(w), width)) for w in words], self.n_samples)
