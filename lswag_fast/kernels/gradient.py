"""Statistics of per-sample gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.kernels import device
from lswag_fast.kernels.binary import core, native, require_core, view
from lswag_fast.kernels.statistics import GradientStats, statistics

ROW_BLOCK = 8
"""Output rows per block: the unit of `row_blocks`."""

Tensors = dict[str, Tensor]
KernelResult = tuple[int, list[float]]
"""The number of elements looked at, and the statistics in the order of `statistics()`."""


@dataclass(frozen=True)
class ConvGeometry:
    """A convolution as torch describes it, with 1 or 2 spatial dimensions (one entry each).

    Example:
        >>> ConvGeometry(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1).groups
        1
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@dataclass
class Moments:
    """Running state of `gradient_stats` over chunks of a batch; twice the weight's memory, three times with the batch
    gradient.

    The tensors are (O, K), K the columns of the weight as a matrix. They hold gradients times 2**exponent, which falls
    where a later chunk has larger ones, so that squares of tiny and huge gradients stay in range.

    Attributes:
        count: samples so far.
        mean: of |g|, or of g with `gradient="signed"`.
        m2: the sum of squared differences from that mean.
        signed_mean: of g; None unless the batch gradient is asked for.
        exponent: (1,), int32.
        squares: (1,), float64: the sum over the samples of their gradients' squared size, which bounds rounding errors.

    Example:
        >>> x, grad_out = torch.ones(4, 3), torch.arange(8.0).reshape(4, 2)
        >>> moments = Moments.empty(2, 3, torch.float32)
        >>> for chunk in (slice(0, 2), slice(2, 4)):
        ...     stats = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments)
        >>> moments.count, stats == gradient_stats([(x, grad_out)])
        (4, True)
    """

    count: int
    mean: Tensor
    m2: Tensor
    signed_mean: Tensor | None
    exponent: Tensor
    squares: Tensor

    @classmethod
    def empty(
        cls,
        n_rows: int,
        n_columns: int,
        dtype: torch.dtype,
        batch_gradient: bool = False,
        device: torch.device | str = "cpu",
    ) -> Moments:
        """A fresh state: float64 where the operands are (`dtype`), else float32; on the operands' `device`."""
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        mean = torch.zeros((n_rows, n_columns), dtype=compute, device=device)
        exponent = torch.zeros(1, dtype=torch.int32, device=device)
        squares = torch.zeros(1, dtype=torch.float64, device=device)
        signed_mean = torch.zeros_like(mean) if batch_gradient else None
        return cls(0, mean, torch.zeros_like(mean), signed_mean, exponent, squares)

    def among(self, n_rows: int, places: Tensor) -> Moments:
        """The same state in a weight of more rows: row k goes to `places[k]`; of the others no gradient was but zero.

        Example:
            >>> moments = Moments.empty(1, 3, torch.float32)
            >>> _ = gradient_stats([(torch.ones(2, 3), torch.tensor([[1.0], [3.0]]))], moments=moments)
            >>> larger = moments.among(2, torch.tensor([1]))
            >>> larger.count, (larger.mean[1] == moments.mean[0]).all().item(), larger.mean[0].tolist()
            (2, True, [0.0, 0.0, 0.0])
        """

        def spread(rows: Tensor) -> Tensor:
            return rows.new_zeros(n_rows, rows.shape[1]).index_copy_(0, places, rows)

        signed_mean = None if self.signed_mean is None else spread(self.signed_mean)
        return replace(self, mean=spread(self.mean), m2=spread(self.m2), signed_mean=signed_mean)

    @property
    def batch_gradient(self) -> Tensor | None:
        """The sum over the samples so far of the signed gradients, (O, K); None where it was not kept."""
        if self.signed_mean is None:
            return None
        return torch.ldexp(self.signed_mean * self.count, -self.exponent)


def _native_moments(
    moments: Moments,
    calls: Sequence[tuple[Tensor, Tensor]],
    conv: ConvGeometry | None,
    batch_gradient: bool,
    on_cpu: bool,
) -> core.Moments:
    """The state as the kernels see it, checked against what the calls need."""
    shape = _weight_shape(*calls[0], conv)
    wide = any(tensor.dtype == torch.float64 for call in calls for tensor in call)
    dtype = torch.float64 if wide else torch.float32
    tensors = {"mean": moments.mean, "m2": moments.m2}
    if batch_gradient:
        if moments.signed_mean is None:
            raise InputError(
                "moments were made without the batch gradient; use Moments.empty(..., batch_gradient=True)"
            )
        tensors["signed_mean"] = moments.signed_mean
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shape or tensor.dtype != dtype or not tensor.is_contiguous():
            raise InputError(
                f"moments.{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; this weight needs a contiguous "
                f"{dtype} of shape {shape}"
            )
    addresses = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    # A device reads these where they lie.
    exponent, squares = (int(moments.exponent), float(moments.squares)) if on_cpu else (0, 0.0)
    signed_mean = addresses.get("signed_mean", 0)
    return core.Moments(moments.count, exponent, squares, addresses["mean"], addresses["m2"], signed_mean)


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
    batch_gradient: bool = False,
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
        batch_gradient: also compute the statistics that need the signed sum of the gradients.
        weight: (O, ...) in torch's order; with `batch_gradient`, adds those that need the weight.
        xi: the constant of the gradient signal-to-noise ratio.

    Float32, bfloat16 and float16 are computed in float32, anything with a float64 operand in float64; sums over weights
    are float64. Operands are scaled by powers of two, exactly, so that gradients of any magnitude have a variance, and
    so do those that are up to about 1e26 times smaller than the largest possible in any sample. Below
    `lswag_fast.reference.least_deviation`, where float32 would lose the squares, a standard deviation counts as zero,
    in float64 as well. The largest is estimated from some 500 elements of each operand and sample: one that is more
    than about 1e10 times larger may overflow, and then counts as non-finite.

    On a CPU with AMX, larger float32 weights of linear calls and 1x1 convolutions are multiplied in pieces of bfloat16,
    with no larger error than that of float32 (`docs/concepts/precision.md`).

    On a CPU with AMX, a NaN or infinity in a bfloat16 operand of a convolution may count as non-finite also the weights
    whose window passes just beside it.

    Standard deviations that are rounding errors of gradients that are constant in theory count as zero;
    `lswag_fast.reference.rounding_error` is the bound, for the precision that is computed in. What cannot be told from
    the operands of one weight counts as variance: a weight all of whose grad_out is a rounding error, and errors of
    bfloat16 and float16, which are of the size of good gradients.

    Returns:
        The statistics by name; `GradientStats` lists them.

    Raises:
        InputError: shapes or dtypes do not fit.
        BackendUnavailableError: no kernels for the device in this build, or no extension or instruction set.

    Example:
        >>> x, grad_out = torch.ones(2, 3), torch.tensor([[1.0], [-3.0]])
        >>> stats = gradient_stats([(x, grad_out)], batch_gradient=True)
        >>> stats["sum_inv_sigma"], stats["sum_batch_gradient"], stats["max_abs_batch_gradient"]
        (3.0, -6.0, 2.0)
    """
    return start_gradient_stats(
        calls,
        conv=conv,
        gradient=gradient,
        row_blocks=row_blocks,
        moments=moments,
        batch_gradient=batch_gradient,
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
    batch_gradient: bool = False,
    weight: Tensor | None = None,
    xi: float = 1e-8,
) -> PendingStats:
    """As `gradient_stats`, but a CUDA device is not waited for: read the result at the end of a pass.

    float32 is multiplied exactly there, or in TF32 (10 bits of mantissa) where `torch.set_float32_matmul_precision`
    allows it.

    Example:
        >>> pending = start_gradient_stats([(torch.ones(2, 3), torch.ones(2, 1))])
        >>> pending.result().n_zero_variance
        3
    """
    if not calls:
        raise InputError("calls is empty; gradient_stats needs at least one (x, grad_out)")
    if gradient not in ("abs", "signed"):
        raise InputError(f"gradient is {gradient!r}; use 'abs' or 'signed'")
    require_core()
    weight = weight if batch_gradient else None
    stream = device.stream_of(_named_tensors(calls, moments, weight))
    state = None if moments is None else _native_moments(moments, calls, conv, batch_gradient, stream is None)
    job = core.GradientJob(
        [(view(x, f"x of call {k}"), view(g, f"grad_out of call {k}")) for k, (x, g) in enumerate(calls)],
        None
        if conv is None
        else core.ConvGeometry(conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups),
        gradient == "abs",
        row_blocks,
        state,
        batch_gradient,
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
            moments.squares.fill_(state.squares)
    given = {"batch_gradient": batch_gradient, "weight": weight is not None, "magnitudes": gradient == "abs"}
    names = frozenset(name for name, is_given in given.items() if is_given)
    return PendingStats(lambda: GradientStats.of_kernel(*read(), names))


def _named_tensors(calls: Sequence[tuple[Tensor, Tensor]], moments: Moments | None, weight: Tensor | None) -> Tensors:
    named = {}
    for k, (x, grad_out) in enumerate(calls):
        named[f"x of call {k}"] = x
        named[f"grad_out of call {k}"] = grad_out
    if moments is not None:
        named["moments.mean"] = moments.mean
    if weight is not None:
        named["weight"] = weight
    return named


def _start_on_cpu(job: core.GradientJob) -> Callable[[], KernelResult]:
    found = core.gradient_stats(job, torch.get_num_threads())
    return lambda: found


def _start_on_device(
    job: core.GradientJob, where: torch.device, moments: Moments | None, stream: core.Stream
) -> Callable[[], KernelResult]:
    tf32 = torch.get_float32_matmul_precision() != "highest"
    workspace = torch.empty(core.cuda_gradient_stats_bytes(job), dtype=torch.uint8, device=where)
    found = torch.empty(len(statistics()), dtype=torch.float64, device=where)
    exponent, squares = (0, 0) if moments is None else (moments.exponent.data_ptr(), moments.squares.data_ptr())
    n_weights = core.cuda_gradient_stats(job, tf32, workspace.data_ptr(), exponent, squares, found.data_ptr(), stream)
    return lambda: (n_weights, found.tolist())
