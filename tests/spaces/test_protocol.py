"""The example of the protocol's documentation runs, and both it and AutoFormer satisfy the protocol."""

import random
import textwrap
from typing import ClassVar

import pytest
import torch

from lswag_fast import spaces
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer, CountsParams, NasBench201, SearchSpace, SharesWeights, check_space, protocol


def documented_space():
    lines = protocol.__doc__.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    import json"))
    names = {}
    exec(textwrap.dedent("\n".join(lines[start:])), names)
    return names["Mlp"]()


def test_documented_example_is_a_search_space():
    space, rng = documented_space(), random.Random(0)
    assert isinstance(space, SearchSpace)
    assert not isinstance(space, SharesWeights)
    arch = space.mutate(space.crossover(space.sample(rng), space.sample(rng), rng), rng)
    assert space.decode(space.encode(arch)) == arch
    net = space.build(arch)
    assert net(torch.zeros(2, *space.input_shape)).shape == (2, space.num_classes)
    assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
    assert space.macs(arch) < space.n_params(arch)


def test_autoformer_is_a_search_space_that_shares_weights():
    space = AutoFormer("tiny")
    assert isinstance(space, SearchSpace)
    assert isinstance(space, SharesWeights)
    assert isinstance(space, CountsParams)
    assert not isinstance(object(), SearchSpace)


def test_get_by_name():
    transformers = ("autoformer-tiny", "autoformer-small", "autoformer-base")
    cells = ("nasbench101", "nasbench201", "transnas-micro", "transnas-macro", "darts", "darts-imagenet")
    assert spaces.names() == (*transformers, *cells, "proxylessnas", "burgerformer", "flexibert", "gpt")
    for name in spaces.names():
        assert spaces.get(name).name == name
    assert spaces.get("autoformer-base", image_size=32, patch_size=4, num_classes=10).input_shape == (3, 32, 32)
    with pytest.raises(SpaceError, match="there is no space 'resnet'; known are autoformer-tiny"):
        spaces.get("resnet")
    with pytest.raises(SpaceError, match=r"there is no space \['darts'\]; "):
        spaces.get(["darts"])
    assert spaces.options(["darts"]) == ()
    with pytest.raises(SpaceError, match="depth: cannot be set for autoformer-tiny"):
        spaces.get("autoformer-tiny", depth=3)


class Sampled:
    name = "sampled"

    def sample(self, rng):
        return {}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("nasbench201", r"found the name 'nasbench201'; spaces.get\('nasbench201'\) makes it"),
        (NasBench201, r"found the class NasBench201; pass NasBench201\(\.\.\.\)"),
        (
            Sampled(),
            "Sampled is not a search space: it lacks 'input_shape', 'num_classes', 'size', 'mutate', 'crossover'",
        ),
        (None, "NoneType is not a search space"),
    ],
)
def test_what_is_no_space_is_named_with_what_it_lacks(space, message):
    with pytest.raises(SpaceError, match=message):
        check_space(space)


def test_a_space_of_ones_own_is_one():
    check_space(documented_space())


class RandomChoices:
    """Answers by chance. The same name always has the same choices, as Optuna wants it, also between trials."""

    known: ClassVar[dict] = {}

    def __init__(self, space, seed):
        self.space, self.rng, self.made = space, random.Random(seed), {}

    def suggest_categorical(self, name, choices):
        assert self.known.setdefault((self.space, name), tuple(choices)) == tuple(choices)
        assert name not in self.made
        self.made[name] = self.rng.choice(choices)
        return self.made[name]


@pytest.mark.parametrize("name", ["nasbench101", "transnas-macro", "darts"])
def test_every_choice_is_an_architecture_and_every_drawn_one_is_chosen(name):
    space, rng = spaces.get(name), random.Random(1)
    for seed in range(60):
        trial = RandomChoices(name, seed)
        arch = space.suggest(trial)
        assert space.decode(space.encode(arch)) == arch
        answers = space.suggested(arch)
        assert space.suggest(Answers(answers)) == arch
        drawn = space.sample(rng)
        assert space.suggest(Answers(space.suggested(drawn))) == drawn


class Answers:
    def __init__(self, answers):
        self.answers = answers

    def suggest_categorical(self, name, choices):
        assert self.answers[name] in choices
        return self.answers[name]


def test_cells_that_no_choice_makes_are_refused():
    edges = [["none", 0], ["skip_connect", 1]] * 4
    with pytest.raises(SpaceError, match="normal: node 2 reads a node twice or `none`"):
        spaces.get("darts").suggested({"normal": edges, "reduce": edges})
