"""Samplers by name, their options, and samplers of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.samplers import (
    EvolutionSampler,
    Proposal,
    ProposalBatch,
    RandomSampler,
    get_sampler,
    list_samplers,
    register_sampler,
    registry,
    sampler_options,
)
from lswag_fast.study.study import Study
from study.toy_space import ToySpace


@dataclass(frozen=True)
class Greedy(EvolutionSampler):
    name: ClassVar[str] = "greedy"
    parents: int = 1


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_SAMPLERS", dict(registry._SAMPLERS))
    yield


def test_samplers_by_name() -> None:
    assert get_sampler("random") == RandomSampler()
    own = EvolutionSampler(parents=5)
    assert get_sampler(own) is own
    with pytest.raises(InputError, match="unknown sampler 'tpe'; choose from evolution, prune, random, steady_state"):
        get_sampler("tpe")


def test_options_are_the_fields() -> None:
    wanted = {"population": 50, "parents": 10, "mutations": 25, "crossovers": 25, "crossover_failures": 2}
    assert sampler_options("evolution") == wanted
    assert get_sampler("evolution", parents=3) == EvolutionSampler(parents=3)
    with pytest.raises(InputError, match="sampler evolution has no option 'size'; it has population, parents"):
        get_sampler("evolution", size=3)
    with pytest.raises(InputError, match="options belong to a sampler given by name"):
        get_sampler(RandomSampler(), parents=3)


@pytest.mark.usefixtures("own_registry")
def test_a_sampler_of_ones_own_is_known_to_a_study() -> None:
    assert register_sampler(Greedy) is Greedy
    assert "greedy" in list_samplers()
    assert Study(ToySpace(), "greedy").settings.sampler.name == "greedy"
    with pytest.raises(InputError, match="'greedy' is already registered"):
        register_sampler(Greedy)


@pytest.mark.usefixtures("own_registry")
def test_what_is_no_sampler_is_refused() -> None:
    @dataclass(frozen=True)
    class WithoutDefault:
        size: int
        name: ClassVar[str] = "without_default"

        def propose(self, *arguments: Any) -> ProposalBatch:
            return ProposalBatch([])

    with pytest.raises(InputError, match="its option 'size' needs a default"):
        register_sampler(WithoutDefault)
    with pytest.raises(InputError, match="a sampler is a dataclass with a name and a method propose"):
        register_sampler(int)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [("evolution", {"parents": 2.0}), ("evolution", {"population": "x"}), ("random", {"proposals_per_batch": True})],
)
def test_an_option_of_another_kind_is_refused_by_name(sampler: str, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=f"sampler {sampler}: {name} must be a whole number"):
        get_sampler(sampler, **options)


class Proposing:
    """Proposes what a test gives it."""

    name = "proposing"
    adaptive = False
    n_leaders = 0

    def __init__(self, proposals: Any) -> None:
        self._proposals = proposals

    def propose(self, pool: Any, history: Any, memory: Any) -> Any:
        return self._proposals(pool)


def twice(pool: Any) -> ProposalBatch:
    return ProposalBatch([Proposal(pool.draw(), "random")] * 2)


@pytest.mark.parametrize(
    ("proposals", "message"),
    [
        (lambda pool: None, "proposed nothing"),
        (lambda pool: ProposalBatch([]), "proposed nothing"),
        (twice, "proposed 2 architectures, 1 of them different, and took 1 from the pool"),
    ],
)
def test_a_batch_that_no_sampler_may_propose_is_refused(proposals: Any, message: str) -> None:
    study = Study(ToySpace(), Proposing(proposals))
    with pytest.raises(InputError, match=message):
        study.ask()
    assert study.trials == ()
