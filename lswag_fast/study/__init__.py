"""Studies: trials, samplers, objectives and budgets. Knows spaces and a scoring callable, nothing else."""
