"""The curvature pass: how the outputs bend while the inputs run along a circle; one forward, differentiated twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, NonFiniteGradientError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.double_backward import foreign_leaves
from lswag_fast.passes.registry import Pass
from lswag_fast.passes.shared.checks import model_errors, one_line, refuse_chunks
from lswag_fast.passes.shared.memory import is_out_of_memory
from lswag_fast.passes.shared.outputs import chosen_output, find_logits, real
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state

N_POINTS = 8
"""The points of the circle, evenly spaced, which go through the model as one batch."""


@dataclass(frozen=True)
class CurvatureMeasurements:
    """The curvature of the curve that the outputs run through.

    Attributes:
        curvatures: (N,) float64, at each point of the circle sqrt(|v|^2 |a|^2 - (v . a)^2) / |v|^3, v and a the first
            and the second derivative of the point's logits in the angle; 0 where the logits do not move.
    """

    curvatures: Tensor


def run_curvature(
    model: nn.Module, batch: Batch, options: ScoreOptions, statistics: frozenset[str]
) -> CurvatureMeasurements:
    """Send the circle u cos(t) + w sin(t) through the model, in its own mode.

    u and w are orthonormal, drawn from `options.seed`, in the space of each floating-point input of one sample; other
    inputs are those of the first samples. All points turn by the same angle, so that a BatchNorm in train mode, which
    normalises by the points of the circle, is a part of the curve. Attention runs with the math backend, since the
    fused ones have no second derivative. Of a list of batches the first samples count.

    Raises:
        InputError: no input is floating-point, the model returns no logits, or a chunk size.
        UnsupportedModelError: a function of the model has no second derivative.
        NonFiniteGradientError: a derivative is NaN or infinite.
    """
    refuse_chunks(options, "curvature")
    generator = torch.Generator().manual_seed(options.seed)
    points = batch.take([k % batch.n_samples for k in range(N_POINTS)])
    angle = torch.zeros((), dtype=torch.float64, device=batch.device, requires_grad=True)
    with (
        preserve_model_state(model, options.seed),
        model_errors("curvature", "on a circle of random inputs"),
        sdpa_kernel(SDPBackend.MATH),
    ):
        freeze(model)
        circle = points.map_samples(
            lambda samples: _circle(samples, angle, generator), "the curvature pass moves the inputs along a circle"
        )
        logits = _logits(chosen_output(call_model(model, circle.inputs), options.output))
        velocity, acceleration = _derivatives(logits, angle)
    return CurvatureMeasurements(_curvatures(velocity.detach().double(), acceleration.detach().double()))


def _circle(samples: Tensor, angle: Tensor, generator: torch.Generator) -> Tensor:
    """N points of the unit circle in a random plane, of the shape of `samples` (N, ...), turned by the angle."""
    if samples[0].numel() < 2:
        raise InputError("the curvature pass needs inputs of two numbers or more, in which a circle lies")
    drawn = torch.randn(samples[0].numel(), 2, generator=generator, dtype=torch.float64, device="cpu")
    plane = torch.linalg.qr(drawn).Q.to(samples.device)
    angles = angle + torch.arange(N_POINTS, dtype=torch.float64, device=samples.device) * (2 * math.pi / N_POINTS)
    turned: Tensor = torch.stack([angles.cos(), angles.sin()], dim=1) @ plane.t()
    return turned.to(samples.dtype).reshape(samples.shape)


def _logits(outputs: object) -> Tensor:
    logits = find_logits(outputs)
    if logits is None or logits.dim() == 0 or len(logits) != N_POINTS:
        found = type(outputs).__name__ if logits is None else tuple(logits.shape)
        raise InputError(f"the curvature pass needs logits with the samples along axis 0; the model returned {found}")
    return real(logits).reshape(N_POINTS, -1)


def _derivatives(values: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second derivative of each value in the angle, of the shape of `values`.

    They are zeros where there are none. The derivatives of <values, w> in the angle are linear in w, and their
    gradients in w are those of the values: so four backwards do for any number of values. The angle comes first both
    times: torch keeps the statistics of a norm as constants where it differentiates a backward in w.
    """
    zeros = torch.zeros_like(values)
    if not values.requires_grad:
        return zeros, zeros
    w = torch.ones_like(values, requires_grad=True)
    try:
        slope = _gradient(values, angle, w)
        foreign = [] if slope is None else foreign_leaves(slope, (angle, w))
        bend = _gradient(slope, angle, also=foreign)
        found = _gradient(slope, w), _gradient(bend, w)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(
            f"the curvature pass differentiates twice, which a function of the model does not allow: {one_line(error)}"
        ) from error
    return zeros if found[0] is None else found[0], zeros if found[1] is None else found[1]


def _gradient(
    of: Tensor | None, by: Tensor, direction: Tensor | None = None, also: Sequence[Tensor] = ()
) -> Tensor | None:
    """A gradient that can be differentiated itself; None where there is none.

    Autograd skips what leads to no tensor asked for, such as the stand-in leaf of a function that can be differentiated
    once only, and with it the function's error: so those leaves are asked for `also`.
    """
    if of is None or not of.requires_grad:
        return None
    return torch.autograd.grad(of, [by, *also], direction, create_graph=True, allow_unused=True)[0]


def _curvatures(velocity: Tensor, acceleration: Tensor) -> Tensor:
    """Those of curves (N, D) by their derivatives."""
    for derivative in (velocity, acceleration):
        if not bool(derivative.isfinite().all()):
            raise NonFiniteGradientError("curvature pass: a derivative of the logits in the angle is NaN or infinite")
    speed = torch.linalg.vector_norm(velocity, dim=1)
    moves = speed > 0
    direction = velocity[moves] / speed[moves, None]
    # The part of the acceleration across the curve, which loses nothing where both are nearly parallel.
    along = (acceleration[moves] * direction).sum(1, keepdim=True)
    across = torch.linalg.vector_norm(acceleration[moves] - along * direction, dim=1)
    curvatures = torch.zeros_like(speed)
    curvatures[moves] = across / speed[moves].square()
    return curvatures


PASS = Pass(
    "curvature",
    run_curvature,
    ("curvatures",),
    "one forward of eight inputs on a circle, differentiated twice in the angle",
)
