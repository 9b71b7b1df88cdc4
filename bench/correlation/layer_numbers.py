"""Per-layer numbers, and scores, of the networks of a table: `python -m bench.correlation.layer_numbers SPACE --table
TABLE --data FILE --out FOLDER`.

FOLDER receives a CSV per setting, one row per network, and resumes where it stopped: the value of each proxy in
--proxies, and as JSON the numbers of every layer and the patterns of every number of samples, all from one pass.
`bench.correlation.ablations` derives every variant of the score on CNNs from them,
`bench.libra.layer_variants` those on AutoFormer.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lswag_fast import ScoreOptions, data, register_proxy, spaces
from lswag_fast.data.tables import read_table
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.kernels import count_distinct
from lswag_fast.options import Initialisation
from lswag_fast.passes.standard.measurements import StandardMeasurements
from lswag_fast.passes.standard.patterns import samples_for
from lswag_fast.score_job import Mode, ScoreJob
from lswag_fast.spaces import SearchSpace

LISTENER_NAME = "listener"
"""The column of the proxy that keeps the numbers of the layers and scores nothing."""

PATTERN_SAMPLES = (8, 10, 12, 14, 15, 16, 18, 19, 20, 21, 22, 24, 32, 48, 64)
"""What each pass is read at, as far as its batch reaches; 20 to 22 is what "auto" takes on AutoFormer."""


@dataclass(frozen=True)
class Setting:
    """How the networks are made and what is measured."""

    batch_size: int = 64
    seed: int = 0
    init: Initialisation = "kaiming"
    mode: Mode = "train"
    variance: str = "sample"
    gradient: Literal["abs", "signed"] = "abs"


BASE = Setting()
TRANSFORMER = Setting(batch_size=32, init="own", mode="eval")
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
TRANSFORMER_SETTINGS: dict[str, Setting] = {
    "base": TRANSFORMER,
    "signed": replace(TRANSFORMER, gradient="signed"),
    "seed-1": replace(TRANSFORMER, seed=1),
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
    place = {name: getattr(layer, name) for name in ("name", "percentile", "activation", "n_weights")}
    return place | {name: layer.stats.values.get(name) for name in sums}


def common_samples(cells: Iterable[Mapping[str, Any]]) -> int:
    """The most samples of a pattern that were counted for all of some networks, and that "auto" reaches for each.

    The pass counts patterns of up to 64 samples; scores are comparable only at the same number.
    """
    cells = list(cells)
    least = min(cell["auto"] for cell in cells)
    counted = set.intersection(*({int(samples) for samples in cell["union"]} for cell in cells))
    return max(samples for samples in counted if samples <= least)


LISTENER = Listener()


def job_of(space: SearchSpace, setting: Setting, options: argparse.Namespace) -> ScoreJob:
    """How the networks of a setting are built and scored."""
    side = space.input_shape[-1]
    batch = data.load(
        options.data, batch_size=setting.batch_size, image_size=side, seed=setting.seed, split=options.split
    ).batch
    score_options = ScoreOptions(
        init=setting.init,
        variance=setting.variance,
        gradient=setting.gradient,
        pattern_samples=min(setting.batch_size, max(PATTERN_SAMPLES)),
    )
    return ScoreJob(
        space,
        batch,
        (*filter(None, options.proxies.split(",")), LISTENER_NAME),
        mode=setting.mode,
        seed=setting.seed,
        n_threads=options.threads,
        options=score_options,
        weights="fresh",
    )


def measure(job: ScoreJob, arch: str) -> dict[str, Any]:
    """The values and the numbers of one network, or why there are none."""
    LISTENER.found = {}
    report = job.report(arch)
    errors = "; ".join(f"{name}: {error}" for name, error in report.errors.items())
    numbers = json.dumps(LISTENER.found) if LISTENER.found else ""
    return {**report.values, "numbers": numbers, "errors": errors, "elapsed_s": round(report.elapsed_s, 3)}


def run(archs: Iterable[str], job: ScoreJob, setting: Setting, path: Path) -> None:
    """Measure what a setting's file has not yet."""
    columns = ["arch", *job.proxies, "numbers", "errors", "elapsed_s"]
    rows = RowFile(path, columns, {"space": job.space.name, "proxies": list(job.proxies), **asdict(setting)})
    for arch in archs:
        if arch not in rows.done:
            rows.add({"arch": arch, **measure(job, arch)})


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Per-layer numbers of the networks of a table.")
    parser.add_argument("space", help="nasbench201, autoformer-tiny, ...")
    parser.add_argument("--table", type=Path, required=True, help="its column arch names the networks")
    parser.add_argument("--data", type=Path, required=True, help="the images, an .npz file")
    parser.add_argument("--split", help="of the images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, help="networks, the first of those that evaluate takes (default: all)")
    parser.add_argument("--known", type=Path, help="a table whose networks need not be measured again")
    parser.add_argument("--proxies", default="", help="to score by in the same passes (default: none)")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, help="(default: all that the space has)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    register_proxy(LISTENER_NAME, LISTENER, needs={"standard": ("gradients", "batch_gradient", "patterns")})
    space = spaces.get(options.space)
    archs = [str(arch) for arch in read_table(options.table).sample(frac=1, random_state=0).index[: options.n]]
    done = set() if options.known is None else set(read_table(options.known).index)
    archs = [arch for arch in archs if arch not in done]
    known = TRANSFORMER_SETTINGS if options.space.startswith("autoformer") else SETTINGS
    for name in options.settings or known:
        setting = known[name]
        run(archs, job_of(space, setting, options), setting, options.out / f"{name}.csv")
        sys.stdout.write(f"{name}: {len(archs)} networks\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
