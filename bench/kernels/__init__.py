"""Benchmarks of the kernels, and what a device could reach at best."""
