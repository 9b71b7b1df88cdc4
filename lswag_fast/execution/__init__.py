"""Where work runs: in this process, in worker processes, on a cluster. Knows no architecture."""
