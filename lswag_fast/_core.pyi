from collections.abc import Sequence

version: str
compiler: str
build_type: str

N_GRADIENT_SUMS: int

class IsaError(RuntimeError): ...
class CudaError(RuntimeError): ...

class DType:
    f32: DType
    f64: DType
    bf16: DType
    f16: DType

class Layout:
    neuron_major: Layout
    sample_major: Layout

class View:
    def __init__(self, data: int, dtype: DType, size: Sequence[int], stride: Sequence[int]) -> None: ...

class ConvGeometry:
    def __init__(
        self,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> None: ...

class Moments:
    def __init__(self, count: int, exponent: int, mean: int, m2: int, signed_mean: int) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def exponent(self) -> int: ...

class GradientStats:
    n_weights: int
    n_zero_variance: int
    n_nonfinite: int
    sum_inv_sigma: float
    sum_mu_over_sigma: float
    sum_gsnr: float
    sum_mean_abs_over_sigma: float
    sum_squared_total: float
    sum_weight_gradient: float
    sum_abs_weight_gradient: float

class GradientJob:
    def __init__(
        self,
        calls: Sequence[tuple[View, View]],
        conv: ConvGeometry | None,
        absolute: bool,
        row_blocks: Sequence[int] | None,
        moments: Moments | None,
        totals: bool,
        weight: View | None,
        xi: float,
    ) -> None: ...

class Stream:
    def __init__(self, device: int, handle: int) -> None: ...

def gradient_stats(job: GradientJob, n_threads: int) -> GradientStats: ...
def pack_signs(y: View, n_samples: int, layout: Layout, out: int, n_threads: int) -> None: ...
def count_distinct(words: Sequence[int], n_rows: Sequence[int], words_per_row: int, n_bits: int) -> int: ...
def agreement_counts(
    words: int, n_samples: int, words_per_sample: int, n_neurons: int, out: int, n_threads: int
) -> None: ...
def isa_compiled() -> list[str]: ...
def isa_list() -> list[str]: ...
def isa_active() -> str: ...
def set_isa(name: str) -> None: ...
def fma_loop(isa: str, n_iterations: int, n_threads: int) -> float: ...
def cuda_build() -> tuple[str, str]: ...
def cuda_driver_version() -> int: ...
def cuda_pack_signs(y: View, n_samples: int, layout: Layout, out: int, stream: Stream) -> None: ...
def cuda_count_distinct_bytes(n_rows: Sequence[int]) -> int: ...
def cuda_count_distinct(
    words: Sequence[int],
    n_rows: Sequence[int],
    words_per_row: int,
    n_bits: int,
    workspace: int,
    out: int,
    stream: Stream,
) -> None: ...
def cuda_agreement_counts(
    words: int, n_samples: int, words_per_sample: int, n_neurons: int, out: int, stream: Stream
) -> None: ...
def cuda_gradient_stats_bytes(job: GradientJob) -> int: ...
def cuda_gradient_stats(
    job: GradientJob, tf32: bool, workspace: int, exponent: int, sums: int, stream: Stream
) -> int: ...
def cuda_read_sums(n_weights: int, sums: Sequence[float]) -> GradientStats: ...
