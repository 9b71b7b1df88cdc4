"""Proxies: pure functions from per-layer numbers to a score."""

from lswag_fast.proxies.lswag import COMBINES, Combine, lswag, trainability

__all__ = ["COMBINES", "Combine", "lswag", "trainability"]
