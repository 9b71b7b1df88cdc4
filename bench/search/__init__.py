"""Benchmarks of a search: what a study costs beside its scores, and candidates per second."""
