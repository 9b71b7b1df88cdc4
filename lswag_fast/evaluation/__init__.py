"""Proxies against ground truth: scoring the architectures of a benchmark table, and how well the scores rank them."""

from lswag_fast.evaluation.correlation import correlate
from lswag_fast.evaluation.evaluate import evaluate
from lswag_fast.evaluation.intervals import interval_of
from lswag_fast.evaluation.layer_study import LayerStudy, study_layers

__all__ = ["LayerStudy", "correlate", "evaluate", "interval_of", "study_layers"]
