"""Benchmarks of a training: what a supernet's step costs, and what is left after kills."""
