"""Statistics of per-sample gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.kernels import device
from lswag_fast.kernels.binary import core, native, require_core, view

ROW_BLOCK = 8
"""Output rows per block: the unit of `row_blocks`."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class ConvGeometry:
    """A convolution as torch describes it, with 1 or 2 spatial dimensions (one entry each)."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@dataclass
class Moments:
    """Running state of `gradient_stats` over chunks of a batch; 2 x the weight's memory, 3 x with totals.

    The tensors are (O, K), K the columns of the weight as a matrix. They hold gradients times 2**exponent, which the
    first chunk fixes so that squares of tiny or huge gradients stay in range. The exponent is one int32.
    """

    count: int
    mean: Tensor
    m2: Tensor
    signed_mean: Tensor | None
    exponent: Tensor

    @classmethod
    def empty(
        cls,
        n_rows: int,
        n_columns: int,
        dtype: torch.dtype,
        totals: bool = False,
        device: torch.device | str = "cpu",
    ) -> Moments:
        """A fresh state: float64 where the operands are (`dtype`), else float32; on the operands' `device`."""
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        mean = torch.zeros((n_rows, n_columns), dtype=compute, device=device)
        exponent = torch.zeros(1, dtype=torch.int32, device=device)
        return cls(0, mean, torch.zeros_like(mean), torch.zeros_like(mean) if totals else None, exponent)

    @property
    def total(self) -> Tensor | None:
        """Sum over the samples so far of the signed gradients, (O, K); None without totals."""
        if self.signed_mean is None:
            return None
        return torch.ldexp(self.signed_mean * self.count, -self.exponent)


@dataclass(frozen=True)
class GradientStats:
    """Sums over the weights that were looked at. mu, sigma: mean and population deviation over the samples."""

    n_weights: int
    n_zero_variance: int
    n_nonfinite: int
    sum_inv_sigma: float
    """Sum of 1/sigma over the weights with finite, positive variance (L-SWAG, Eq. 1)."""
    sum_mu_over_sigma: float
    """Sum of mu/sigma over the same weights (ZiCo)."""
    sum_mean_abs_over_sigma: float | None
    """Sum of E|g| / sigma, sigma the deviation of the signed gradient g (ZiCo's code); needs gradient="abs"."""
    sum_gsnr: float | None
    """Sum of (E g)^2 / (Var g + xi), g the signed gradient, over all finite weights."""
    sum_squared_total: float | None
    """Sum of G^2, G the sum over the samples of g (the squared gradient norm)."""
    sum_weight_gradient: float | None
    """Sum of w G."""
    sum_abs_weight_gradient: float | None
    """Sum of |w G|."""


def _native_moments(
    moments: Moments, calls: Sequence[tuple[Tensor, Tensor]], conv: ConvGeometry | None, totals: bool, on_cpu: bool
) -> core.Moments:
    """The state as the kernels see it, checked against what the calls need."""
    shape = _weight_shape(*calls[0], conv)
    wide = any(tensor.dtype == torch.float64 for call in calls for tensor in call)
    dtype = torch.float64 if wide else torch.float32
    tensors = {"mean": moments.mean, "m2": moments.m2}
    if totals:
        if moments.signed_mean is None:
            raise InputError("moments were made without totals; use Moments.empty(..., totals=True)")
        tensors["signed_mean"] = moments.signed_mean
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shape or tensor.dtype != dtype or not tensor.is_contiguous():
            raise InputError(
                f"moments.{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; this weight needs a contiguous "
                f"{dtype} of shape {shape}"
            )
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    exponent = int(moments.exponent) if on_cpu else 0  # a device reads it where it lies
    return core.Moments(moments.count, exponent, addresses["mean"], addresses["m2"], addresses.get("signed_mean", 0))


def _weight_shape(x: Tensor, grad_out: Tensor, conv: ConvGeometry | None) -> tuple[int, int]:
    """Rows and columns of the weight as a matrix."""
    if x.ndim < 2 or grad_out.ndim < 2:
        raise InputError(
            f"x has shape {tuple(x.shape)} and grad_out {tuple(grad_out.shape)}: samples and features needed"
        )
    if conv is None:
        return grad_out.shape[-1], x.shape[-1]
    taps = 1
    for size in conv.kernel_size:
        taps *= size
    return grad_out.shape[1], x.shape[1] // max(conv.groups, 1) * taps


class PendingStats:
    """Statistics that a device may still be computing."""

    def __init__(self, compute: Callable[[], GradientStats]) -> None:
        self._compute = compute
        self._result: GradientStats | None = None

    def result(self) -> GradientStats:
        """The statistics; on a CUDA device, waits for them the first time."""
        if self._result is None:
            self._result = self._compute()
        return self._result


def gradient_stats(
    calls: Sequence[tuple[Tensor, Tensor]],
    *,
    conv: ConvGeometry | None = None,
    gradient: Literal["abs", "signed"] = "abs",
    row_blocks: Sequence[int] | None = None,
    moments: Moments | None = None,
    totals: bool = False,
    weight: Tensor | None = None,
    xi: float = 1e-8,
) -> GradientStats:
    """Statistics over the samples b of the per-sample gradients G_b of one weight, which are never stored.

    Each call is (x, grad_out), any strides. Linear: x (B, *positions, I), grad_out (B, *positions, O), up to 6
    position dimensions, G_b = sum_t grad_out[b, t] x[b, t]^T of shape (O, I). Convolution (`conv` given): x (B, C, W)
    or (B, C, H, W), grad_out (B, O, ...), G_b of shape (O, C/groups, *kernel_size). Several calls are several uses of
    one weight: G_b is their sum. Variances are over the population (divided by B).

    Args:
        calls: at least one; all with the same B >= 1 and the same features.
        conv: the geometry of the convolution; None for a linear call.
        gradient: take moments of |G_b| ("abs") or of G_b ("signed").
        row_blocks: increasing indices of blocks of `ROW_BLOCK` output rows; only these are computed and summed.
        moments: state of earlier chunks, updated in place; the result is then over all samples so far.
        totals: also compute what depends on the signed sum of the gradients.
        weight: (O, ...) in torch's order; with `totals`, adds the sums of w G and |w G|.
        xi: the constant of the gradient signal-to-noise ratio.

    Float32, bfloat16 and float16 are computed in float32, anything with a float64 operand in float64; sums over weights
    are float64. Operands are scaled by powers of two, exactly, so that gradients as small as 1e-25 or as large as 1e25
    have a variance. Gradients that differ from the first samples' magnitude by more than about 1e15 can still under- or
    overflow; overflown ones count as non-finite.

    Raises:
        InputError: shapes or dtypes do not fit.
        BackendUnavailableError: no kernels for the device in this build, or no extension or instruction set.
    """
    return start_gradient_stats(
        calls,
        conv=conv,
        gradient=gradient,
        row_blocks=row_blocks,
        moments=moments,
        totals=totals,
        weight=weight,
        xi=xi,
    ).result()


def start_gradient_stats(
    calls: Sequence[tuple[Tensor, Tensor]],
    *,
    conv: ConvGeometry | None = None,
    gradient: Literal["abs", "signed"] = "abs",
    row_blocks: Sequence[int] | None = None,
    moments: Moments | None = None,
    totals: bool = False,
    weight: Tensor | None = None,
    xi: float = 1e-8,
) -> PendingStats:
    """As `gradient_stats`, but a CUDA device is not waited for: read the result at the end of a pass.

    float32 is multiplied exactly there, or in TF32 (10 bits of mantissa) where `torch.set_float32_matmul_precision`
    allows it.
    """
    if not calls:
        raise InputError("calls is empty; gradient_stats needs at least one (x, grad_out)")
    if gradient not in ("abs", "signed"):
        raise InputError(f"gradient is {gradient!r}; use 'abs' or 'signed'")
    require_core()
    weight = weight if totals else None
    stream = device.stream_of(_named_tensors(calls, moments, weight))
    state = None if moments is None else _native_moments(moments, calls, conv, totals, stream is None)
    job = core.GradientJob(
        [(view(x, f"x of call {k}"), view(g, f"grad_out of call {k}")) for k, (x, g) in enumerate(calls)],
        None if conv is None else core.ConvGeometry(*astuple(conv)),
        gradient == "abs",
        row_blocks,
        state,
        totals,
        None if weight is None else view(weight, "weight"),
        xi,
    )
    try:
        with native():
            read = _start_on_cpu(job) if stream is None else _start_on_device(job, calls[0][0].device, moments, stream)
    except ValueError as error:
        shapes = [(tuple(x.shape), tuple(g.shape)) for x, g in calls]
        raise InputError(f"gradient_stats: {error} (shapes of x and grad_out: {shapes})") from error
    if moments is not None and state is not None:
        moments.count = state.count
        if stream is None:
            moments.exponent.fill_(state.exponent)
    weighted, absolute = weight is not None, gradient == "abs"
    return PendingStats(lambda: _typed_stats(read(), totals, weighted, absolute))


def _named_tensors(calls: Sequence[tuple[Tensor, Tensor]], moments: Moments | None, weight: Tensor | None) -> Tensors:
    named = {f"x of call {k}": x for k, (x, _) in enumerate(calls)}
    named |= {f"grad_out of call {k}": grad_out for k, (_, grad_out) in enumerate(calls)}
    if moments is not None:
        named["moments.mean"] = moments.mean
    if weight is not None:
        named["weight"] = weight
    return named


def _start_on_cpu(job: core.GradientJob) -> Callable[[], core.GradientStats]:
    found = core.gradient_stats(job, torch.get_num_threads())
    return lambda: found


def _start_on_device(
    job: core.GradientJob, where: torch.device, moments: Moments | None, stream: core.Stream
) -> Callable[[], core.GradientStats]:
    tf32 = torch.get_float32_matmul_precision() != "highest"
    workspace = torch.empty(core.cuda_gradient_stats_bytes(job), dtype=torch.uint8, device=where)
    sums = torch.empty(core.N_GRADIENT_SUMS, dtype=torch.float64, device=where)
    exponent = 0 if moments is None else moments.exponent.data_ptr()
    n_weights = core.cuda_gradient_stats(job, tf32, workspace.data_ptr(), exponent, sums.data_ptr(), stream)
    return lambda: core.cuda_read_sums(n_weights, sums.tolist())


def _typed_stats(found: core.GradientStats, totals: bool, weighted: bool, absolute: bool) -> GradientStats:
    return GradientStats(
        n_weights=found.n_weights,
        n_zero_variance=found.n_zero_variance,
        n_nonfinite=found.n_nonfinite,
        sum_inv_sigma=found.sum_inv_sigma,
        sum_mu_over_sigma=found.sum_mu_over_sigma,
        sum_mean_abs_over_sigma=found.sum_mean_abs_over_sigma if totals and absolute else None,
        sum_gsnr=found.sum_gsnr if totals else None,
        sum_squared_total=found.sum_squared_total if totals else None,
        sum_weight_gradient=found.sum_weight_gradient if totals and weighted else None,
        sum_abs_weight_gradient=found.sum_abs_weight_gradient if totals and weighted else None,
    )
