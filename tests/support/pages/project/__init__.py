"""What a reader of the pages is supposed to have: a package of their own, a table, a folder of pictures, a
configuration of transformers.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from PIL import Image

from lswag_fast import spaces
from lswag_fast.data.sources import digits

HERE = Path(__file__).parent
BERT = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
}
N_ROWS = 24
N_PICTURES = 60


def make_project(folder: Path) -> None:
    """Put it into a folder."""
    shutil.copytree(HERE / "mypackage", folder / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bert").mkdir()
    (folder / "bert/config.json").write_text(json.dumps(BERT))
    _write_table(folder / "accuracies.csv")
    _write_pictures(folder / "photos")


def _write_table(path: Path) -> None:
    """Architectures of NAS-Bench-201 with an accuracy each, which follows their size with noise."""
    space, rng = spaces.get("nasbench201"), random.Random(0)
    archs = {space.encode(space.sample(rng)): None for _ in range(2 * N_ROWS)}
    rows = ["arch,accuracy,params"]
    for arch in list(archs)[:N_ROWS]:
        n_params = space.n_params(space.decode(arch))
        rows.append(f'"{arch}",{60 + n_params / 50_000 + rng.gauss(0, 2):.2f},{n_params}')
    path.write_text("\n".join(rows) + "\n")


def _write_pictures(folder: Path) -> None:
    """The first handwritten digits, one sub-folder per class."""
    source = digits()
    for i, label in enumerate(source.labels[:N_PICTURES]):
        picture = Image.fromarray((source.read(i)[0] * 255).byte().numpy())
        (folder / f"digit-{label}").mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"digit-{label}" / f"{i}.png")
