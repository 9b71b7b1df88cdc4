"""How much arithmetic gradient_stats does for each byte, which says what bounds it on a CPU. Computed, not measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench.kernels.shapes import N_TOKENS, VIT_WEIGHTS

BYTES = 4  # of a float32
STATE = 2  # numbers for each weight: the mean and the spread


@dataclass(frozen=True)
class Shape:
    """A call on a weight: samples, positions of the output and of the input, and the sizes of the weight.

    `n_inputs` are those of one group, `taps` the positions of a convolution's kernel.
    """

    n_samples: int
    out_positions: int
    in_positions: int
    n_inputs: int
    n_outputs: int
    taps: int = 1
    groups: int = 1

    @property
    def n_weights(self) -> int:
        """Elements of the weight."""
        return self.n_outputs * self.n_inputs * self.taps

    @property
    def flop(self) -> int:
        """A multiplication and an addition for each weight, sample and position, as in a weight gradient."""
        return 2 * self.n_samples * self.out_positions * self.n_weights

    @property
    def n_bytes(self) -> int:
        """Each operand read once, the moments written once and read once."""
        channels = self.n_inputs * self.groups
        operands = self.n_samples * (self.in_positions * channels + self.out_positions * self.n_outputs)
        return BYTES * (operands + 2 * STATE * self.n_weights)


def _square(n_samples: int, side: int, n_inputs: int, n_outputs: int, kernel: int, stride: int = 1) -> Shape:
    return Shape(n_samples, (side // stride) ** 2, side**2, n_inputs, n_outputs, kernel**2)


SHAPES = {
    **{
        f"Autoformer-S, {name}": Shape(n, N_TOKENS, N_TOKENS, n_inputs, n_outputs)
        for name, (n, n_inputs, n_outputs) in VIT_WEIGHTS.items()
        if n == 32
    },
    "ResNet-50, 7x7 stem": _square(32, 224, 3, 64, 7, stride=2),
    "ResNet-50, 1x1, 256 to 64 channels": _square(32, 56, 256, 64, 1),
    "ResNet-50, 3x3, 64 channels": _square(32, 56, 64, 64, 3),
    "ResNet-50, 3x3, 512 channels": _square(32, 7, 512, 512, 3),
    "ResNet-50, classifier": Shape(32, 1, 1, 2048, 1000),
    "cell network, 3x3, 16 channels": _square(64, 32, 16, 16, 3),
    "cell network, 3x3, 64 channels": _square(64, 8, 64, 64, 3),
    "depthwise 3x3, 96 channels": Shape(32, 56**2, 56**2, 1, 96, 9, groups=96),
}


def table() -> list[str]:
    """The section of the note."""
    lines = [
        "## gradient_stats on a CPU",
        "",
        "A machine is bound by memory where a call has fewer flop for a byte than the machine does while it moves one.",
        "`pytest bench/kernels/test_kernels.py` measures both rates, and the share of them that each kernel reaches.",
        "",
        "| call, float32 | GFLOP | memory MB | flop per byte |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, shape in SHAPES.items():
        intensity = shape.flop / shape.n_bytes
        lines.append(f"| {name} | {shape.flop / 1e9:.2f} | {shape.n_bytes / 1e6:.1f} | {intensity:.1f} |")
    return [*lines, ""]
