"""The list of statistics, and how those of the parts of a weight become those of the weight."""

from __future__ import annotations

import pytest
import torch

from lswag_fast import kernels, reference
from lswag_fast.kernels import GradientStats, gradient_stats

NAMES = [statistic.name for statistic in kernels.statistics()]


def test_each_has_a_definition() -> None:
    defined = reference.gradient_statistics(torch.ones(2, 3))
    assert set(NAMES) == defined.keys() - {"n_weights"}
    assert len(set(NAMES)) == len(NAMES)


def test_names_say_how_they_combine() -> None:
    prefixes = {"count": "n_", "sum": "sum_", "max": "max_"}
    assert all(s.name.startswith(prefixes[s.combination]) for s in kernels.statistics())
    assert all(s.name in (GradientStats.__doc__ or "") for s in kernels.statistics())


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("batch_gradient", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_measured_is_what_was_asked_for(gradient: str, batch_gradient: bool, weighted: bool) -> None:
    weight = torch.ones(4, 3) if weighted else None
    call = torch.randn(5, 3), torch.randn(5, 4)
    found = gradient_stats([call], gradient=gradient, batch_gradient=batch_gradient, weight=weight)
    given = {"magnitudes"} if gradient == "abs" else set()
    given |= {"batch_gradient"} if batch_gradient else set()
    given |= {"weight"} if weighted else set()
    assert found.values.keys() == {s.name for s in kernels.statistics() if s.needs <= given}


def test_what_was_not_measured_says_what_it_needs() -> None:
    stats = gradient_stats([(torch.randn(5, 3), torch.randn(5, 4))])
    assert "sum_weight_gradient" not in stats
    with pytest.raises(LookupError, match="sum_weight_gradient was not measured: it needs batch_gradient, weight"):
        stats["sum_weight_gradient"]
    with pytest.raises(LookupError, match="no statistic is named 'sum_of_all'; there are n_zero_variance"):
        stats["sum_of_all"]


def test_parts_are_those_of_the_whole(generator: torch.Generator) -> None:
    """Rows of a weight, each kernel call some of them, against all at once."""
    x, grad_out = torch.randn(6, 7, generator=generator), torch.randn(6, 20, generator=generator)
    x, grad_out = x.double(), grad_out.double()
    options = {"batch_gradient": True, "weight": torch.randn(20, 7, generator=generator)}
    whole = gradient_stats([(x, grad_out)], **options)
    parts = [gradient_stats([(x, grad_out)], row_blocks=blocks, **options) for blocks in ([0, 2], [1])]
    combined = GradientStats.combined([(1.0, part) for part in parts])
    assert combined.n_weights == whole.n_weights
    assert combined.values == pytest.approx(dict(whole.values), rel=1e-12)


def test_only_sums_are_scaled_up() -> None:
    part = GradientStats(8, dict.fromkeys(NAMES, 3.0))
    combined = GradientStats.combined([(4.0, part)])
    scaled = {s.name: 12.0 if s.combination == "sum" else 3.0 for s in kernels.statistics()}
    assert combined.values == scaled


def test_what_one_part_lacks_the_whole_lacks() -> None:
    full, less = GradientStats(1, dict.fromkeys(NAMES, 1.0)), GradientStats(1, {"sum_inv_sigma": 2.0})
    assert GradientStats.combined([(1.0, full), (1.0, less)]).values == {"sum_inv_sigma": 3.0}
