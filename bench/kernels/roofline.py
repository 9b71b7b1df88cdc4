"""What the kernels can reach at best, computed, not measured.

`python -m bench.kernels.roofline > bench/kernels/roofline.md`.

Flops and bytes follow from the shapes; registers and shared memory are the compiler's (`nvcc -Xptxas -v`); the devices'
peaks are their makers'. Nothing here has run on a GPU.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from bench.kernels import cpu_roofline
from bench.kernels.ptxas import Usage, compile_report

BATCH, TOKENS = 32, 197
DEPTH = 13  # blocks of the Autoformer-S architecture that the other benchmarks use
# (input features, output features) of the weights of one of its blocks.
WEIGHTS = {"qkv": (384, 1152), "proj": (384, 384), "fc1": (384, 1344), "fc2": (1344, 384)}
PATTERN_SAMPLES = 20
ENOUGH_BLOCKS, MAX_PARTS, PART_SAMPLES = 512, 8, 4  # as in csrc/cuda/gradient/plan.cpp


@dataclass(frozen=True)
class Gpu:
    """Peaks of a device: dense, in 1e12 operations and bytes per second."""

    name: str
    architecture: str
    n_multiprocessors: int
    clock: float
    """GHz, of the peaks."""
    flops: dict[str, float]
    memory: float

    @property
    def cache(self) -> float:
        """The second-level cache: 5120 bytes a clock on all of them."""
        return 5120 * self.clock / 1e3

    @property
    def shared(self) -> float:
        """Shared memory: 128 bytes a clock and multiprocessor."""
        return 128 * self.n_multiprocessors * self.clock / 1e3


GPUS = (
    Gpu("A100 SXM 80 GB", "sm_80", 108, 1.41, {"f32": 19.5, "f64": 9.7, "tf32": 156, "bf16": 312, "f16": 312}, 2.04),
    Gpu("H100 SXM", "sm_90", 132, 1.98, {"f32": 66.9, "f64": 33.5, "tf32": 495, "bf16": 989, "f16": 989}, 3.35),
    Gpu("H200 SXM", "sm_90", 132, 1.98, {"f32": 66.9, "f64": 33.5, "tf32": 495, "bf16": 989, "f16": 989}, 4.8),
)
REGISTERS, SHARED_BYTES, MAX_THREADS, MAX_BLOCKS = 65536, 164 * 1024, 2048, 32  # of a multiprocessor


@dataclass(frozen=True)
class Arithmetic:
    """A kernel of gradient_stats: tile of the weight, bytes of an operand's element and of a number of the state, and
    bytes that a warp reads from shared memory for one position."""

    rows: int
    columns: int
    element: int
    number: int
    warp_bytes: int


# Fused multiply-adds: each of 32 threads reads its 8 + 4 (float64: 4 + 4) numbers. Tensor cores: a warp reads its
# 32 + 32 numbers once.
ARITHMETICS = {
    "f32": Arithmetic(64, 64, 4, 4, 32 * 12 * 4),
    "tf32": Arithmetic(64, 64, 4, 4, 64 * 4),
    "bf16": Arithmetic(64, 64, 2, 4, 64 * 2),
    "f16": Arithmetic(64, 64, 2, 4, 64 * 2),
    "f64": Arithmetic(32, 64, 8, 8, 32 * 8 * 8),
}
THREADS = 128


def resident_blocks(usage: Usage) -> int:
    """Blocks that one multiprocessor holds at a time."""
    registers = math.ceil(usage.registers * 32 / 256) * 256 * THREADS // 32  # given out to warps in units of 256
    shared = usage.shared_bytes + 1024  # the system's own
    return min(REGISTERS // registers, SHARED_BYTES // shared, MAX_THREADS // THREADS, MAX_BLOCKS)


@dataclass(frozen=True)
class Prediction:
    """One weight on one device."""

    gflop: float
    memory_mb: float
    cache_mb: float
    n_blocks: int
    fill: float
    """Share of the block slots in use, averaged over the waves."""
    times: dict[str, float]
    """Milliseconds by what bounds them."""

    @property
    def ms(self) -> float:
        """The longest of the bounds."""
        return max(self.times.values())

    @property
    def bound(self) -> str:
        """What takes longest."""
        return max(self.times, key=lambda name: self.times[name])

    @property
    def fraction(self) -> float:
        """Of the peak of the arithmetic."""
        return self.times["peak"] / self.ms


def predict(gpu: Gpu, dtype: str, weight: str, usage: Usage) -> Prediction:
    """The bounds of gradient_stats without the batch gradient; launches and latencies are left out."""
    n_inputs, n_outputs = WEIGHTS[weight]
    kind = ARITHMETICS[dtype]
    positions, n_weights = BATCH * TOKENS, n_inputs * n_outputs
    n_tiles = math.ceil(n_outputs / kind.rows) * math.ceil(n_inputs / kind.columns)
    n_parts = max(1, min(math.ceil(ENOUGH_BLOCKS / n_tiles), BATCH // PART_SAMPLES, MAX_PARTS))
    flop = 2 * positions * n_weights
    state = 2 * n_parts * n_weights * kind.number
    memory = positions * (n_inputs + n_outputs) * kind.element + 2 * state  # read once; written, and read to finish
    cache = n_tiles * positions * (kind.rows + kind.columns) * kind.element + 2 * state
    slots = gpu.n_multiprocessors * resident_blocks(usage)
    n_blocks = n_tiles * n_parts
    fill = n_blocks / (math.ceil(n_blocks / slots) * slots)
    peak = flop / gpu.flops[dtype] / 1e9
    # A multiprocessor is at its peak with half of its slots in use; below, the loss is in proportion.
    times = {"peak": peak, "waves": peak / min(1.0, 2 * fill), "memory": memory / gpu.memory / 1e9}
    times["cache"] = cache / gpu.cache / 1e9
    times["shared"] = n_tiles * positions * THREADS // 32 * kind.warp_bytes / gpu.shared / 1e9
    return Prediction(flop / 1e9, memory / 1e6, cache / 1e6, n_blocks, fill, times)


def moments_usage(report: dict[tuple[str, str], Usage], dtype: str, architecture: str) -> Usage:
    """Of the kernel for linear calls without the batch gradient."""
    names = {"f32": "<float, 8", "f64": "<double", "tf32": "Tf32", "bf16": "Bf16", "f16": "Half"}
    for (kernel, built_for), usage in report.items():
        linear = "false, false>" in kernel
        if built_for == architecture and linear and "GradientMoments" in kernel and names[dtype] in kernel:
            return usage
    raise LookupError(f"the compiler's report has no kernel for {dtype} and {architecture}")


def gradient_table(gpu: Gpu, report: dict[tuple[str, str], Usage]) -> list[str]:
    """A table of all weights and arithmetics on one device."""
    lines = [
        f"## gradient_stats on an {gpu.name}",
        "",
        "| dtype | weight | GFLOP | memory MB | cache MB | blocks | fill | bound | ms | of peak |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for dtype in ARITHMETICS:
        usage = moments_usage(report, dtype, gpu.architecture)
        found = {weight: predict(gpu, dtype, weight, usage) for weight in WEIGHTS}
        for weight, p in found.items():
            lines.append(
                f"| {dtype} | {weight} | {p.gflop:.2f} | {p.memory_mb:.1f} | {p.cache_mb:.0f} | {p.n_blocks} | "
                f"{p.fill:.2f} | {p.bound} | {p.ms:.3f} | {p.fraction:.0%} |"
            )
        total = DEPTH * sum(p.ms for p in found.values())
        share = DEPTH * sum(p.times["peak"] for p in found.values()) / total
        lines.append(f"| {dtype} | **{DEPTH} blocks** | | | | | | | **{total:.2f}** | **{share:.0%}** |")
    return [*lines, ""]


def pattern_table() -> list[str]:
    """pack_signs, count_distinct and agreement_counts for the activation of fc1, all bound by memory."""
    n_neurons = TOKENS * WEIGHTS["fc1"][1]
    slots = 2 ** math.ceil(math.log2(1.5 * n_neurons))
    n_words = math.ceil(n_neurons / 64)
    cases = {
        f"pack_signs, float32, {PATTERN_SAMPLES} samples": 4 * PATTERN_SAMPLES * n_neurons + 8 * n_neurons,
        f"pack_signs, bfloat16, {PATTERN_SAMPLES} samples": 2 * PATTERN_SAMPLES * n_neurons + 8 * n_neurons,
        # A slot is a sector of 32 bytes, read and at worst written; the table is cleared first.
        "count_distinct": 8 * n_neurons + 8 * slots + 64 * n_neurons,
        f"agreement_counts, {BATCH} samples": 8 * BATCH * n_words * math.ceil(BATCH / 16),
    }
    lines = [
        "## Patterns of one activation of fc1",
        "",
        f"| kernel | MB | {' | '.join(f'ms {gpu.name}' for gpu in GPUS)} |",
        f"| --- | ---: |{' ---: |' * len(GPUS)}",
    ]
    for case, n_bytes in cases.items():
        times = " | ".join(f"{n_bytes / gpu.memory / 1e9:.4f}" for gpu in GPUS)
        lines.append(f"| {case} | {n_bytes / 1e6:.1f} | {times} |")
    return [*lines, "", "Each is shorter than its launch (about 0.005 ms) or near it.", ""]


def usage_table(report: dict[tuple[str, str], Usage]) -> list[str]:
    """Every kernel as it was compiled."""
    lines = [
        "## Registers, shared memory, spills",
        "",
        "| kernel | architecture | registers | shared bytes | spilled bytes |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for (kernel, architecture), usage in sorted(report.items()):
        row = f"{usage.registers} | {usage.shared_bytes} | {usage.spilled_bytes}"
        lines.append(f"| `{kernel}` | {architecture} | {row} |")
    return [*lines, ""]


def occupancy_table(report: dict[tuple[str, str], Usage]) -> list[str]:
    """How many warps of the gradient kernels a multiprocessor holds."""
    lines = [
        "## Occupancy of gradient_stats (linear, no batch gradient)",
        "",
        "| dtype | device | registers | blocks | warps of 64 |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for dtype in ARITHMETICS:
        for gpu in GPUS:
            usage = moments_usage(report, dtype, gpu.architecture)
            blocks = resident_blocks(usage)
            lines.append(f"| {dtype} | {gpu.name} | {usage.registers} | {blocks} | {blocks * THREADS // 32} |")
    return [*lines, ""]


HEADER = f"""# Roofline of the kernels

Computed by `python -m bench.kernels.roofline`, **not measured**: no kernel of this package has run on a GPU yet. The
weights are those of an Autoformer-S block, batch {BATCH}, {TOKENS} tokens.

- *GFLOP*: 2 B T I O, those of a weight gradient.
- *memory*: each operand read once, the moments of every part of the batch written and read again.
- *cache*: what the tiles read through the second-level cache; a tile of the weight reads its rows and columns of both
  operands once per sample.
- *shared*, where it bounds: what the warps read from shared memory to multiply.
- *fill*: the share of block slots in use over the waves of blocks; half is counted as enough for the peak.
- *ms*: the longest of the bounds. Latencies, launches (4 for a weight, 5 for an activation), bank conflicts and the
  arithmetic of addresses come on top. On an H100 or H200, `mma.sync`, which is used here, reaches about 60 % of the
  tensor cores' peak; the rest takes instructions (`wgmma`) that are not used.
"""


def main() -> None:
    """Print the note."""
    report = compile_report(sorted({gpu.architecture for gpu in GPUS}))
    parts = [HEADER.splitlines(), [""], *(gradient_table(gpu, report) for gpu in GPUS), pattern_table()]
    parts += [cpu_roofline.table(), occupancy_table(report), usage_table(report)]
    sys.stdout.write("\n".join(line for part in parts for line in part))


if __name__ == "__main__":
    main()
