"""The published GLUE scores of FlexiBERT encoders as a table: `python -m bench.correlation.flexibert_table
flexibert_250_glue.csv.gz flexibert.csv`.

The CSV has one encoder a row, as published (Serianni and Kalita, ACL 2023): the hidden size, the layers, eight tasks
and their mean `glue`, and the authors' own proxies, which are kept with `published_` before their names.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from lswag_fast.data.tables import checked_table, write_table
from lswag_fast.spaces import FlexiBert

LAYERS = "layers(op-param-heads-ffdim-nff)"
TASKS = ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts", "glue")
OTHERS = ("id", "hidden_size", "n_layers", LAYERS)


def table_of(published: pd.DataFrame) -> pd.DataFrame:
    """Architectures as the space encodes them x sizes, GLUE scores and the authors' proxies.

    An encoder that was trained twice has the means of its rows.
    """
    space = FlexiBert()
    texts = published["hidden_size"].astype(str) + ":" + published[LAYERS]
    archs = pd.Index([space.encode(space.decode(text)) for text in texts], name="arch")
    own = {f"published_{name}": published[name] for name in published if name not in (*TASKS, *OTHERS)}
    sizes = {
        "n_layers": published["n_layers"],
        "n_params": [space.n_params(space.decode(arch)) for arch in archs],
        "macs": [space.macs(space.decode(arch)) for arch in archs],
    }
    columns = {**sizes, **{task: published[task] for task in TASKS}, **own}
    return checked_table(pd.DataFrame(columns).set_axis(archs).groupby(level="arch", sort=False).mean())


def main() -> None:
    """Read the command line and write the table."""
    parser = argparse.ArgumentParser(description="Published GLUE scores of FlexiBERT encoders as a table.")
    parser.add_argument("published", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    write_table(table_of(pd.read_csv(options.published)), options.out)


if __name__ == "__main__":
    main()
