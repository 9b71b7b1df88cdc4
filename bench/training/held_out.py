"""Measure a supernet's networks on all images that it was not trained on: `python -m bench.training.held_out DIR`.

`lswag-fast benchmark` measures on the validation images alone, because a search may choose by them. Nothing is chosen
here, and how well proxies rank shows the better the more images there are: validation and test together. The networks,
and so the rows of `lswag-fast evaluate`, are those of `lswag-fast benchmark` with the same number and seed. Run again,
it continues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from bench.training.small_vits import small_vits
from lswag_fast.data.splits import split_as_before
from lswag_fast.training.benchmark import benchmark
from lswag_fast.training.inherited import inherited_accuracy_job
from lswag_fast.training.supernet import load


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description="Inherited accuracies on all images beside those to train on.")
    parser.add_argument("supernet", type=Path, metavar="DIR", help="of `lswag-fast supernet`, of small_vits")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file, new or to continue")
    parser.add_argument("--networks", type=int, default=300, metavar="N", help="(default: 300)")
    options = parser.parse_args()
    trained = load(options.supernet, small_vits())
    channels, side, _ = trained.space.input_shape
    images = split_as_before(trained.data, image_size=side, channels=channels)
    held_out = [torch.cat(parts) for parts in zip(images.validation.tensors(), images.test.tensors(), strict=True)]
    job = inherited_accuracy_job(trained.space, trained.weights, images)
    job = replace(job, batch=tuple(held_out))
    benchmark(job, options.out, options.networks)


if __name__ == "__main__":
    main()
