"""A search on the workers of a Dask cluster; `cluster.sbatch` starts one inside a Slurm job."""

from __future__ import annotations

import argparse

from distributed import Client, LocalCluster

from lswag_fast import Budget, data, search, spaces
from lswag_fast.study.storage import LogStorage


def main() -> None:
    """Search; called again with the same arguments, it continues."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheduler-file", help="where the scheduler wrote its address (default: a local cluster)")
    parser.add_argument("--out", default="cluster_run", help="folder of the search; may lie on a network file system")
    parser.add_argument("--tiny", action="store_true", help="few trials of small networks")
    args = parser.parse_args()

    size, n_samples, n_trials, budget = (32, 4, 4, None) if args.tiny else (224, 32, 2000, Budget(params="5M..7M"))
    name = "nasbench201" if args.tiny else "autoformer-tiny"
    space = spaces.get(name, image_size=size, num_classes=10)
    batch = data.load("digits", batch_size=n_samples, image_size=size).batch
    storage = LogStorage(args.out)  # SQLite, which a plain folder means, is not safe on network file systems
    with connected(args.scheduler_file) as client:
        # The study does not depend on how many workers there are, nor on which of them end before it does.
        result = search(
            space, batch, budget=budget, n_trials=n_trials, executor=client, storage=storage, n_threads=1, mode="eval"
        )
    print(f"{len(result.trials)} trials, {result.stopped}; the best: {result.best.arch}")


def connected(scheduler_file: str | None) -> Client:
    """Return a client of the cluster that is there, or of two processes of this machine."""
    if scheduler_file is not None:
        return Client(scheduler_file=scheduler_file)
    return Client(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))


if __name__ == "__main__":
    main()
