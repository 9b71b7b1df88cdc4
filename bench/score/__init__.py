"""Benchmarks of a whole score, beside what people use today for the same numbers."""
