"""What every search space must do."""

from __future__ import annotations

import copy
import itertools
import json
import random
from typing import Any

import pytest
import torch

from lswag_fast.spaces import CountsParams, EntanglesWeights, SearchSpace, SharesWeights, Suggests, TakesTokens
from lswag_fast.spaces.traits import output_shape_of
from lswag_fast.study import Study
from lswag_fast.study.samplers import EvolutionSampler

N_DRAWN = 30


class _Answers:
    """Answers each choice as it was told."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, *_: Any, **__: Any) -> Any:
        """Return the answer to `name`."""
        self.asked.append(name)
        return self.answers[name]

    suggest_int = suggest_float = suggest_categorical


class SpaceContract:
    """Tests of a `SearchSpace`; subclass it and override `make_space`.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> class TestNasBench201(SpaceContract):
        ...     def make_space(self):
        ...         return NasBench201()
    """

    def make_space(self) -> SearchSpace:
        """Return a space, best one of small networks: some are built and run."""
        raise NotImplementedError

    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space under test."""
        return self.make_space()

    @pytest.fixture
    def archs(self, space: SearchSpace) -> list[Any]:
        """Architectures: drawn, mutated and crossed."""
        rng = random.Random(0)
        drawn = [space.sample(rng) for _ in range(N_DRAWN)]
        mutated = [space.mutate(arch, rng) for arch in drawn]
        return drawn + mutated + [space.crossover(a, b, rng) for a, b in zip(drawn, mutated[::-1], strict=True)]

    def test_it_has_the_members_of_a_space(self, space: SearchSpace) -> None:
        """The protocol asks for them."""
        assert isinstance(space, SearchSpace)
        assert space.name and space.size >= 1 and space.num_classes >= 1
        assert len(space.input_shape) == (1 if isinstance(space, TakesTokens) else 3)

    def test_the_generator_is_the_only_source_of_chance(self, space: SearchSpace) -> None:
        """Equal generators, equal architectures; the global ones are left alone."""

        def drawn() -> list[str]:
            rng = random.Random(7)
            a, b = space.sample(rng), space.sample(rng)
            return [space.encode(arch) for arch in (a, b, space.mutate(a, rng), space.crossover(a, b, rng))]

        random.seed(1)
        before = random.getstate(), torch.get_rng_state()
        assert drawn() == drawn()
        assert random.getstate() == before[0]
        assert torch.equal(torch.get_rng_state(), before[1])

    def test_the_text_of_an_architecture_is_canonical_json(self, space: SearchSpace, archs: list[Any]) -> None:
        """One line, and back to an architecture of the same text."""
        for arch in archs:
            text = space.encode(arch)
            json.loads(text)
            assert "\n" not in text
            assert space.encode(space.decode(text)) == text

    def test_the_choices_of_an_architecture_make_it_again(self, space: SearchSpace, archs: list[Any]) -> None:
        """Of a space that names them (`Suggests`): each is asked for, and no other."""
        if not isinstance(space, Suggests):
            pytest.skip("this space does not name its choices")
        for arch in archs:
            trial = _Answers(space.suggested(arch))
            assert space.encode(space.suggest(trial)) == space.encode(arch)
            assert sorted(trial.asked) == sorted(trial.answers)

    def test_parents_are_left_as_they_were(self, space: SearchSpace, archs: list[Any]) -> None:
        """A study breeds from the same parents again."""
        rng, before = random.Random(1), copy.deepcopy(archs)
        for a, b in itertools.pairwise(archs):
            space.mutate(a, rng)
            space.crossover(a, b, rng)
        assert archs == before

    def test_costs_are_those_of_the_network(self, space: SearchSpace, archs: list[Any]) -> None:
        """The number of parameters is exact; the listed counts hold it."""
        listed = set(space.n_params_values()) if isinstance(space, CountsParams) else None
        for arch in archs[:3]:
            n_params = space.n_params(arch)
            assert n_params == sum(p.numel() for p in space.build(arch).parameters())
            assert space.macs(arch) > 0
            assert listed is None or n_params in listed

    def test_networks_map_images_or_texts_to_outputs(self, space: SearchSpace, archs: list[Any]) -> None:
        """Images (B, C, H, W) to logits (B, num_classes) or what the space says, tokens (B, T) to (B, T, num_classes).

        Also with shared weights.
        """
        inputs, outputs = torch.randn(2, *space.input_shape), (2, *output_shape_of(space))
        if isinstance(space, TakesTokens):
            inputs, outputs = torch.randint(space.vocabulary, inputs.shape), (*inputs.shape, space.num_classes)
        shared = space.init_weights(0) if isinstance(space, SharesWeights) else None
        for weights in (None, shared)[: 1 + (shared is not None)]:
            with torch.no_grad():
                assert space.build(archs[0], weights).eval()(inputs).shape == outputs

    def test_a_cut_of_the_shared_weights_is_the_network(self, space: SearchSpace, archs: list[Any]) -> None:
        """Of a space whose shared weights can be trained: what `build` copies, and gradients through it."""
        if not isinstance(space, EntanglesWeights):
            pytest.skip("the shared weights of this space cannot be trained")
        shared = {name: weight.requires_grad_() for name, weight in space.init_weights(0).items()}
        for arch in [*space.extremes(), *archs[:3]]:
            cut, net = space.cut(arch, shared), space.build(arch, shared)
            assert {name for name, _ in net.named_parameters()} == set(cut)
            for name, parameter in net.named_parameters():
                assert torch.equal(parameter, cut[name]) and cut[name].requires_grad

    def test_the_extremes_have_the_fewest_and_the_most_parameters(self, space: SearchSpace, archs: list[Any]) -> None:
        """Of a space whose shared weights can be trained."""
        if not isinstance(space, EntanglesWeights):
            pytest.skip("the shared weights of this space cannot be trained")
        least, most = map(space.n_params, space.extremes())
        assert all(least <= space.n_params(arch) <= most for arch in archs)

    def test_a_study_searches_it(self, space: SearchSpace) -> None:
        """Asked and told, without an architecture twice."""
        study = Study(space, EvolutionSampler(population=4, parents=2, mutations=2, crossovers=1))
        n_trials = min(12, space.size)
        for _ in range(n_trials):
            trial = study.ask()
            study.tell(trial, float(trial.n_params))
        assert len({trial.arch_json for trial in study.trials}) == n_trials
