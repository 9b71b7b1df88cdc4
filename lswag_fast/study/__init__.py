"""Studies: trials, samplers, objectives and budgets. Knows spaces and a scoring callable, nothing else."""

from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.samplers import Proposal, ProposalBatch, Sampler, get_sampler, list_samplers, register_sampler
from lswag_fast.study.stored import StoredStudy, read_study
from lswag_fast.study.study import Study
from lswag_fast.study.trial import Trial

__all__ = [
    "Budget",
    "Objective",
    "Proposal",
    "ProposalBatch",
    "Sampler",
    "StoredStudy",
    "Study",
    "Trial",
    "get_sampler",
    "list_samplers",
    "read_study",
    "register_sampler",
]
