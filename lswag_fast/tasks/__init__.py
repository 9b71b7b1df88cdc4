"""Tasks: what the targets are, which loss a sample has, and what is measured in the end."""

from lswag_fast.tasks.losses import CROSS_ENTROPY, LOSSES
from lswag_fast.tasks.registry import get, names
from lswag_fast.tasks.task import Task

__all__ = ["CROSS_ENTROPY", "LOSSES", "Task", "get", "names"]
