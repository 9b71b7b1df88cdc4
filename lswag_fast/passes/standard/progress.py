"""What an observed pass has found so far: it grows part by part, as if the batch had gone through at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from lswag_fast.errors import InputError
from lswag_fast.observe import ActivationCall, CaptureOptions, Observation, Skipped
from lswag_fast.passes.shared.checks import listed
from lswag_fast.passes.standard.coverage import Coverage
from lswag_fast.passes.standard.patterns import Activation, samples_for

_ADVICE = "score one batch, without chunk_size and gradient_samples"


class Progress:
    """What accumulates over the chunks of a batch, and over its samples with and without gradients.

    A chunk in which an activation has no elements, as that of an expert without rows, is one whose samples switch none
    of its neurons on, and where the data choose how many rows a sample has, V is that of the sample with the most. What
    else differs between chunks is refused, because the numbers would be others than those of the whole batch.

    Args:
        to_pack: of how many samples, the first ones, the signs of activations are packed.

    Attributes:
        n_packed: of how many they have been so far.
        pairs: of each call on a weight, by its number, the number of the one of `activations` that feeds it.
        n_nonfinite_losses: losses that are NaN or infinite.
    """

    def __init__(self, to_pack: int) -> None:
        self.n_packed = 0
        self.pairs: dict[int, int] = {}
        self.n_nonfinite_losses = 0
        self._to_pack = to_pack
        self._activations: dict[int, Activation] = {}
        self._skipped: dict[str, Skipped] = {}
        self._n_elements: dict[str, int] = {}
        self._unseen: dict[str, str] = {}
        self._route: tuple[tuple[int, str], ...] = ()
        self._weights: frozenset[str] | None = None
        self._sizes: dict[str, int | None] | None = None  # of each activation V, 0 without elements, None if skipped
        self._following_rows: set[str] = set()

    def next_packed(self, n_samples: int) -> int:
        """Of how many of the next chunk's samples the signs are packed."""
        return min(self._to_pack - self.n_packed, n_samples)

    def check_route(self, route: tuple[tuple[int, str], ...]) -> None:
        """Refuse a chunk that takes another way through the model than the one before.

        Its weights and activations are others, so that what is known of them is not that of all samples.

        Raises:
            InputError: names the weights that the one calls and the other does not.
        """
        if self._route and route != self._route:
            raise _other_calls({name for _, name in self._route} ^ {name for _, name in route})
        self._route = route

    @property
    def has_begun(self) -> bool:
        """Whether a part of the batch has been through."""
        return bool(self._route)

    def n_patterned(self, pattern_samples: int | Literal["auto"]) -> int:
        """S, as far as the activations so far can tell."""
        if pattern_samples != "auto":
            return pattern_samples
        largest = max((activation.n_neurons for activation in self._activations.values()), default=0)
        return min(samples_for(largest), self._to_pack) if largest else 0

    def add(self, observation: Observation, unreached: Sequence[Skipped], capture: CaptureOptions) -> None:
        """Take what a chunk left of what was captured; `unreached` are weights without a gradient.

        Raises:
            InputError: another set of weights or activations was observed, or an activation has other neurons.
        """
        skipped = {skip.name: skip for skip in (*observation.skipped, *unreached)}
        if capture.operands:
            self._check_weights(observation, skipped)
            self._n_elements |= observation.n_elements
            # What no gradient reached was seen: that it takes no part in the loss is a fact about the network.
            self._unseen |= {s.name: s.reason for s in observation.skipped if s.name in observation.n_elements}
        if capture.activations:
            self._check_activations(observation, skipped)
            self._add_activations(observation.activations)
            self.pairs = observation.pairs_among(sorted(self._activations))
        self.n_packed += capture.n_packed
        self._skipped |= skipped

    def _check_weights(self, observation: Observation, skipped: Mapping[str, Skipped]) -> None:
        weights = frozenset(weight.name for weight in observation.weights) - skipped.keys()
        if self._weights is not None and weights != self._weights:
            raise _differently_seen(self._weights ^ weights, {**self._skipped, **skipped})
        self._weights = weights

    def _check_activations(self, observation: Observation, skipped: Mapping[str, Skipped]) -> None:
        sizes: dict[str, int | None] = {name: None for name, skip in skipped.items() if skip.is_activation}
        sizes |= dict.fromkeys(sizes.keys() & observation.empty_activations, 0)
        sizes |= {call.name: call.n_neurons for call in observation.activations}
        self._following_rows |= {call.name for call in observation.activations if call.follows_rows}
        before = self._sizes
        if before is None:
            before = sizes
        elif sizes.keys() != before.keys():
            raise _other_calls(sizes.keys() ^ before.keys())
        self._sizes = {name: self._size(name, before[name], size, skipped) for name, size in sizes.items()}

    def _size(self, name: str, before: int | None, now: int | None, skipped: Mapping[str, Skipped]) -> int | None:
        """V of an activation with what this chunk has of it."""
        if before is None or now is None:
            if before or now:
                raise _differently_seen({name}, {**self._skipped, **skipped})
            return None
        if before != now and name not in self._following_rows:
            raise _differs(f"{name} has {before} neurons in one of them and {now} in another")
        return max(before, now)

    def _add_activations(self, calls: Sequence[ActivationCall]) -> None:
        for call in calls:
            if call.index in self._activations:
                self._activations[call.index].append(call, self.n_packed)
            else:
                self._activations[call.index] = Activation.of(call, self.n_packed)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation calls in whose outputs the samples are known, in order of execution."""
        return tuple(self._activations[index] for index in sorted(self._activations))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was not observed in any chunk, and why."""
        found = {activation.name for activation in self._activations.values()}
        return tuple(skip for skip in self._skipped.values() if skip.name not in found)

    @property
    def coverage(self) -> Coverage:
        """How much of the network was observed."""
        return Coverage(self._n_elements, self._unseen)


def _differs(what: str) -> InputError:
    return InputError(
        f"chunks and lists of batches need a model of which the same is seen in each of them, but {what}; {_ADVICE}"
    )


def _other_calls(names: AbstractSet[str]) -> InputError:
    others = f" ({listed(sorted(names))} not in all)" if names else ""
    return InputError(
        "chunks and lists of batches need a model that makes the same calls for each of them, and this one makes other "
        f"calls for other samples{others}; {_ADVICE}"
    )


def _differently_seen(names: AbstractSet[str], skipped: Mapping[str, Skipped]) -> InputError:
    """The error for weights or activations that are observed in some chunks, and skipped in others."""
    reason = skipped[min(names)].reason
    return _differs(f"{listed(sorted(names))} can be observed in some and not in others ({reason})")
