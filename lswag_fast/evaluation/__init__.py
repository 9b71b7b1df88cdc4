"""Proxies against ground truth: scoring the architectures of a benchmark table, and how well the scores rank them."""

from lswag_fast.evaluation.correlation import correlate
from lswag_fast.evaluation.evaluate import evaluate

__all__ = ["correlate", "evaluate"]
