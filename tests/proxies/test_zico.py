"""ZiCo and xi-GSNR over samples, and over batches as published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import LswagWarning, reference, score
from lswag_fast.errors import InputError, ZeroVarianceError
from networks import NETWORKS, Network
from proxies.conftest import mean_loss
from support.oracle import exact_gradients, plain_gradients


def sampled(net: Network, dtype: torch.dtype | None = None) -> list[Tensor]:
    gradients = exact_gradients(net, net.observed) if dtype is None else plain_gradients(net, net.observed, dtype)
    return [g.double() for g in gradients.values()]


def found(net: Network, proxy: str, dtype: torch.dtype = torch.float64, **options: Any) -> float:
    model, batch = net.build(dtype)
    return score(model, batch, proxy=proxy, loss_fn=net.loss_fn, **options).value


@pytest.mark.parametrize("sigma", ["signed", "abs"])
def test_zico_over_samples(net: Network, sigma: str) -> None:
    expected = reference.zico(sampled(net), sigma)
    plain = reference.zico(sampled(net, torch.float32), sigma)
    options = {"proxy_options": {"zico": {"sigma": sigma}}}
    assert found(net, "zico", **options) == pytest.approx(expected, rel=1e-9)  # float64 sums in another order
    bound = max(1e-4 * abs(expected), 3 * abs(plain - expected))  # the accuracy contract of the project
    assert abs(found(net, "zico", torch.float32, **options) - expected) <= bound


def test_xi_gsnr_over_samples(net: Network) -> None:
    expected = reference.xi_gsnr(sampled(net))
    plain = reference.xi_gsnr(sampled(net, torch.float32))
    assert found(net, "xi_gsnr") == pytest.approx(expected, rel=1e-9)
    assert abs(found(net, "xi_gsnr", torch.float32) - expected) <= max(1e-4 * abs(expected), 3 * abs(plain - expected))


def batches_of(net: Network, n_batches: int) -> tuple[nn.Module, list[tuple[Any, Tensor]]]:
    model, (inputs, targets) = net.build()
    return model, list(zip(inputs.chunk(n_batches), targets.chunk(n_batches), strict=True))


def batch_gradients(net: Network, n_batches: int) -> list[Tensor]:
    """Gradients of the mean loss of each batch, (N, ...) per weight."""
    model, batches = batches_of(net, n_batches)
    rows = [reference.weights_and_gradients(model, batch, net.observed, mean_loss(net)) for batch in batches]
    return [torch.stack([row[name][1] for row in rows]) for name in net.observed]


@pytest.mark.parametrize("proxy", ["zico", "xi_gsnr"])
@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "vit"])
def test_over_a_list_of_batches_as_published(name: str, proxy: str) -> None:
    net = NETWORKS[name]
    n_batches = 2
    model, batches = batches_of(net, n_batches)
    expected = getattr(reference, proxy)(batch_gradients(net, n_batches))
    # Of two batches sigma is half a difference of two gradients: where they nearly agree, float64 keeps few digits.
    assert score(model, batches, proxy=proxy).value == pytest.approx(expected, rel=1e-6)


def test_float32_over_two_batches_is_ill_conditioned() -> None:
    """The bound that holds: one near-zero sigma = |g1 - g2| / 2 moves ln of a layer's sum by up to a few per cent."""
    net = NETWORKS["vit"]
    expected = reference.zico(batch_gradients(net, 2))
    model, (inputs, targets) = net.build(torch.float32)
    batches = list(zip(inputs.chunk(2), targets.chunk(2), strict=True))
    assert score(model, batches, proxy="zico").value == pytest.approx(expected, rel=0.02)


def test_a_batch_norm_in_train_mode_normalises_each_batch_of_a_list_by_itself() -> None:
    net = NETWORKS["cnn_train"]
    model, batches = batches_of(net, 2)
    with pytest.warns(LswagWarning, match="BatchNorm in train mode"):
        value = score(model, batches, proxy="zico").value
    assert value == pytest.approx(reference.zico(batch_gradients(net, 2)), rel=1e-6)


def test_micro_batches_are_a_list_of_their_batches() -> None:
    net = NETWORKS["mlp"]
    model, batches = batches_of(net, 2)
    whole = found(net, "zico", variance="microbatch:2")
    assert score(model, batches, proxy="zico").value == pytest.approx(whole, rel=1e-9)


def test_the_scale_of_the_loss_cancels_in_zico_only() -> None:
    model, batch = NETWORKS["mlp"].build()

    def tripled(outputs: Tensor, targets: Tensor) -> Tensor:
        return 3 * F.cross_entropy(outputs, targets, reduction="none")

    assert score(model, batch, proxy="zico", loss_fn=tripled).value == pytest.approx(
        score(model, batch, proxy="zico").value, rel=1e-9
    )
    assert score(model, batch, proxy="xi_gsnr", loss_fn=tripled).value > score(model, batch, proxy="xi_gsnr").value


@pytest.mark.parametrize("proxy", ["zico", "xi_gsnr"])
def test_the_order_of_the_samples_does_not_matter(net: Network, proxy: str) -> None:
    model, (inputs, targets) = net.build()
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))
    shuffled = score(model, (inputs[order], targets[order]), proxy=proxy).value
    assert shuffled == pytest.approx(found(net, proxy), rel=1e-9)


def test_zico_needs_the_mean_of_the_magnitudes() -> None:
    with pytest.raises(InputError, match="zico needs the mean of"):
        found(NETWORKS["mlp"], "zico", gradient="signed")


def test_zico_refuses_another_sigma() -> None:
    with pytest.raises(InputError, match="sigma must be 'signed' or 'abs', got 'both'"):
        found(NETWORKS["mlp"], "zico", proxy_options={"zico": {"sigma": "both"}})


@pytest.mark.parametrize("option", [{"variance": "microbatch:2"}, {"chunk_size": 2}])
def test_a_list_of_batches_is_its_own_chunks(option: dict[str, Any]) -> None:
    model, batches = batches_of(NETWORKS["mlp"], 2)
    with pytest.raises(InputError, match="leave variance, chunk_size, gradient_samples and fidelity out"):
        score(model, batches, proxy="zico", **option)


def test_xi_gsnr_of_gradients_that_do_not_vary_is_an_error() -> None:
    model, batch = NETWORKS["mlp"].build()
    with pytest.raises(ZeroVarianceError, match="xi_gsnr: no gradient of the 3 observed"):
        score(model, batch, proxy="xi_gsnr", loss_fn=lambda outputs, targets: 0 * outputs.sum(1))
