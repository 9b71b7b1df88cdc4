"""How many gradients a score of the fidelity "fast" takes, by the proxies that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lswag_fast.options import FAST_GRADIENT_SAMPLES, ScoreOptions
from lswag_fast.passes.standard.parts import GRADIENT_STATISTICS
from lswag_fast.proxies.registry import get_proxy

RANK_ALIKE_AT_FAST = {"lswag": 4, "zico": FAST_GRADIENT_SAMPLES}
"""Proxies that rank by the gradients of so many samples as by all: .99 or more in Spearman, and no worse by the
accuracies, on NAS-Bench-201, Autoformer-Tiny and Autoformer-Small (docs/results/speed.md). `snip`, `grad_norm` and
`xi_gsnr` were measured and do not, others were not."""


def reads_gradients(proxy: str) -> bool:
    """Whether a proxy is made of the gradients of single samples.

    Example:
        >>> reads_gradients("lswag"), reads_gradients("nwot")
        (True, False)
    """
    return not GRADIENT_STATISTICS.isdisjoint(get_proxy(proxy).needs.get("standard", ()))


def ranks_alike(proxies: Iterable[str]) -> bool:
    """Whether "fast" is known to rank like "exact" by each of some proxies.

    Example:
        >>> ranks_alike(["lswag", "nwot"]), ranks_alike(["lswag", "snip"])
        (True, False)
    """
    return RANK_ALIKE_AT_FAST.keys() >= {get_proxy(name).name for name in proxies if reads_gradients(name)}


def with_fast_gradients(options: ScoreOptions, proxies: Iterable[str], n_samples: int) -> ScoreOptions:
    """Return the options with the number of gradients that "fast" takes for all of some proxies together.

    Args:
        options: of the score. At the fidelity "exact", and with a number of `gradient_samples`, they stay as they are.
        proxies: whose measurements come from one pass.
        n_samples: B, of the batch.

    Example:
        >>> fast = ScoreOptions(fidelity="fast")
        >>> with_fast_gradients(fast, ["lswag", "nwot"], 32).n_gradient_samples(32)
        4
        >>> with_fast_gradients(fast, ["lswag", "zico"], 32).n_gradient_samples(32)
        8
    """
    if options.fidelity != "fast" or options.gradient_samples != "auto":
        return options
    asked = [get_proxy(name).name for name in proxies if reads_gradients(name)]
    most = max((RANK_ALIKE_AT_FAST.get(name, FAST_GRADIENT_SAMPLES) for name in asked), default=FAST_GRADIENT_SAMPLES)
    return options if most == FAST_GRADIENT_SAMPLES else replace(options, gradient_samples=min(most, n_samples))
