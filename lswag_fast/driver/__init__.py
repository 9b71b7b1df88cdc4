"""The search driver: asks a space for architectures and a score callable for their worth, and knows nothing else."""
