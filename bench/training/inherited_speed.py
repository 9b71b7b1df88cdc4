"""How many inherited accuracies a minute gives: `python -m bench.training.inherited_speed IMAGES --out FILE`.

Networks of `bench.training.small_vits`, of all sizes, are measured on the test images of an .npz file, CIFAR-10's 2,000
say, by `lswag_fast.training.benchmark`: drawing the networks, starting the workers and writing the table are in the
time. The shared weights are drawn and not trained, which costs the same. A row for each call, and nothing is
extrapolated: to time 1,000 networks, measure 1,000.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from bench.csv_file import append
from bench.machine import machine_columns
from bench.training.small_vits import small_vits
from lswag_fast.data.splits import split_images
from lswag_fast.execution import open_executor
from lswag_fast.score_job import ScoreJob
from lswag_fast.training.benchmark import benchmark
from lswag_fast.training.inherited import inherited_accuracy_job

COLUMNS = ("n", "n_images", "workers", "seconds", "networks_per_min", "processor_s", "date")


def job_of(images: Path) -> ScoreJob:
    """The job that measures a network on the test images of a file, on one thread."""
    space = small_vits()
    splits = split_images(images, image_size=space.image_size)
    job = inherited_accuracy_job(space, space.init_weights(0), splits)
    return replace(job, batch=splits.test.tensors())


def measured(job: ScoreJob, n: int, n_workers: int) -> dict[str, float]:
    """Seconds of a table of `n` networks, by the clock and of the processors, those of the workers included."""
    with tempfile.TemporaryDirectory() as folder:
        before, begin = processor_s(), time.perf_counter()
        with open_executor(n_workers) as executor:
            benchmark(job, Path(folder) / "table.csv", n, executor=executor)
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "networks_per_min": 60 * n / seconds, "processor_s": processor_s() - before}


def processor_s() -> float:
    """Seconds of the processors for this process and those of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Measure and append a row."""
    parser = argparse.ArgumentParser(description="Inherited accuracies a minute of small vision transformers.")
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="an .npz file with x_train, y_train, x_test, y_test"
    )
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, to which a row is appended")
    parser.add_argument("--networks", type=int, default=1000, metavar="N", help="(default: 1000)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, of one thread (default: 1)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = machine_columns()
    job = job_of(options.images)
    row = {"n": options.networks, "n_images": len(job.batch[1]), "workers": options.workers}
    row |= measured(job, options.networks, options.workers)
    append(options.out, [*COLUMNS, *machine], {**row, "date": date.today().isoformat(), **machine})


if __name__ == "__main__":
    main()
