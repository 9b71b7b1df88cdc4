"""What --sampler and --sampler-set name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lswag_fast.cli.sampler_choice import chosen_sampler, sampler_help
from lswag_fast.cli.values import assignment
from lswag_fast.errors import InputError
from lswag_fast.study.samplers import EvolutionSampler, list_samplers, registry

OWN = """
from dataclasses import dataclass
from lswag_fast.study.samplers import registry
from lswag_fast.study.samplers import EvolutionSampler

@dataclass(frozen=True)
class Greedy(EvolutionSampler):
    name = "greedy"
    parents: int = 1
"""
OPTIONS = ("population=12", "mutations=4", "crossovers=3")


def test_options_are_those_of_the_sampler() -> None:
    sampler = chosen_sampler("evolution", list(map(assignment, OPTIONS)))
    assert sampler == EvolutionSampler(population=12, mutations=4, crossovers=3)


def test_a_sampler_named_by_its_class() -> None:
    again = chosen_sampler("lswag_fast.study.samplers:EvolutionSampler", [assignment("parents=3")])
    assert again == EvolutionSampler(parents=3)


def test_a_sampler_of_the_users_own_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_sampler.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lswag_fast.study.samplers.registry._SAMPLERS", dict(registry._SAMPLERS))
    sampler = chosen_sampler("own_sampler:Greedy", [assignment("population=60")])
    assert (sampler.name, sampler.parents, sampler.population) == ("greedy", 1, 60)
    assert "greedy" in sampler_help()


def test_a_sampler_with_the_name_of_another_is_not_mistaken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nameless.py").write_text(OWN.replace('    name = "greedy"\n', "").replace("Greedy", "Nameless"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="nameless:Nameless is called 'evolution', as a registered sampler is"):
        chosen_sampler("nameless:Nameless", [])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("tpe", (), "--sampler: unknown sampler 'tpe'"),
        ("json:nothing", (), "--sampler: json:nothing"),
        ("json:dumps", (), "--sampler: a sampler is a dataclass with a name"),
        ("random", ("population=3",), "--sampler-set: sampler random has no option 'population'; it has "),
        ("evolution", ("population=x",), "--sampler-set: sampler evolution: population must be a whole number"),
        ("evolution", ("population=0",), "--sampler-set: population and parents must be at least 1"),
    ],
)
def test_a_mistake_names_its_option(name: str, options: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        chosen_sampler(name, list(map(assignment, options)))


def test_the_help_lists_every_sampler_with_its_options() -> None:
    text = sampler_help()
    for name in list_samplers():
        assert f"\n  {name} " in text
    assert "population=50, parents=10, mutations=25, crossovers=25, crossover_failures=2" in text
