"""The standard pass: one forward and one backward of the summed loss, observed."""
