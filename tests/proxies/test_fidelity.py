"""How many gradients "fast" takes, for one proxy and for several."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import ScoreOptions, score, score_many
from lswag_fast.proxies.fidelity import RANK_ALIKE_AT_FAST, ranks_alike, reads_gradients, with_fast_gradients

FAST = ScoreOptions(fidelity="fast")
# The gradients of "fast" for a batch of 32, by the proxies. Other numbers would change what stored searches compare.
PRESETS = {
    ("lswag",): 4,
    ("lswag", "nwot", "swap", "synflow"): 4,
    ("zico",): 8,
    ("lswag", "zico"): 8,
    ("lswag", "snip"): 8,
    ("grad_norm",): 8,
    ("nwot",): 8,
}


@pytest.mark.parametrize(("proxies", "n_gradient_samples"), PRESETS.items())
def test_fast_takes_what_the_most_demanding_proxy_needs(proxies: tuple[str, ...], n_gradient_samples: int) -> None:
    assert with_fast_gradients(FAST, proxies, 32).n_gradient_samples(32) == n_gradient_samples


def test_other_fidelities_and_a_number_stay_as_they_are() -> None:
    for options in (ScoreOptions(), ScoreOptions(fidelity="exact"), ScoreOptions(fidelity="fast", gradient_samples=6)):
        assert with_fast_gradients(options, ["lswag"], 32) is options


@pytest.mark.parametrize(("n_samples", "wanted"), [(3, 3), (4, 4), (5, 4)])
def test_a_small_batch_is_taken_whole(n_samples: int, wanted: int) -> None:
    assert with_fast_gradients(FAST, ["lswag"], n_samples).n_gradient_samples(n_samples) == wanted


def test_only_proxies_that_were_measured_rank_alike() -> None:
    assert ranks_alike(RANK_ALIKE_AT_FAST) and ranks_alike(["nwot", "params"])
    assert not any(ranks_alike(["lswag", name]) for name in ("snip", "grad_norm", "xi_gsnr"))
    assert all(reads_gradients(name) for name in (*RANK_ALIKE_AT_FAST, "fisher")) and not reads_gradients("te_nas_ntk")


def scored() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """A small network, and a batch for it."""
    batch = torch.randn(12, 6, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), batch


def test_an_unknown_proxy_fails_alone_at_either_fidelity() -> None:
    model, batch = scored()
    for fidelity, n_gradient_samples in (("exact", 12), ("fast", 4)):
        found = score_many(model, batch, proxies=["lswag", "nope"], fidelity=fidelity)
        assert "no proxy 'nope'" in str(found["nope"].error)
        assert (found["lswag"].error, found["lswag"].n_gradient_samples) == (None, n_gradient_samples)


def test_a_score_says_how_many_gradients_it_took() -> None:
    model, batch = scored()
    alone, explicit = score(model, batch, fidelity="fast"), score(model, batch, gradient_samples=4)
    assert (alone.value, alone.n_gradient_samples) == (explicit.value, 4)
    both = score_many(model, batch, proxies=["lswag", "zico"], fidelity="fast")
    assert both["lswag"].n_gradient_samples == both["zico"].n_gradient_samples == 8
    assert both["zico"].value == score(model, batch, proxy="zico", fidelity="fast").value
