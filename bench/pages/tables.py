"""Every generated table: its name in the pages, the CSVs that it is made of, and what makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.pages import columns, combined, correlations, costs, options, reach, table1, training
from bench.pages.columns import Numbers
from bench.table1 import published

RESULTS = Path(__file__).parents[1] / "results"

CELLS = {"cifar10_test": "CIFAR-10", "cifar100_test": "CIFAR-100", "imagenet16_test": "ImageNet16-120"}
CELL_COLUMNS = dict(zip(CELLS.values(), published.CELLS, strict=True))
TAUGHT = {"c100_kd_acc": "CIFAR-100", "flower_kd_acc": "Flowers", "chaoyang_kd_acc": "Chaoyang"}
UNTAUGHT = {"c100_base_acc": "CIFAR-100", "flower_base_acc": "Flowers", "chaoyang_base_acc": "Chaoyang"}
SUITES = {
    "cifar10_test": "NAS-Bench-201, CIFAR-10",
    "imagenet16_test": "NAS-Bench-201, ImageNet16-120",
    "class_scene": "TransNAS-Bench-101, class_scene",
}
ON_IMAGENET = "imagenet_inherited_top1"
SIZES = ("tiny", "small", "base")
TRANSFORMERS = {(f"autoformer_{size}", ON_IMAGENET): f"{size.capitalize()}, +-8 %" for size in SIZES}
SINGLE = ("lswag", "zico", "nwot", "swap", "reg_swap", "params", "flops")
"""The proxies beside the combinations without labels; the tables of Table 1 have the others."""
CELLS_FREE = {("nasbench201", target): f"{title}, +-8 %" for target, title in CELLS.items()}
COMBINED = (
    "weights",
    "halves",
    "published",
    "weighted",
    "ridge",
    "size_classes",
    "all_proxies",
    "agreeing",
)
SEEDS = {"seed-0": "seed 0", "seed-1": "seed 1", "seed-2": "seed 2", "kaiming": "Kaiming", "xavier": "Xavier"}
PATTERNS = {
    **{f"seed-{seed}": f"auto (20), seed {seed}" for seed in range(3)},
    **{f"patterns-{n}-{seed}": f"{n} of {n}, seed {seed}" for n in (32, 64) for seed in range(3)},
}
FEWER_SAMPLES = {"all": "all 64", "16": "16", "8": "8", "4": "4", "2": "2"}
FOUND_LAYERS = {"1": ", which the spike rule finds (`--layers auto`)", "3": ", the best of such intervals here"}
PAIRING = (
    Numbers("Spearman, paired by the data", "by_data"),
    Numbers("by the order", "by_order"),
    Numbers("difference", "difference", ("low", "high"), is_difference=True),
    Numbers("share paired otherwise", "share_paired_otherwise", digits=4),
    Numbers("n", "n", digits=0),
)

HELD_OUT = (
    Numbers("Spearman on held-out halves", "rho", ("low", "high")),
    Numbers("networks", "n_rows", digits=0),
)
FIDELITY = (
    Numbers("batch", "batch", digits=0),
    Numbers("median s", "median_s", digits=2),
    Numbers("x plain", "ratio", digits=2),
    Numbers("peak MB above the model", "peak_rss_mb", digits=0),
    Numbers("n", "n", digits=0),
)
FIDELITY_WORDS = {"network": "network", "method": "score", "cpu": "processor", "date": "date"}
FIDELITY_NAMES = {
    "score": "exact",
    "score_fast": "fast",
    "autoformer_s": "Autoformer-S",
    "nasbench201_like": "NAS-Bench-201-like",
    "resnet50": "ResNet-50",
}
BFLOAT16 = (
    Numbers("batch", "batch", digits=0),
    Numbers("processor s", "processor_s", digits=2),
    Numbers("x plain", "processor_ratio", digits=2),
    Numbers("wall s", "wall_s", digits=2),
    Numbers("x plain, wall", "wall_ratio", digits=2),
    Numbers("n", "n", digits=0),
)
BFLOAT16_NAMES = {
    "plain": "plain forward + backward",
    "plain_bfloat16": "the same under autocast to bfloat16",
    "score": "`score`",
    "score_bfloat16": '`score(precision="bfloat16")`',
    "score_fast": '`score(fidelity="fast")`',
    "score_fast_bfloat16": "both",
    "autoformer_s": "Autoformer-S",
    "resnet50": "ResNet-50",
    "nasbench201_like": "NAS-Bench-201-like",
}
PRUNED = (
    Numbers("seed", "seed", digits=0),
    Numbers("images", "batch", digits=0),
    Numbers("micro-batches", "micro_batches", digits=0),
    Numbers("pixels", "image_size", digits=0),
    Numbers("cells a stage", "cells_per_stage", digits=0),
    Numbers("CIFAR-10", "cifar10_test", digits=2),
    Numbers("CIFAR-100", "cifar100_test", digits=2),
    Numbers("ImageNet16-120", "imagenet16_test", digits=2),
    Numbers("processor s", "processor_s", digits=0),
)
TABLE1 = (
    *published.PLACES,
    *(f"autoformer-{size}" for size in ("tiny", "small", "base")),
)
"""The columns of Table 1, and those like them."""
INTRAIN = (
    Numbers("Kendall", "kendall"),
    Numbers("Spearman", "spearman"),
    Numbers("n", "n", digits=0),
)
THEOREM1 = (
    Numbers("learning rate", "eta", digits=4),
    Numbers("Spearman", "spearman", ("low", "high")),
    Numbers("share of draws within the theorem's bound", "within_bound", digits=2),
    Numbers("within ZiCo's", "within_zico_bound", digits=2),
    Numbers("draws", "n", digits=0),
)
INHERITED = (
    Numbers("Spearman over all", "spearman", ("spearman_low", "spearman_high")),
    Numbers("inside windows of params +-8 %", "window", ("window_low", "window_high")),
    Numbers("inside one width", "width", ("width_low", "width_high")),
    Numbers("networks", "n", digits=0),
    Numbers("of them with a window", "n_window", digits=0),
)
THEOREM1_NAMES = {"epoch": "an epoch", "step": "one step", "digit": "digit", "one-hot": "one-hot"}
HISTORY = (
    Numbers("Autoformer-S", "autoformer_s_ratio", digits=2),
    Numbers("with published attention", "autoformer_s_published_ratio", digits=2),
    Numbers("NAS-Bench-201-like", "nasbench201_like_ratio", digits=2),
)


@dataclass(frozen=True)
class Table:
    """A table of the pages.

    Attributes:
        name: As in `<!-- table: NAME -->`.
        sources: The CSVs below bench/results that it is made of.
        make: Their paths -> the table in Markdown.
    """

    name: str
    sources: tuple[str, ...]
    make: Callable[..., str]

    def text(self) -> str:
        """The table, and where its numbers come from."""
        files = ", ".join(f"`bench/results/{source}`" for source in self.sources)
        return f"{self.make(*(RESULTS / source for source in self.sources))}\n\nFrom {files}."


VKDNW = {"vkdnw_agg": ".919 .919 .906"}

TABLES = (
    Table(
        "nasbench201",
        (
            "correlation/nasbench201_correlation.csv",
            "newer/nasbench201_correlation.csv",
            "newer/vkdnw.csv",
            "table1/columns.csv",
        ),
        correlations.per_proxy(CELLS, published=correlations.PUBLISHED, windows=published.CELLS),
    ),
    Table(
        "nasbench201-newer",
        ("newer/nasbench201_correlation.csv",),
        correlations.per_proxy(CELLS, published={"meco": ".89 .88 .85"}),
    ),
    Table(
        "nasbench201-newer-kendall",
        ("newer/nasbench201_correlation.csv",),
        correlations.per_proxy(CELLS, statistic="kendall", published={"intrain": ".67 (CIFAR-10)"}),
    ),
    Table(
        "autoformer-teacher",
        ("correlation/autoformer_correlation.csv",),
        correlations.per_proxy(TAUGHT, shows_mean=True),
    ),
    Table(
        "autoformer-alone",
        ("correlation/autoformer_correlation.csv",),
        correlations.per_proxy(UNTAUGHT, shows_mean=True),
    ),
    Table("intrain-parts", ("newer/intrain_parts.csv",), columns.of_csv({"score": "score"}, INTRAIN, {})),
    Table(
        "flexibert-published",
        ("newer/flexibert_published.csv",),
        correlations.per_proxy({"glue": "GLUE"}),
    ),
    Table(
        "flexibert",
        ("newer/flexibert_correlation.csv",),
        correlations.per_group(
            (
                correlations.Group("all", "glue"),
                correlations.Group("two layers", "glue", "n_layers 2"),
                correlations.Group("four layers", "glue", "n_layers 4"),
            )
        ),
    ),
    *(
        Table(
            name,
            (source,),
            correlations.per_group(
                (
                    correlations.Group("over all", ON_IMAGENET),
                    correlations.Group("inside windows of 8 %", ON_IMAGENET, inside=True),
                )
            ),
        )
        for name, source in {
            "newer-tiny": "newer/autoformer_tiny.csv",
            "newer-small": "newer/autoformer_small.csv",
            **{f"near-{size}": f"newer/near_{size}.csv" for size in ("tiny", "small")},
            **{f"az-nas-{size}": f"libra/az_nas/{size}.csv" for size in SIZES},
        }.items()
    ),
    *(
        Table(
            name,
            ("newer/vkdnw.csv",),
            correlations.per_proxy(CELLS, among=among, published=published),
        )
        for name, among, published in (("vkdnw", "all", {}), ("vkdnw-whole", "whole cells", VKDNW))
    ),
    Table("newer-darts", ("newer/darts.csv",), correlations.per_proxy({"cifar10_acc": "CIFAR-10"})),
    *(
        Table(
            f"newer-transnas-{space}",
            (f"newer/transnas_{space}.csv",),
            correlations.per_proxy({"class_object": "objects", "class_scene": "scenes"}),
        )
        for space in ("micro", "macro")
    ),
    Table("autoformer-seeds", ("correlation/autoformer_runs.csv",), correlations.per_run(SEEDS)),
    Table(
        "autoformer-patterns", ("correlation/autoformer_runs.csv",), correlations.per_run(PATTERNS, ("lswag", "swap"))
    ),
    Table("pairing", ("correlation/pairing.csv",), columns.of_csv({"target": "L-SWAG"}, PAIRING, CELLS)),
    Table("nasbench201-no-labels", ("correlation/combinations.csv",), correlations.without_labels(CELLS)),
    Table("autoformer-no-labels", ("correlation/autoformer_combinations.csv",), correlations.without_labels(TAUGHT)),
    Table("nasbench201-halves", ("correlation/nasbench201_libra.csv",), combined.held_out(CELLS)),
    Table(
        "autoformer-halves",
        ("correlation/autoformer_libra.csv", "correlation/autoformer_attainable.csv"),
        combined.held_out(TAUGHT),
    ),
    Table(
        "libra-default",
        (
            "libra/subsets/nasbench201_default.csv",
            "libra/subsets/autoformer_tiny_finetuned_default.csv",
            *(f"libra/subsets/{where}autoformer_{s}_default.csv" for where in ("", "over_all/") for s in SIZES),
        ),
        partial(combined.default_rule, ways=combined.RULES),
    ),
    Table(
        "libra-sizes",
        tuple(f"libra/subsets/autoformer_{s}_sizes.csv" for s in SIZES),
        combined.default_rule,
    ),
    Table(
        "libra-labels",
        (
            "libra/subsets/suite_cifar10.csv",
            "libra/subsets/suite_imagenet16.csv",
            "libra/subsets/suite_transnas101.csv",
        ),
        combined.gains(SUITES, COMBINED),
    ),
    Table(
        "libra-window",
        tuple(f"libra/subsets/suite_{suite}_window.csv" for suite in ("cifar10", "imagenet16", "transnas101")),
        combined.gains(SUITES, COMBINED),
    ),
    Table(
        "libra-packaged",
        ("libra/packaged.csv",),
        columns.of_csv(
            {"space": "space", "way": "ranked by"},
            HELD_OUT,
            {"rule": "*what the rule selects*", "best_member": "*the best proxy alone*"},
        ),
    ),
    Table("libra-ceiling", ("libra/ceiling.csv",), combined.ceiling(SIZES)),
    Table("label-free", ("libra/label_free.csv",), combined.label_free(TRANSFORMERS)),
    Table("label-free-cells", ("libra/label_free.csv",), combined.label_free(CELLS_FREE, SINGLE)),
    Table(
        "autoformer-variants",
        tuple(f"libra/autoformer_{size}_variants.csv" for size in ("tiny", "small")),
        combined.variants(("Tiny", "Small")),
    ),
    Table(
        "reach",
        (
            "correlation/nasbench201_correlation.csv",
            "table1/columns.csv",
            "correlation/autoformer_correlation.csv",
            "score/proxies.csv",
        ),
        reach.table,
    ),
    Table("options", ("options/nasbench201.csv",), options.table(auto=16, remarks=FOUND_LAYERS)),
    Table("options-nasbench101", ("options/nasbench101.csv",), options.table(auto=19)),
    Table("layer-profile", ("options/layer_profile.csv",), options.layer_profile),
    Table("batch-size", ("options/batch_size.csv",), options.batch_sizes(CELLS)),
    Table("whole-score", ("score/whole_score.csv",), costs.whole_score),
    Table(
        "gradient-samples-cells",
        ("correlation/nasbench201_gradient_samples.csv",),
        correlations.against_first(FEWER_SAMPLES),
    ),
    Table(
        "gradient-samples-tiny",
        ("correlation/autoformer_tiny_gradient_samples.csv",),
        correlations.against_first({"all": "all 32", "8": "8"}),
    ),
    Table("fidelity", ("score/fidelity.csv",), columns.of_csv(FIDELITY_WORDS, FIDELITY, FIDELITY_NAMES)),
    Table(
        "bfloat16",
        ("score/bfloat16.csv",),
        columns.of_csv({"network": "network", "method": "what", "cpu": "processor"}, BFLOAT16, BFLOAT16_NAMES),
    ),
    Table(
        "history",
        ("score/history.csv",),
        columns.of_csv({"date": "date", "commit": "commit", "cpu": "processor"}, HISTORY),
    ),
    Table("table1", ("table1/columns.csv",), table1.over_all),
    Table("table1-inside", ("table1/columns.csv",), table1.inside),
    Table("table1-published", ("table1/columns.csv",), table1.beside_published),
    *(Table(f"table1-{name}", ("table1/columns.csv",), table1.of_column(name)) for name in TABLE1),
    Table("table1-bias", ("table1/bias.csv",), table1.bias),
    Table(
        "options-intervals",
        ("options/nasbench201.csv", "options/nasbench101.csv"),
        options.intervals({**CELL_COLUMNS, "NAS-Bench-101": "nb101"}),
    ),
    Table(
        "theorem1",
        ("theorem1/theorem1.csv",),
        columns.of_csv({"target": "targets", "training": "training"}, THEOREM1, THEOREM1_NAMES),
    ),
    Table(
        "training-libra",
        ("training/libra/small_vits.csv", "training/libra/small_vits_window.csv"),
        combined.default_rule,
    ),
    Table("inherited", ("training/inherited.csv",), columns.of_csv({"proxy": "proxy"}, INHERITED)),
    Table("comparison", ("training/comparison.csv",), training.comparison),
    Table("training-kills", ("training/kills.csv",), training.kills),
    Table("step-overhead", ("training/step_overhead.csv",), training.step_overhead),
    Table("digits", ("training/digits.csv",), training.digits),
    Table("inherited-speed", ("training/inherited_speed.csv",), training.inherited_speed),
    Table("price-per-proxy", ("score/proxies.csv",), costs.per_proxy),
    Table("price-depthwise", ("score/depthwise.csv",), costs.per_proxy),
    Table("row-fraction", ("score/row_fraction.csv",), costs.row_fraction),
    Table("search-per-trial", ("search/overhead.csv",), costs.per_trial),
    Table("search-opening", ("search/overhead.csv",), costs.opening),
    Table("pruned", ("search/prune.csv",), columns.of_csv({"proxy": "pruned by"}, PRUNED)),
    Table("search-isomorphic", ("search/isomorphic.csv",), costs.isomorphic),
    Table("search-building", ("search/build.csv",), costs.building),
    Table("search-rate", ("search/rate.csv",), costs.rate),
    Table("fast-ranks", ("search/fast_ranks.csv",), costs.fast_ranks),
    Table("fast-settings", ("search/fast_settings.csv",), costs.fast_settings),
    Table("fast-bfloat16", ("search/fast_bfloat16.csv",), costs.fast_settings),
)
