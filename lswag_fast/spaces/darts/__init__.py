"""The DARTS space of pairs of cells."""
