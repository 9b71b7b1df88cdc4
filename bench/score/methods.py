"""Every measured method by name: the plain pass, the score, the peers, and what was published."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from bench.score.peers import GRADIENT_PEERS, PEERS, Run, of_first
from bench.score.published import PUBLISHED, two_batches
from lswag_fast.proxies.fidelity import RANK_ALIKE_AT_FAST

FAST_GRADIENT_SAMPLES = RANK_ALIKE_AT_FAST["lswag"]
"""Of the fast score, and so of the peers that are compared with it."""
Maker = Callable[[nn.Module, Tensor, Tensor], Run]
SAMPLED_ROWS = 0.125  # the row fraction that is measured beside the exact score
NEEDS = {"opacus": "opacus", "backpack": "backpack"}


def plain(model: nn.Module, images: Tensor, labels: Tensor) -> Run:
    """One forward and backward pass as training does it: cross-entropy, gradients of all parameters."""

    def run() -> float:
        model.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        return loss.item()

    return run


def score(model: nn.Module, images: Tensor, labels: Tensor, **options: Any) -> Run:
    """`lswag_fast.score`; the result is the sum of the trainabilities, which the peers compute too."""
    import lswag_fast

    def run() -> float:
        result = lswag_fast.score(model, (images, labels), **options)
        return sum(layer.trainability for layer in result.layers)

    return run


def published_number(model: nn.Module, images: Tensor, labels: Tensor, proxy: str) -> Run:
    """The number of a published script by `lswag_fast`: ZiCo of two batches, patterns of all samples."""
    import lswag_fast

    batch: Any = two_batches(images, labels) if proxy == "zico" else (images, labels)
    options: dict[str, Any] = {} if proxy == "zico" else {"pattern_samples": len(images)}
    return lambda: lswag_fast.score_many(model, batch, proxies=[proxy], **options)[proxy].value


METHODS: dict[str, Maker] = {
    "plain": plain,
    "score": score,
    "score_fast": partial(score, fidelity="fast"),
    f"score_rows_{SAMPLED_ROWS}": partial(score, row_fraction=SAMPLED_ROWS),
    **PEERS,
    **{f"{name}_fast": of_first(peer, FAST_GRADIENT_SAMPLES) for name, peer in GRADIENT_PEERS.items()},
    **PUBLISHED,
    **{name.replace("published", "same"): partial(published_number, proxy=name.split("_")[1]) for name in PUBLISHED},
}


SHARED = ("grad_norm", "plain", "snip", "fisher", "zico", "xi_gsnr", "lswag", "nwot", "swap", "reg_swap")
"""The proxies that one forward and one backward serve together."""


def proxies(model: nn.Module, images: Tensor, labels: Tensor, names: Sequence[str], **options: Any) -> Run:
    """`lswag_fast.score_many`; the result is the number of proxies that have a value."""
    import lswag_fast

    def run() -> float:
        of_proxies = {"zen": {"batch_norm": "optional"}}
        scores = lswag_fast.score_many(model, (images, labels), proxies=names, proxy_options=of_proxies, **options)
        return float(sum(score.error is None for score in scores.values()))

    return run


def proxies_apart(model: nn.Module, images: Tensor, labels: Tensor, names: Sequence[str]) -> Run:
    """The same proxies, each by a call and a pass of its own."""
    runs = [proxies(model, images, labels, [name]) for name in names]
    return lambda: sum(run() for run in runs)


def proxy_methods() -> dict[str, Maker]:
    """The shared proxies together and apart, every registered proxy by itself, and what is shared in the fast form."""
    from lswag_fast import list_proxies

    single = {f"proxy_{info.name}": partial(proxies, names=[info.name]) for info in list_proxies()}
    together = {
        "shared": partial(proxies, names=SHARED),
        "shared_apart": partial(proxies_apart, names=SHARED),
        "shared_fast": partial(proxies, names=SHARED, fidelity="fast"),
        "lswag_fast": partial(proxies, names=["lswag"], fidelity="fast"),
    }
    return {**together, **single}


def method(name: str) -> Maker:
    """The method of that name, of any suite."""
    return METHODS[name] if name in METHODS else proxy_methods()[name]


def missing_package(method: str) -> str | None:
    """The package that `method` needs and that is not installed."""
    package = NEEDS.get(method.removesuffix("_fast"))
    return package if package and importlib.util.find_spec(package) is None else None
