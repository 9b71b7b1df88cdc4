"""What every search space must do."""

from __future__ import annotations

import copy
import itertools
import json
import random
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import (
    CountsParams,
    EntanglesWeights,
    OffersSupernet,
    SearchSpace,
    SharesWeights,
    Suggests,
    TakesTokens,
    TellsIsomorphic,
)
from lswag_fast.spaces.supernets import without
from lswag_fast.spaces.traits import output_shape_of
from lswag_fast.study import Study
from lswag_fast.study.samplers import EvolutionSampler

N_DRAWN = 30
N_CELLS = 300
"""Architectures that are looked at for two that are the same function."""
N_FUNCTIONS = 3
"""Such pairs whose networks are built."""
_GAIN = 1.3  # not 1, so that a convolution is neither the mean nor the identity


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


def _inputs(space: SearchSpace) -> Tensor:
    """Two samples that the networks take."""
    if isinstance(space, TakesTokens):
        return torch.randint(space.vocabulary, (2, *space.input_shape))
    return torch.randn(2, *space.input_shape)


def _outputs_when_drawn_alike(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network gives in float64 and eval mode when all its layers of a shape have the same weights.

    Within a weight all numbers are equal, and scales are 1, biases 0: then it does not matter which of two layers of a
    kind is which, in what order channels lie side by side, and what a layer makes of zeros.
    """
    network = network.double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.fill_(_GAIN * parameter.shape[0] / parameter.numel())
            else:
                parameter.fill_(0 if name.endswith("bias") else 1)
        outputs: Tensor = network(inputs.double() if inputs.is_floating_point() else inputs)
    return outputs


def _assert_equal_outputs(one: nn.Module, other: nn.Module, inputs: Tensor) -> None:
    first, second = (_outputs_when_drawn_alike(network, inputs) for network in (one, other))
    # float64 sums in another order
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9 * float(first.abs().max()))


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
        inputs, outputs = _inputs(space), (2, *output_shape_of(space))
        if isinstance(space, TakesTokens):
            outputs = (*inputs.shape, space.num_classes)
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
            if hasattr(space, "entangled"):
                own = dict(space.entangled(arch, shared).named_parameters())
                assert own.keys() == cut.keys()
                assert all(torch.equal(own[name], cut[name]) and own[name].requires_grad for name in cut)

    def test_the_extremes_have_the_fewest_and_the_most_parameters(self, space: SearchSpace, archs: list[Any]) -> None:
        """Of a space whose shared weights can be trained."""
        if not isinstance(space, EntanglesWeights):
            pytest.skip("the shared weights of this space cannot be trained")
        least, most = map(space.n_params, space.extremes())
        assert all(least <= space.n_params(arch) <= most for arch in archs)

    def test_the_same_function_has_one_text_and_one_value(self, space: SearchSpace) -> None:
        """Of a space that tells isomorphic architectures: networks of one text give the same, drawn alike."""
        if not isinstance(space, TellsIsomorphic):
            pytest.skip("this space does not tell which architectures are the same function")
        rng, found = random.Random(2), dict[str, dict[str, Any]]()
        for _ in range(N_CELLS):
            arch = space.sample(rng)
            before, text = copy.deepcopy(arch), space.encode(arch)
            function = space.canonical(arch)
            assert isinstance(function, str) and function == space.canonical(space.decode(text)) and arch == before
            found.setdefault(function, {})[text] = arch
        several = [list(archs.values()) for archs in found.values() if len(archs) > 1]
        for one, other, *_ in several[:N_FUNCTIONS]:
            _assert_equal_outputs(space.build(one), space.build(other), _inputs(space))
        study = Study(space, "random")
        for _ in range(min(12, len(found))):
            trial = study.ask()
            study.tell(trial, float(trial.n_params))
        assert len({space.canonical(trial.arch) for trial in study.trials}) == len(study.trials)

    def test_removals_lead_from_the_supernet_to_an_architecture(self, space: SearchSpace) -> None:
        """Of a space that offers supernets: each is built, has the costs that it says, and one path is the network."""
        if not isinstance(space, OffersSupernet):
            pytest.skip("this space offers no supernet")
        rng, inputs, alive = random.Random(3), _inputs(space), {edge: list(ops) for edge, ops in space.edges.items()}
        with torch.no_grad():
            assert space.supernet(alive).eval()(inputs).shape == (2, *output_shape_of(space))
        while groups := space.removals(alive):
            assert all(op in alive[edge] for group in groups for edge, op in group) and all(groups)
            with pytest.raises(SpaceError):
                space.path(alive)
            assert space.supernet_costs(alive)[0] == sum(p.numel() for p in space.supernet(alive).parameters())
            alive = without(alive, *(rng.choice(group) for group in groups))
        arch = space.path(alive)
        assert space.encode(space.decode(space.encode(arch))) == space.encode(arch)
        assert space.supernet_costs(alive) == (space.n_params(arch), space.macs(arch))
        _assert_equal_outputs(space.supernet(alive), space.build(arch), inputs)

    def test_a_dead_edge_is_refused_by_its_name(self, space: SearchSpace) -> None:
        """Of a space that offers supernets: an edge that has lost all its operations."""
        if not isinstance(space, OffersSupernet):
            pytest.skip("this space offers no supernet")
        edge, *_ = space.edges
        dead = {name: [] if name == edge else list(ops) for name, ops in space.edges.items()}
        for asked in (space.supernet, space.supernet_costs, space.removals, space.path):
            with pytest.raises(SpaceError, match=re.escape(edge)):
                asked(dead)

    def test_a_study_searches_it(self, space: SearchSpace) -> None:
        """Asked and told, without an architecture twice."""
        study = Study(space, EvolutionSampler(population=4, parents=2, mutations=2, crossovers=1), keep_isomorphic=True)
        n_trials = min(12, space.size)
        for _ in range(n_trials):
            trial = study.ask()
            study.tell(trial, float(trial.n_params))
        assert len({trial.arch_json for trial in study.trials}) == n_trials
