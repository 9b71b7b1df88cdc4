"""`matmul`, `mm`, `bmm`, `addmm`, `baddbmm`, `tensordot`, `einsum` and `bilinear` with a parameter among the factors.

Each names the axes of its operands and leaves the rest to `contract`. A product of two activations, as in attention,
is none on a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lswag_fast.observe.operations.matrices.contraction import Labels, Operand, contract
from lswag_fast.observe.operations.operation import CallObserver, Composite

_ROW, _INNER, _COLUMN = range(3)
_FIRST_BATCH = 3  # labels of the batch axes of matmul, counted from the last
_VECTOR, _MATRIX, _BATCH_OF_MATRICES = 1, 2, 3  # axes


def _matmul(a: Tensor, b: Tensor) -> tuple[Operand, Operand, Labels]:
    """The operands of `torch.matmul` and the labels of its output."""

    def labelled(tensor: Tensor, matrix: Labels) -> Operand:
        n_batch = tensor.dim() - len(matrix)
        return Operand(tensor, (*(_FIRST_BATCH + k for k in reversed(range(n_batch))), *matrix))

    left = labelled(a, (_INNER,) if a.dim() == _VECTOR else (_ROW, _INNER))
    right = labelled(b, (_INNER,) if b.dim() == _VECTOR else (_INNER, _COLUMN))
    batch = max(left.labels[:-_MATRIX], right.labels[:-_MATRIX], key=len)
    kept = tuple(label for label in (_ROW, _COLUMN) if label in (*left.labels, *right.labels))
    return left, right, (*batch, *kept)


def observe_matmul(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch.matmul(input, other)` and its kin; an entry of `COMPOSITES`."""
    operands = _operands(args, kwargs, ("input", "self"), ("other", "mat2", "tensor2"))
    if operands is None:
        return NotImplemented
    a, b, out = _matmul(*operands)
    return contract(observer, (a, b), out)


def observe_reversed_matmul(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`Tensor.__rmatmul__`; an entry of `COMPOSITES`."""
    return observe_matmul(observer, args[::-1], kwargs)


def observe_addmm(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`beta * input + alpha * (a @ b)`: `addmm` and `baddbmm`; an entry of `COMPOSITES`."""
    beta, alpha = (kwargs.get(name, 1) for name in ("beta", "alpha"))
    rest = {name: value for name, value in kwargs.items() if name not in ("beta", "alpha", "input")}
    given = args if "input" not in kwargs else (kwargs["input"], *args)
    operands = _operands(given[1:], rest, ("mat1", "batch1"), ("mat2", "batch2"))
    if operands is None or not given or (observer.is_weight(given[0]) and given[0].dim() >= _MATRIX):
        return NotImplemented
    a, b, out = _matmul(*operands)
    if beta == alpha == 1:
        return contract(observer, (a, b), out, given[0])
    product = contract(observer, (a, b), out)
    return product if product is NotImplemented else alpha * product + beta * given[0].to(product.dtype)


def observe_tensordot(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch.tensordot(a, b, dims)`; an entry of `COMPOSITES`."""
    named = dict(zip(("a", "b", "dims", "out"), args, strict=False)) | dict(kwargs)
    a, b, dims = named["a"], named["b"], named.get("dims", 2)
    if named.get("out") is not None or isinstance(dims, Tensor):
        return NotImplemented
    axes_a, axes_b = (range(a.dim() - dims, a.dim()), range(dims)) if isinstance(dims, int) else dims
    labels_a, labels_b = list(range(a.dim())), list(range(a.dim(), a.dim() + b.dim()))
    for axis_a, axis_b in zip(axes_a, axes_b, strict=True):
        labels_b[axis_b] = labels_a[axis_a]
    out = tuple(label for label in (*labels_a, *labels_b) if (label in labels_a) != (label in labels_b))
    return contract(observer, (Operand(a, tuple(labels_a)), Operand(b, tuple(labels_b))), out)


def observe_einsum(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch.einsum`, which hands every form of its arguments on as (equation, *operands); an entry of `COMPOSITES`."""
    equation, *tensors = args
    if kwargs or not isinstance(equation, str) or not all(isinstance(tensor, Tensor) for tensor in tensors):
        return NotImplemented
    parsed = labels_of(equation, [tensor.dim() for tensor in tensors])
    if parsed is None:
        return NotImplemented
    inputs, out = parsed
    return contract(observer, [Operand(t, labels) for t, labels in zip(tensors, inputs, strict=True)], out)


def observe_bilinear(observer: CallObserver, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`torch.bilinear(input1, input2, weight, bias)`, with a weight (O, I, J); an entry of `COMPOSITES`."""
    given = dict(zip(("input1", "input2", "weight", "bias"), args, strict=False)) | dict(kwargs)
    a, b, weight = given["input1"], given["input2"], given["weight"]
    if a.shape[:-1] != b.shape[:-1] or tuple(weight.shape[1:]) != (a.shape[-1], b.shape[-1]):
        return NotImplemented  # torch says what does not fit
    positions = tuple(range(_FIRST_BATCH, _FIRST_BATCH + a.dim() - 1))
    left, right = (*positions, _ROW), (*positions, _INNER)
    factors = (Operand(a, left), Operand(b, right), Operand(weight, (_COLUMN, _ROW, _INNER)))
    return contract(observer, factors, (*positions, _COLUMN), given.get("bias"))


def labels_of(equation: str, dims: Sequence[int]) -> tuple[list[Labels], Labels] | None:
    """Number the subscripts of an equation of `torch.einsum`; None where it does not fit the operands.

    Example:
        >>> labels_of("...i,io->...o", [3, 2])
        ([(4, 3, 0), (0, 1)], (4, 3, 1))
    """
    given, arrow, wanted = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    letters = sorted(set(given) - set(".,"))
    n_further = [n - len(term.replace("...", "")) for term, n in zip(terms, dims, strict=False)]
    if len(terms) != len(dims) or any(
        n < 0 or (n > 0 and "..." not in t) for t, n in zip(terms, n_further, strict=True)
    ):
        return None
    if not arrow:
        wanted = "..." + "".join(letter for letter in letters if given.count(letter) == 1)

    def numbered(term: str, n: int) -> Labels:
        before, dots, after = term.partition("...")
        further = [len(letters) + 1 + k for k in reversed(range(n))] if dots else []
        return (*map(letters.index, before), *further, *map(letters.index, after))

    if not set(wanted) - {"."} <= set(letters):
        return None
    return [numbered(term, n) for term, n in zip(terms, n_further, strict=True)], numbered(wanted, max(n_further))


def _operands(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], first: Sequence[str], second: Sequence[str]
) -> tuple[Tensor, Tensor] | None:
    """Two tensors, by place or by name; None where other things were given (`out`, `out_dtype`)."""
    found = list(args)
    for names in (first, second):
        found.extend(kwargs[name] for name in names if name in kwargs)
    fits = len(found) == len(args) + len(kwargs) == _MATRIX and all(isinstance(t, Tensor) for t in found)
    return (found[0], found[1]) if fits else None


MATRIX_PRODUCTS: dict[Callable[..., Any], Composite] = {
    **dict.fromkeys(
        (
            torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.linalg.matmul, torch.mm, Tensor.mm, torch.bmm,
            Tensor.bmm,
        ),
        observe_matmul,
    ),
    Tensor.__rmatmul__: observe_reversed_matmul,
    **dict.fromkeys((torch.addmm, Tensor.addmm, torch.baddbmm, Tensor.baddbmm), observe_addmm),
    torch.tensordot: observe_tensordot,
    torch.einsum: observe_einsum,
    torch.bilinear: observe_bilinear,
}  # fmt: skip
"""Products that may have a parameter among their factors."""
