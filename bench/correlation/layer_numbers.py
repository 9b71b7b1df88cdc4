"""The per-layer numbers of NAS-Bench-201 networks under several settings: `python -m bench.correlation.layer_numbers
DATA --out FOLDER --n 300`.

DATA is a folder with nasbench201/nb201_accuracy.csv.gz and images/cifar10_subset.npz. FOLDER receives a CSV a setting,
one row per network, and resumes where it stopped; `bench.correlation.ablations` derives every variant of the score from
them. One pass gives all layers, with and without the mean gradient, and the patterns of every number of samples.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lswag_fast import LswagWarning, data, register_proxy, score_many, spaces
from lswag_fast.data.tables import read_table
from lswag_fast.errors import LswagError
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.kernels import count_distinct
from lswag_fast.passes.shared.initialisation import initialise
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.passes.standard.patterns import samples_for

PATTERN_SAMPLES = (8, 10, 12, 14, 15, 16, 18, 20, 24, 32, 48, 64)
"""What each pass is read at, as far as its batch reaches."""


@dataclass(frozen=True)
class Setting:
    """How the networks are made and what is measured."""

    batch_size: int = 64
    seed: int = 0
    init: str = "kaiming"
    mode: str = "train"
    variance: str = "sample"
    gradient: str = "abs"


BASE = Setting()
SETTINGS: dict[str, Setting] = {
    "base": BASE,
    "seed-1": replace(BASE, seed=1),
    "seed-2": replace(BASE, seed=2),
    "eval-mode": replace(BASE, mode="eval"),
    "signed": replace(BASE, gradient="signed"),
    **{f"microbatch-{n}": replace(BASE, variance=f"microbatch:{n}") for n in (2, 4, 8)},
    "xavier": replace(BASE, init="xavier"),
    "gaussian": replace(BASE, init="normal"),
    **{f"batch-{n}": replace(BASE, batch_size=n) for n in (8, 16, 32, 128)},
}


class Listener:
    """A proxy that keeps the numbers of the pass and is worth nothing itself."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def __call__(self, measurements: Any) -> float:
        """Keep what a pass found."""
        standard = measurements.of(StandardMeasurements)
        words = [activation.words for activation in standard.patterns.activations]
        sizes = [s for s in PATTERN_SAMPLES if s <= standard.patterns.n_samples]
        self.found = {
            "auto": min(standard.n_samples, samples_for(max(a.n_neurons for a in standard.activations()))),
            "neurons": sum(a.n_neurons for a in standard.activations()),
            "union": {s: count_distinct(words, s) for s in sizes},
            "psi": {s: [count_distinct([w], s) for w in words] for s in sizes},
            "layers": [_layer(layer) for layer in standard.layers() if layer.n_finite_variance],
        }
        return 0.0


def _layer(layer: Any) -> dict[str, Any]:
    sums = ("sum_inv_sigma", "sum_mu_over_sigma", "sum_mean_abs_over_sigma")
    place = {name: getattr(layer, name) for name in ("percentile", "activation", "n_weights")}
    return place | {name: layer.stats.values.get(name) for name in sums}


LISTENER = Listener()


def measure(arch: str, space: Any, batch: Any, setting: Setting) -> dict[str, str]:
    """The numbers of one network as JSON, or why there are none."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(setting.seed)
        model = space.build(space.decode(arch))
    initialise(model, setting.init, setting.seed).train(setting.mode == "train")
    options = {"pattern_samples": min(setting.batch_size, max(PATTERN_SAMPLES)), "seed": setting.seed}
    try:
        found = score_many(
            model, batch, proxies=["listener"], variance=setting.variance, gradient=setting.gradient, **options
        )
    except LswagError as error:
        return {"numbers": "", "error": str(error)}
    if found["listener"].error is not None:
        return {"numbers": "", "error": found["listener"].error}
    return {"numbers": json.dumps(LISTENER.found), "error": ""}


def run(archs: Iterable[str], images: Path, name: str, folder: Path) -> None:
    """Measure what a setting's file has not yet."""
    setting = SETTINGS[name]
    space = spaces.NasBench201()
    batch = data.load(images, batch_size=setting.batch_size, image_size=32, seed=setting.seed, split="train").batch
    rows = RowFile(folder / f"{name}.csv", ["arch", "numbers", "error"], asdict(setting))
    for arch in archs:
        if arch not in rows.done:
            rows.add({"arch": arch, **measure(arch, space, batch, setting)})


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Per-layer numbers of NAS-Bench-201 networks under several settings.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=300, help="networks, the first of those that evaluate takes at seed 0")
    parser.add_argument("--settings", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore", LswagWarning)  # BatchNorm in train mode, in every row
    register_proxy("listener", LISTENER, needs={"standard": ("gradients", "batch_gradient", "patterns")})
    table = read_table(options.data / "nasbench201" / "nb201_accuracy.csv.gz")
    archs = [str(arch) for arch in table.sample(frac=1, random_state=0).index[: options.n]]
    for name in options.settings:
        run(archs, options.data / "images" / "cifar10_subset.npz", name, options.out)
        sys.stdout.write(f"{name}: {len(archs)} networks\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
