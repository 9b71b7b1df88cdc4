"""Batches: the one of a score, and where the images of a search come from."""

from lswag_fast.data.images import ImageBatch, load

__all__ = ["ImageBatch", "load"]
