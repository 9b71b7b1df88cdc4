"""The two TransNAS-Bench-101 spaces: of cells, and of how many stages there are and what each changes."""
