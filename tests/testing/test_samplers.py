"""The contract of samplers on each of ours."""

from __future__ import annotations

from lswag_fast.study.samplers import EvolutionSampler, RandomSampler, Sampler, SteadyStateSampler
from lswag_fast.testing import SamplerContract


class TestRandomSampler(SamplerContract):
    def make_sampler(self) -> Sampler:
        return RandomSampler(proposals_per_batch=4)


class TestEvolutionSampler(SamplerContract):
    def make_sampler(self) -> Sampler:
        return EvolutionSampler(population=6, parents=3, mutations=3, crossovers=2)


class TestSteadyStateSampler(SamplerContract):
    def make_sampler(self) -> Sampler:
        return SteadyStateSampler(population=6, proposals_per_batch=2)
