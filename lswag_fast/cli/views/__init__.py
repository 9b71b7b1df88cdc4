"""What the commands print: a score, a search at its end, the trials of a study, correlations."""
