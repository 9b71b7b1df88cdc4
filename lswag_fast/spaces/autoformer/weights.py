"""The shared weights of an AutoFormer space: names and shapes, initial values, slices, published checkpoints.

Names, shapes and entanglement are those of the published supernets (Chen et al., ICCV 2021): their files load as they
are.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError, SpaceError
from lswag_fast.spaces.autoformer.model import Geometry
from lswag_fast.spaces.layers import IN_CHANNELS

Shapes = dict[str, tuple[int, ...]]

INIT_STD = 0.02
"""Standard deviation of the truncated normals of the published code."""
PATCH = "patch_embed_super.proj"
QKV = "attn.qkv.weight"
HEAD = "head."
PARALLEL = "module."
"""What torch.nn.parallel puts before every name."""
# How torch names the class or function that it does not load.
_FOREIGN = re.compile(r"GLOBAL ([\w.]+)")
# What torch's unpickler raises when it takes the text of another file for a pickle; the messages tell a user nothing.
_UNPICKLING = (LookupError, EOFError, TypeError, AttributeError, struct.error)
_NO_CHECKPOINT = "not a file of torch.save, or one of something else than tensors"


def state_shapes(
    geometry: Geometry, embed_dim: int, attentions: Sequence[tuple[int, int]], hidden_dims: Sequence[int]
) -> Shapes:
    """Return names and shapes of a state dict in the published order; for each block the width of its attention, that
    of a head's relative positions, and the hidden width."""
    patch = geometry.patch_size
    shapes: Shapes = {
        "pos_embed": (1, geometry.n_tokens, embed_dim),
        "cls_token": (1, 1, embed_dim),
        f"{PATCH}.weight": (embed_dim, IN_CHANNELS, patch, patch),
        f"{PATCH}.bias": (embed_dim,),
    }
    for layer, (attention, hidden) in enumerate(zip(attentions, hidden_dims, strict=True)):
        for name, shape in _block_shapes(embed_dim, *attention, hidden, geometry.table_rows).items():
            shapes[f"blocks.{layer}.{name}"] = shape
    shapes |= {"norm.weight": (embed_dim,), "norm.bias": (embed_dim,)}
    return shapes | _linear("head", embed_dim, geometry.num_classes)


def _block_shapes(embed_dim: int, attention: int, head_dim: int, hidden: int, table_rows: int) -> Shapes:
    tables = {
        f"attn.rel_pos_embed_{part}.embeddings_table_{direction}": (table_rows, head_dim)
        for part in ("k", "v")
        for direction in ("v", "h")
    }
    norms = {
        f"{norm}.{part}": (embed_dim,) for norm in ("attn_layer_norm", "ffn_layer_norm") for part in ("weight", "bias")
    }
    return (
        _linear("attn.qkv", embed_dim, 3 * attention)
        | tables
        | _linear("attn.proj", attention, embed_dim)
        | norms
        | _linear("fc1", embed_dim, hidden)
        | _linear("fc2", hidden, embed_dim)
    )


def _linear(name: str, n_in: int, n_out: int) -> Shapes:
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def init_state(shapes: Shapes, generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """Draw a float32 state dict as the published code does.

    Biases are 0, norm weights 1, the patch projection is drawn as `nn.Conv2d` does, all else is normal with standard
    deviation 0.02.
    Values come in the order of `shapes` from `generator`, or from torch's global generator.
    """
    state = {}
    for name, shape in shapes.items():
        tensor = torch.empty(shape, dtype=torch.float32, device="cpu")
        if name.startswith(PATCH):
            patch_bound = 1 / math.sqrt(math.prod(shapes[f"{PATCH}.weight"][1:]))
            tensor.uniform_(-patch_bound, patch_bound, generator=generator)
        elif name.endswith(".bias"):
            tensor.zero_()
        elif name.endswith("norm.weight"):
            tensor.fill_(1.0)
        else:
            nn.init.trunc_normal_(tensor, std=INIT_STD, generator=generator)
        state[name] = tensor
    return state


def cut_state(weights: Mapping[str, Tensor], shapes: Shapes) -> dict[str, Tensor]:
    """Cut the network of `shapes` out of a supernet state dict, by operations that autograd follows back into it.

    Every tensor takes the first entries along each axis, but for the weight of q-k-v: rows 0::3, 1::3, 2::3 of its
    first 3 * width rows follow one another. The q-k-v bias takes its first entries as they are. That is not the
    pairing one expects, but the published code does so and the published checkpoints are trained so.

    Returns:
        The contiguous tensors by name: the supernet's own memory where a cut lies in one piece there, else copies.
    """
    return {name: _cut(name, weights[name], shape) for name, shape in shapes.items()}


def _cut(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if name.endswith(QKV):
        return _first(tensor, shape).reshape(-1, 3, *shape[1:]).transpose(0, 1).flatten(0, 1)  # a copy
    return _first(tensor, shape).contiguous()  # products with other views take longer


def _first(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The first entries along each axis.

    One view whatever the number of axes, since the gradient of each is as large as the shared weight; also where it is
    all of it, so that the gradients of one network add up before those of several do.
    """
    return tensor.view_as(tensor) if tensor.shape == shape else tensor.as_strided(shape, tensor.stride())


def slice_state(weights: Mapping[str, Tensor], shapes: Shapes) -> dict[str, Tensor]:
    """Cut as `cut_state` does, into copies that autograd does not follow."""
    with torch.no_grad():
        cut = cut_state(weights, shapes)
        return {name: part.clone() if _is_within(part, weights[name]) else part for name, part in cut.items()}


def _is_within(part: Tensor, tensor: Tensor) -> bool:
    """Whether a cut is no copy; all begin where their tensor does."""
    return part.data_ptr() == tensor.data_ptr()


def fill(net: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Put each of `values` in the place of the parameter of its name; far faster than `load_state_dict(assign=True)`.

    They may be tensors that autograd followed to where they are, which no attribute of a module could be set to.
    """
    for path, module in net.named_modules():
        for leaf in module._parameters:
            module._parameters[leaf] = cast(nn.Parameter, values[f"{path}.{leaf}" if path else leaf])


def check_state(weights: Mapping[str, Tensor], shapes: Shapes, what: str) -> None:
    """Raise SpaceError unless `weights` has exactly the names and shapes of a supernet; `what` names it to the user."""
    missing = [name for name in shapes if name not in weights]
    extra = [name for name in weights if name not in shapes]
    if missing or extra:
        raise SpaceError(
            f"{what}: {_listed('missing', missing)}{_listed('unknown', extra)}"
            f"expected the {len(shapes)} names of supernet_shapes()"
        )
    for name, shape in shapes.items():
        if tuple(weights[name].shape) != shape:
            raise SpaceError(
                f"{what}: {name} has shape {tuple(weights[name].shape)}, this space needs {shape}; "
                "use the space (and image_size, patch_size, num_classes, max_relative_position) of these weights"
            )


def _listed(word: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {word} ({names[0]}{', ...' if len(names) > 1 else ''}); "


def load_state(path: str | Path, shapes: Shapes, head_seed: int | None = None) -> dict[str, Tensor]:
    """Read a supernet checkpoint: `{"model": state_dict, ...}` as published, or the state dict alone.

    No code in the file is run. Names that all begin with "module.", as those of a network that was trained in parallel,
    are read without it. Weights of any floating-point type become float32, as those of `init_state` are.

    Args:
        path: the file.
        shapes: of the supernet.
        head_seed: where given, the head is not that of the file, whatever its number of classes, but drawn from it.

    Raises:
        InputError: the file cannot be read, or a tensor in it is no weight: not dense, without values, not of
            floating-point numbers, or not finite.
        SpaceError: its names or shapes are not those of the space.
    """
    path = Path(path)
    try:
        with _allow_namespace(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's, of the format of a file that is refused or fine
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"checkpoint {path}: no such file") from None
    except pickle.UnpicklingError as error:
        raise InputError(f"checkpoint {path}: {_refusal(str(error))}") from error
    except _UNPICKLING as error:
        raise InputError(f"checkpoint {path}: {_NO_CHECKPOINT}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"checkpoint {path}: not a file of torch.save ({_first_line(error)})") from error
    state = loaded.get("model", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"checkpoint {path}: found no state dict, neither under 'model' nor at the top")
    if all(str(name).startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
    if head_seed is not None:
        head = {name: shape for name, shape in shapes.items() if name.startswith(HEAD)}
        state |= init_state(head, torch.Generator().manual_seed(head_seed))
    state = {name: _weight(path, name, value) if name in shapes else value for name, value in state.items()}
    check_state(state, shapes, f"checkpoint {path}")
    return {name: state[name] for name in shapes}


def _weight(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A tensor of a file in float32; raises InputError where it cannot be a weight."""
    if tensor.layout != torch.strided or tensor.is_nested:
        found = "is a nested tensor" if tensor.is_nested else f"is stored as {tensor.layout}"
    elif tensor.is_meta:
        found = "is on the meta device, without values"
    elif not tensor.is_floating_point():
        found = f"is of type {tensor.dtype}"
    elif not (weight := tensor.detach().to(torch.float32)).isfinite().all():
        found = "has values that are NaN or infinite in float32"
    else:
        return weight
    raise InputError(f"checkpoint {path}: {name} {found}; expected a dense tensor of finite floating-point numbers")


@contextmanager
def _allow_namespace() -> Iterator[None]:
    """Accept the argparse.Namespace that the published training script stores beside the weights; it is plain data."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _refusal(text: str) -> str:
    """Why torch loads no checkpoint, without its advice on how to run the code in it."""
    named = _FOREIGN.search(text)
    if named is None:
        return _NO_CHECKPOINT
    return (
        f"holds more than tensors, refused: {named.group(1)}, and no code of a file is run; "
        "save the state dict alone: torch.save(model.state_dict(), path)"
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
