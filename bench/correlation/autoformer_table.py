"""The published accuracies of 100 Autoformer-Tiny networks as a table: `python -m bench.correlation.autoformer_table
autoformer_tiny_100.json autoformer_tiny.csv`.

The JSON is a list of records with embed_dim, depth, num_heads, mlp_ratio and accuracies (Auto-Prox, AAAI 2024).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from lswag_fast.data.tables import checked_table, write_table
from lswag_fast.spaces import AutoFormer

GENES = ("embed_dim", "depth", "num_heads", "mlp_ratio")
PLACE = ("part", "row")  # where a record lay in its source


def table_of(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Architectures as the space encodes them x accuracies."""
    space = AutoFormer("tiny")
    archs = [space.encode({gene: record[gene] for gene in GENES}) for record in records]
    accuracies = [{key: value for key, value in r.items() if key not in (*GENES, *PLACE)} for r in records]
    return checked_table(pd.DataFrame(accuracies, index=pd.Index(archs, name="arch")))


def main() -> None:
    """Read the command line and write the table."""
    parser = argparse.ArgumentParser(description="Published accuracies of Autoformer-Tiny networks as a table.")
    parser.add_argument("records", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    write_table(table_of(json.loads(options.records.read_text(encoding="utf-8"))), options.out)


if __name__ == "__main__":
    main()
