"""Samplers: which architectures to try next."""

from lswag_fast.study.samplers.evolution import EvolutionSampler
from lswag_fast.study.samplers.protocol import Proposal, ProposalBatch, Sampler
from lswag_fast.study.samplers.prune import PruneSampler
from lswag_fast.study.samplers.random import RandomSampler
from lswag_fast.study.samplers.registry import get_sampler, list_samplers, register_sampler, sampler_options
from lswag_fast.study.samplers.steady_state import SteadyStateSampler

__all__ = [
    "EvolutionSampler",
    "Proposal",
    "ProposalBatch",
    "PruneSampler",
    "RandomSampler",
    "Sampler",
    "SteadyStateSampler",
    "get_sampler",
    "list_samplers",
    "register_sampler",
    "sampler_options",
]
