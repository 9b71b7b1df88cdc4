"""Products of matrices with a parameter among their factors, rewritten as linear calls."""
