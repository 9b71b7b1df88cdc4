"""The job of a search: an architecture's text -> the values of its proxies, here or in any other process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, SupportsFloat

import torch

from lswag_fast.errors import LswagError
from lswag_fast.spaces import SearchSpace, SharesWeights
from lswag_fast.study.latency import measure_ms
from lswag_fast.study.objective import SCORE

ScoreFunction = Callable[[torch.nn.Module, Any], SupportsFloat]
# Whatever a search is guided by, the layers of its best network are shown by the two parts of this one.
PROFILE_PROXY = "lswag"


@dataclass(frozen=True)
class Candidates:
    """Builds and scores candidates; can be pickled wherever its parts can, and then says the same elsewhere.

    All candidates are cut out of one set of weights, drawn once a process from the seed where the space shares them
    and `weights` are not given; else each is built with fresh weights from the same seed. torch's generator and its
    number of threads are afterwards what they were.

    Attributes:
        space: the search space.
        batch: `(inputs, targets)` as `score` takes it.
        proxies: names for `lswag_fast.score_many`; unused with a function.
        function: `function(model, batch)` -> score, in place of proxies.
        seed: of the weights and the score.
        n_threads: of torch, for each candidate; it decides the last bits of a score.
        score_options: further keywords of `score`.
        weights: shared weights to cut from.
    """

    space: SearchSpace
    batch: Any
    proxies: tuple[str, ...] = ()
    function: ScoreFunction | None = None
    seed: int = 0
    n_threads: int = 1
    score_options: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, torch.Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the weights drawn here: drawing them again is quicker than sending them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __call__(self, arch_json: str) -> dict[str, float]:
        """Return {proxy: value} of an architecture; raises whatever keeps it from having one."""
        with _threads(self.n_threads):
            model = self.build(self.space.decode(arch_json))
            if self.function is not None:
                return {SCORE: float(self.function(model, self.batch))}
            return self._values(model)

    def _values(self, model: torch.nn.Module) -> dict[str, float]:
        # The driver itself knows no score: here and in `profile` the two meet.
        from lswag_fast.scoring import score, score_many

        if len(self.proxies) == 1:  # raises the error itself
            value = score(model, self.batch, proxy=self.proxies[0], seed=self.seed, **self.score_options)
            return {self.proxies[0]: float(value)}
        scores = score_many(model, self.batch, proxies=self.proxies, seed=self.seed, **self.score_options)
        errors = [f"{name}: {scores[name].error}" for name in self.proxies if scores[name].error]
        if errors:
            raise LswagError("; ".join(errors))
        return {name: float(scores[name]) for name in self.proxies}

    def profile(self, arch: Any) -> list[dict[str, Any]]:
        """Return the `LayerScore` of each weight of an architecture as a dictionary."""
        from lswag_fast.scoring import score

        with _threads(self.n_threads):
            found = score(self.build(arch), self.batch, proxy=PROFILE_PROXY, seed=self.seed, **self.score_options)
        return [asdict(layer) for layer in found.layers]

    def latency_ms(self, arch: Any) -> float:
        """Return the measured time of one image in milliseconds."""
        with _threads(self.n_threads):
            return measure_ms(self.build(arch), self.space.input_shape)

    @cached_property
    def build(self) -> Callable[[Any], torch.nn.Module]:
        """What builds the network of an architecture."""
        return candidate_builder(self.space, self.weights, self.seed)


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def candidate_builder(
    space: SearchSpace, weights: Mapping[str, torch.Tensor] | None, seed: int
) -> Callable[[Any], torch.nn.Module]:
    """Return what builds a candidate.

    It cuts `weights`, or the space's shared weights drawn here from `seed`, or draws fresh ones from `seed` each time
    (torch's generator is left as it was).
    """
    if weights is None and isinstance(space, SharesWeights):
        weights = space.init_weights(seed)
    if weights is not None:
        return lambda arch: space.build(arch, weights)

    def build_fresh(arch: Any) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return space.build(arch)

    return build_fresh
