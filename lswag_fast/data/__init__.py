"""Batches: the one of a score, and where the images or texts of a search come from."""

from lswag_fast.data.images import ImageBatch, load
from lswag_fast.data.texts import TextBatch, load_text

__all__ = ["ImageBatch", "TextBatch", "load", "load_text"]
