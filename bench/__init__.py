"""Benchmarks of lswag_fast: kernels, the whole score, and what people use today for the same numbers."""
