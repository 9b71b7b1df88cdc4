"""gradient_stats where numbers or shapes are extreme: few samples, no positions, tiny gradients, chunks, bad input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.cpu.gradient_oracle import FLOAT64, assert_close, check, linear_gradients, stats_of
from lswag_fast import kernels
from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.kernels import ConvGeometry, GradientStats, Moments, gradient_stats

# Every way in which a gradient is formed: (conv, x shape, grad_out shape)
FORMS: dict[str, tuple[ConvGeometry | None, tuple[int, ...], tuple[int, ...]]] = {
    "many_positions": (None, (12, 20, 30), (12, 20, 17)),
    "few_positions": (None, (12, 30), (12, 17)),
    "conv": (ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 1), (12, 5, 6, 7), (12, 17, 6, 7)),
    "depthwise": (ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 17), (12, 17, 6, 7), (12, 17, 6, 7)),
}


def _operands(form: str, generator: torch.Generator) -> tuple[ConvGeometry | None, Tensor, Tensor]:
    conv, x_shape, grad_shape = FORMS[form]
    return conv, torch.randn(x_shape, generator=generator), torch.randn(grad_shape, generator=generator)


@pytest.mark.parametrize("form", FORMS)
def test_two_samples(form: str, isa: str, generator: torch.Generator) -> None:
    """Sigma is then |G_0 - G_1| / 2, which cancels freely: float64, and a tolerance for its smallest values."""
    conv, x, grad_out = _operands(form, generator)
    check([(x[:2].double(), grad_out[:2].double())], conv=conv, tolerance=1e3 * FLOAT64)


@pytest.mark.parametrize("form", FORMS)
def test_one_sample_has_no_variance(form: str, isa: str, generator: torch.Generator) -> None:
    conv, x, grad_out = _operands(form, generator)
    stats = gradient_stats([(x[:1], grad_out[:1])], conv=conv)
    assert stats.n_zero_variance == stats.n_weights > 0
    assert stats["sum_inv_sigma"] == stats["sum_mu_over_sigma"] == 0
    assert "sum_gsnr" not in stats


@pytest.mark.parametrize("form", FORMS)
def test_equal_samples_have_exactly_no_variance(form: str, isa: str, generator: torch.Generator) -> None:
    conv, x, grad_out = _operands(form, generator)
    same = (x[:1].expand(x.shape), grad_out[:1].expand(grad_out.shape))
    stats = gradient_stats([same], conv=conv)
    assert stats.n_zero_variance == stats.n_weights


def test_no_positions(isa: str) -> None:
    stats = gradient_stats([(torch.zeros(3, 0, 7), torch.zeros(3, 0, 5))], batch_gradient=True)
    measured = {statistic.name for statistic in kernels.statistics() if "weight" not in statistic.needs}
    assert stats == GradientStats(35, {**dict.fromkeys(measured, 0.0), "n_zero_variance": 35.0})


@pytest.mark.parametrize("shapes", [((3, 4, 0), (3, 4, 5)), ((3, 4, 5), (3, 4, 0))])
def test_no_weights(shapes: tuple[tuple[int, ...], tuple[int, ...]], isa: str) -> None:
    assert gradient_stats([(torch.zeros(shapes[0]), torch.zeros(shapes[1]))]).n_weights == 0


@pytest.mark.parametrize("form", FORMS)
def test_zero_variance_is_counted(form: str, isa: str, generator: torch.Generator) -> None:
    conv, x, grad_out = _operands(form, generator)
    row = 3
    grad_out.select(1 if conv else -1, row).zero_()
    check([(x, grad_out)], conv=conv)
    stats = gradient_stats([(x, grad_out)], conv=conv)
    assert stats.n_zero_variance == stats.n_weights // 17


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", FORMS)
def test_nonfinite_is_counted(form: str, value: float, isa: str, generator: torch.Generator) -> None:
    """One bad element in a later sample makes its row non-finite; the other rows' sums do not see it."""
    conv, x, grad_out = _operands(form, generator)
    bad = grad_out.clone()
    bad.select(1 if conv else -1, 3)[7] = value
    stats = gradient_stats([(x, bad)], conv=conv)
    assert stats.n_nonfinite == stats.n_weights // 17
    grad_out.select(1 if conv else -1, 3).zero_()
    without = gradient_stats([(x, grad_out)], conv=conv)
    assert stats["sum_inv_sigma"] == without["sum_inv_sigma"]


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("form", FORMS)
def test_tiny_and_huge_gradients(form: str, scale: float, isa: str, generator: torch.Generator) -> None:
    """Squares of these leave float32: the operands are scaled inside."""
    conv, x, grad_out = _operands(form, generator)
    check([(x, grad_out * scale)], conv=conv)
    check([(x * scale, grad_out)], conv=conv)


def test_both_operands_tiny(isa: str, generator: torch.Generator) -> None:
    _, x, grad_out = _operands("many_positions", generator)
    check([(x * 1e-30, grad_out * 1e-30)])


@settings(max_examples=20, deadline=None)
@given(exponent=st.integers(-60, 60), form=st.sampled_from(sorted(FORMS)), seed=st.integers(0, 2**16))
def test_scaling_law_is_exact(exponent: int, form: str, seed: int) -> None:
    conv, x, grad_out = _operands(form, torch.Generator().manual_seed(seed))
    base = gradient_stats([(x, grad_out)], conv=conv)
    scaled = gradient_stats([(x, grad_out * 2.0**exponent)], conv=conv)
    assert scaled.values == {**base.values, "sum_inv_sigma": base["sum_inv_sigma"] * 2.0**-exponent}


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(12)), form=st.sampled_from(sorted(FORMS)))
def test_order_of_samples_does_not_matter(order: list[int], form: str) -> None:
    conv, x, grad_out = _operands(form, torch.Generator().manual_seed(3))
    base = gradient_stats([(x, grad_out)], conv=conv)
    shuffled = gradient_stats([(x[order], grad_out[order])], conv=conv)
    # Rounding only, as between any two orders of a float32 sum.
    assert shuffled["sum_inv_sigma"] == pytest.approx(base["sum_inv_sigma"], rel=1e-5)
    assert shuffled["sum_mu_over_sigma"] == pytest.approx(base["sum_mu_over_sigma"], rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("form", FORMS)
def test_chunks_equal_the_whole(
    form: str, gradient: str, dtype: torch.dtype, isa: str, generator: torch.Generator
) -> None:
    conv, x, grad_out = _operands(form, generator)
    x, grad_out = x.to(dtype), grad_out.to(dtype) * 1e-3
    n_columns = x.shape[-1] if conv is None else x.shape[1] // conv.groups * 9
    weight = torch.randn(17, n_columns, generator=generator)
    options = {"conv": conv, "gradient": gradient, "batch_gradient": True, "weight": weight}
    whole = gradient_stats([(x, grad_out)], **options)
    moments = Moments.empty(17, n_columns, dtype, batch_gradient=True)
    for chunk in (slice(0, 5), slice(5, 6), slice(6, 12)):
        merged = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments, **options)
    assert moments.count == 12
    # Twice the rounding of one pass.
    assert_close(merged, whole, 2e-5 if dtype == torch.float32 else 1e-10)


def test_batch_gradient_of_moments(isa: str, generator: torch.Generator) -> None:
    _, x, grad_out = _operands("many_positions", generator)
    moments = Moments.empty(17, 30, torch.float32, batch_gradient=True)
    gradient_stats([(x, grad_out)], batch_gradient=True, moments=moments)
    assert moments.batch_gradient is not None
    expected = linear_gradients([(x, grad_out)]).sum(0).float()
    torch.testing.assert_close(moments.batch_gradient, expected, rtol=1e-4, atol=1e-4)


def test_gsnr_of_gradients_with_one_sign(isa: str, generator: torch.Generator) -> None:
    """Var g follows from the moments of |g| without cancellation, also for nearly constant gradients."""
    x = 1 + 1e-2 * torch.rand(16, 30, generator=generator)
    grad_out = -torch.ones(16, 17)
    found = gradient_stats([(x, grad_out)], batch_gradient=True)
    expected = stats_of(linear_gradients([(x[:, None], grad_out[:, None])]), absolute=True, weight=torch.ones(17, 30))
    assert found["sum_gsnr"] == pytest.approx(expected["sum_gsnr"], rel=1e-4)  # float32 holds 1e-2 of 1 to 1e-5


@pytest.mark.parametrize(
    ("x", "grad_out", "options", "message"),
    [
        (torch.zeros(3, 4, 5), torch.zeros(3, 5, 6), {}, "positions"),
        (torch.zeros(3, 5), torch.zeros(4, 6), {}, "samples"),
        (torch.zeros(0, 5), torch.zeros(0, 6), {}, "one sample"),
        (torch.zeros([1] * 9), torch.zeros([1] * 9), {}, "at most 8"),
        (torch.zeros(3, 5), torch.zeros(3, 6), {"row_blocks": [1]}, "row_blocks"),
        (torch.zeros(3, 5), torch.zeros(3, 17), {"row_blocks": [1, 0]}, "row_blocks"),
        (torch.zeros(3, 5, dtype=torch.int64), torch.zeros(3, 6), {}, "int64"),
        (torch.zeros(3, 5, dtype=torch.complex64), torch.zeros(3, 6), {}, "complex64"),
        (torch.zeros(3, 5), torch.zeros(3, 6), {"gradient": "square"}, "square"),
        (torch.zeros(3, 5), torch.zeros(3, 6), {"batch_gradient": True, "weight": torch.zeros(5, 6)}, "weight"),
        (torch.zeros(3, 5), torch.zeros(3, 6), {"moments": Moments.empty(5, 6, torch.float32)}, "moments.mean"),
        (torch.zeros(3, 5, 4, 4), torch.zeros(3, 6, 4, 4), {"conv": FORMS["depthwise"][0]}, "groups"),
        (torch.zeros(3, 5, 4, 4), torch.zeros(3, 6, 5, 4), {"conv": FORMS["conv"][0]}, "spatial"),
    ],
)
def test_bad_input(x: Tensor, grad_out: Tensor, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gradient_stats([(x, grad_out)], **options)  # type: ignore[arg-type]


def test_other_devices_are_refused() -> None:
    with pytest.raises(BackendUnavailableError, match="meta"):
        gradient_stats([(torch.zeros(3, 5, device="meta"), torch.zeros(3, 6))])


def test_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels.isa_list()[-1] == "baseline"
    monkeypatch.setenv("LSWAG_ISA", "baseline")
    assert kernels.isa_active() == "baseline"
    kernels.set_isa(kernels.isa_list()[0])
    assert kernels.isa_active() == kernels.isa_list()[0]
    kernels.set_isa(None)
    monkeypatch.setenv("LSWAG_ISA", "mmx")
    with pytest.raises(BackendUnavailableError, match="baseline"):
        gradient_stats([(torch.zeros(3, 5), torch.zeros(3, 6))])
    with pytest.raises(BackendUnavailableError, match="sse9"):
        kernels.set_isa("sse9")
