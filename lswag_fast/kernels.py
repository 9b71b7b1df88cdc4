"""Typed calls into the native kernels: the only importer of the binary extension.

Arguments are checked here once; tensors go to the kernels as plain views (address, dtype, sizes, strides), whatever
their strides. The kernels run on `torch.get_num_threads()` threads and give the same bits for any number of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

# Before the extension: both then use the OpenMP runtime that torch brought.
import torch
from torch import Tensor

from lswag_fast.errors import BackendUnavailableError, InputError

_IMPORT_ERROR: ImportError | None = None
try:
    from lswag_fast import _core
except ImportError as error:
    _IMPORT_ERROR = error

ROW_BLOCK = 8
"""Output rows per block: the unit of `row_blocks`."""

WORD_BITS = 64
"""Bits per pattern word."""

MAX_DIMS = 8
"""Axes that a view in the kernels can have."""

_DTYPE_NAMES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}


def _require_core() -> None:
    if _IMPORT_ERROR is not None:
        raise BackendUnavailableError(
            f"the binary extension lswag_fast._core cannot be imported ({_IMPORT_ERROR}); install the package with "
            "`pip install .`, which needs a C++17 compiler"
        ) from _IMPORT_ERROR


@contextmanager
def _native() -> Iterator[None]:
    """Around calls into the extension: it must be there, and have the instruction set that was asked for."""
    _require_core()
    try:
        yield
    except _core.IsaError as error:
        raise BackendUnavailableError(str(error)) from error


def _view(tensor: Tensor, name: str) -> _core.View:
    if tensor.device.type != "cpu":
        raise BackendUnavailableError(
            f"{name} lies on {tensor.device}, but the kernels of this build run on the CPU only: move the model and "
            "the batch there"
        )
    if tensor.layout != torch.strided or tensor.dtype not in _DTYPE_NAMES:
        raise InputError(
            f"{name} is {tensor.layout} {tensor.dtype}; the kernels take strided float32, float64, bfloat16 or float16"
        )
    if tensor.ndim > MAX_DIMS:
        raise InputError(f"{name} has {tensor.ndim} dimensions; the kernels take at most {MAX_DIMS}")
    _require_core()
    dtype = getattr(_core.DType, _DTYPE_NAMES[tensor.dtype])
    return _core.View(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())


# ---- the machine ----


class BuildFacts(NamedTuple):
    """What the binary extension was built from and with."""

    version: str
    compiler: str
    build_type: str
    isas: tuple[str, ...]
    """Instruction sets compiled in, best first; the machine may lack some."""


def build_facts() -> BuildFacts:
    """What was baked into the binary extension. Raises BackendUnavailableError if there is none."""
    _require_core()
    return BuildFacts(_core.version, _core.compiler, _core.build_type, tuple(_core.isa_compiled()))


def isa_list() -> list[str]:
    """Instruction sets that this build and this machine share, best first."""
    _require_core()
    return _core.isa_list()


def isa_active() -> str:
    """The instruction set in use: the best, or the one `set_isa` or the environment variable `LSWAG_ISA` names.

    Raises BackendUnavailableError if that one is not available here.
    """
    with _native():
        return _core.isa_active()


def set_isa(name: str | None) -> None:
    """Force an instruction set for the process, over `LSWAG_ISA`; None gives the choice back.

    Raises BackendUnavailableError, listing what is available, if there is no such set here.
    """
    with _native():
        _core.set_isa(name or "")


def fma_loop(isa: str, n_iterations: int, n_threads: int | None = None) -> float:
    """Run fused multiply-adds in registers and return the operations done: time it for the machine's peak."""
    with _native():
        return _core.fma_loop(isa, n_iterations, n_threads or torch.get_num_threads())


# ---- statistics of gradients ----


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
    first chunk fixes so that squares of tiny or huge gradients stay in range.
    """

    count: int
    mean: Tensor
    m2: Tensor
    signed_mean: Tensor | None
    exponent: int = 0

    @classmethod
    def empty(cls, n_rows: int, n_columns: int, dtype: torch.dtype, totals: bool = False) -> Moments:
        """A fresh state: float64 where the operands are (`dtype`), else float32."""
        compute = torch.float64 if dtype == torch.float64 else torch.float32
        mean = torch.zeros((n_rows, n_columns), dtype=compute)
        return cls(0, mean, torch.zeros_like(mean), torch.zeros_like(mean) if totals else None)

    @property
    def total(self) -> Tensor | None:
        """Sum over the samples so far of the signed gradients, (O, K); None without totals."""
        if self.signed_mean is None:
            return None
        return torch.ldexp(self.signed_mean * self.count, torch.tensor(-self.exponent))


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


def _native_moments(moments: Moments, shape: tuple[int, int], dtype: torch.dtype, totals: bool) -> _core.Moments:
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
    return _core.Moments(
        moments.count, moments.exponent, addresses["mean"], addresses["m2"], addresses.get("signed_mean", 0)
    )


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
        BackendUnavailableError: the tensors are not on the CPU, or the extension or instruction set is missing.
    """
    if not calls:
        raise InputError("calls is empty; gradient_stats needs at least one (x, grad_out)")
    if gradient not in ("abs", "signed"):
        raise InputError(f"gradient is {gradient!r}; use 'abs' or 'signed'")
    _require_core()
    views = [(_view(x, f"x of call {k}"), _view(g, f"grad_out of call {k}")) for k, (x, g) in enumerate(calls)]
    state = None
    if moments is not None:
        wide = any(tensor.dtype == torch.float64 for call in calls for tensor in call)
        compute = torch.float64 if wide else torch.float32
        state = _native_moments(moments, _weight_shape(*calls[0], conv), compute, totals)
    geometry = None
    if conv is not None:
        geometry = _core.ConvGeometry(conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
    weight_view = _view(weight, "weight") if totals and weight is not None else None
    threads = torch.get_num_threads()
    try:
        with _native():
            found = _core.gradient_stats(
                views, geometry, gradient == "abs", row_blocks, state, totals, weight_view, xi, threads
            )
    except ValueError as error:
        shapes = [(tuple(x.shape), tuple(g.shape)) for x, g in calls]
        raise InputError(f"gradient_stats: {error} (shapes of x and grad_out: {shapes})") from error
    if moments is not None and state is not None:
        moments.count, moments.exponent = state.count, state.exponent
    return _typed_stats(found, totals, weight is not None, gradient == "abs")


def _typed_stats(found: _core.GradientStats, totals: bool, weighted: bool, absolute: bool) -> GradientStats:
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


# ---- activation patterns ----

PatternLayout = Literal["neuron", "sample"]

_LAYOUT_NAMES = {"neuron": "neuron_major", "sample": "sample_major"}


def pack_signs(y: Tensor, n_samples: int, layout: PatternLayout = "neuron") -> Tensor:
    """Pack the signs of an activation into bits: 1 where y > 0, 0 where it is not (NaN and -0.0 are not).

    y is (S_all, ...) with any strides, float32, float64, bfloat16 or float16; the first `n_samples` = S of axis 0 are
    packed. V is the product of the other axes; neurons are numbered in their row-major order whatever the strides are.
    Returns int64 words of 64 bits, unused high bits zero:
    "neuron" gives (V, ceil(S/64)), sample s in bit s % 64 of word s // 64: one pattern a row, as in Definition 1 of
    L-SWAG, for `count_distinct`;
    "sample" gives (S, ceil(V/64)), neuron v in bit v % 64 of word v // 64: one code a row, as in NWOT, for `hamming`.
    Subnormal numbers are positive also when the process flushes them (`torch.set_flush_denormal`).

    Raises InputError for another dtype or layout name or an `n_samples` outside 1..S_all, BackendUnavailableError for
    a tensor that is not on the CPU.
    """
    if layout not in _LAYOUT_NAMES:
        raise InputError(f"layout is {layout!r}; it must be one of {', '.join(_LAYOUT_NAMES)}")
    if y.ndim < 1 or not 1 <= n_samples <= y.shape[0]:
        raise InputError(f"n_samples is {n_samples}, but y has shape {tuple(y.shape)}: take 1 up to the size of axis 0")
    if y.ndim > MAX_DIMS:
        y = y.flatten(1)  # under the same name, since the view only borrows the memory
    view = _view(y, "y")
    n_neurons = math.prod(y.shape[1:])
    rows, bits = (n_neurons, n_samples) if layout == "neuron" else (n_samples, n_neurons)
    out = torch.empty((rows, -(-bits // WORD_BITS)), dtype=torch.int64)
    native_layout = getattr(_core.Layout, _LAYOUT_NAMES[layout])
    with _native():
        _core.pack_signs(view, n_samples, native_layout, out.data_ptr(), torch.get_num_threads())
    return out


def _words(words: Tensor, name: str) -> Tensor:
    if words.dtype != torch.int64 or words.ndim != 2 or words.device.type != "cpu":
        raise InputError(
            f"{name} is {words.dtype} of shape {tuple(words.shape)} on {words.device}; it must be int64 with two axes "
            "on the CPU, as pack_signs gives"
        )
    return words.contiguous()


def count_distinct(words: Tensor | Sequence[Tensor], n_bits: int) -> int:
    """Count the distinct rows of packed words, exactly: the cardinality of a set of patterns (L-SWAG, Eq. 8).

    `words` is (V, W) int64, or several such with one W: then the count is that of the union of their rows. Only the low
    `n_bits` bits of a row count, so patterns of S samples can be read as patterns of fewer. No rows count 0.

    Raises InputError if the arrays differ in W, or are not int64 of two axes, or `n_bits` is outside 1..64 W.
    """
    several = [words] if isinstance(words, Tensor) else words
    arrays = [_words(array, f"words[{index}]") for index, array in enumerate(several)]
    widths = sorted({array.shape[1] for array in arrays})
    if len(widths) != 1:
        raise InputError(f"the arrays have {widths} words a row; one number is needed, the same for all")
    if not 1 <= n_bits <= WORD_BITS * widths[0]:
        raise InputError(f"n_bits is {n_bits}, but a row of {widths[0]} words holds 1..{WORD_BITS * widths[0]}")
    pointers = [array.data_ptr() for array in arrays]
    with _native():
        return _core.count_distinct(pointers, [array.shape[0] for array in arrays], widths[0], n_bits)


def hamming(words: Tensor, n_neurons: int) -> Tensor:
    """Count, for each pair of samples, the neurons on which their signs agree: V minus the Hamming distance (NWOT).

    `words` is (S, W) int64 as `pack_signs(..., layout="sample")` gives it; its first `n_neurons` bits a row count.
    Returns (S, S) int64, symmetric, with `n_neurons` on the diagonal.

    Raises InputError if `words` is not int64 of two axes, or has too few bits a row.
    """
    words = _words(words, "words")
    n_samples, width = words.shape
    if not 0 <= n_neurons <= WORD_BITS * width:
        raise InputError(f"n_neurons is {n_neurons}, but a row of {width} words holds 0..{WORD_BITS * width}")
    out = torch.empty((n_samples, n_samples), dtype=torch.int64)
    with _native():
        _core.hamming(words.data_ptr(), n_samples, width, n_neurons, out.data_ptr(), torch.get_num_threads())
    return out
