"""The NAS-Bench-201 space of cells."""
