"""The published accuracies of NAS-Bench-101 as a table: `python -m bench.table1.nasbench101 nb101_60000.npz
nb101.csv.gz`.

The arrays of the file have one row a cell: `n_vertices` V with input and output, `edge_bits`, in which bit
x + y (y - 1) / 2 is the edge x -> y, `ops` as places in `OPS`, -1 where there is no vertex, `test_acc` (CIFAR-10, the
mean of three trainings of 108 epochs, from 0 to 1) and `params`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lswag_fast.data.tables import checked_table, write_table
from lswag_fast.spaces import NasBench101

OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations by the numbers of the file."""


def table_of(arrays: Mapping[str, NDArray[np.generic]]) -> pd.DataFrame:
    """Architectures as the space encodes them x `cifar10_test` in percent and the published number of parameters."""
    space = NasBench101()
    columns = (arrays[name].tolist() for name in ("n_vertices", "edge_bits", "ops"))
    archs = [space.encode(arch_of(*row)) for row in zip(*columns, strict=True)]
    values = {"cifar10_test": 100 * arrays["test_acc"].astype(float), "published_params": arrays["params"]}
    return checked_table(pd.DataFrame(values, index=pd.Index(archs, name="arch")))


def arch_of(n_vertices: int, edge_bits: int, ops: list[int]) -> dict[str, list[object]]:
    """The architecture of one row."""
    matrix: list[object] = [
        [int(x < y and bool(edge_bits >> (x + y * (y - 1) // 2) & 1)) for y in range(n_vertices)]
        for x in range(n_vertices)
    ]
    return {"matrix": matrix, "ops": ["input", *(OPS[op] for op in ops[: n_vertices - 2]), "output"]}


def main() -> None:
    """Read the command line and write the table."""
    parser = argparse.ArgumentParser(description="Published accuracies of NAS-Bench-101 as a table.")
    parser.add_argument("arrays", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    with np.load(options.arrays) as arrays:
        write_table(table_of(arrays), options.out)


if __name__ == "__main__":
    main()
