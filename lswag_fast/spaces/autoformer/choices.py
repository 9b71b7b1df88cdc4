"""Which values the genes of an AutoFormer space may take: the published spaces and checked choices of one's own."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer import costs
from lswag_fast.spaces.autoformer.model import HEAD_DIM, MAX_RELATIVE_POSITION, Geometry

Number = TypeVar("Number", int, float)


class Choices(NamedTuple):
    """The values each gene may take: `embed_dim` and `depth` hold for the network, the others for each block.

    Without values of `qkv_dim` it is no gene, and a head is 64 wide.

    Example:
        >>> choices = Choices((192,), (12,), (3, 4), (4.0,), qkv_dim=(192, 256))
        >>> choices.genes, choices.widths(3), choices.attentions()
        (('num_heads', 'mlp_ratio', 'qkv_dim'), (192,), ((192, 64), (192, 48), (256, 64)))
    """

    embed_dim: tuple[int, ...]
    depth: tuple[int, ...]
    num_heads: tuple[int, ...]
    mlp_ratio: tuple[float, ...]
    qkv_dim: tuple[int, ...] = ()

    @property
    def genes(self) -> tuple[str, ...]:
        """The fields that each block has its own value of."""
        return ("num_heads", "mlp_ratio", "qkv_dim") if self.qkv_dim else ("num_heads", "mlp_ratio")

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an architecture."""
        return ("embed_dim", "depth", *self.genes)

    def widths(self, num_heads: int) -> tuple[int, ...]:
        """The widths of queries, of keys and of values that so many heads can share evenly."""
        if not self.qkv_dim:
            return (HEAD_DIM * num_heads,)
        return tuple(width for width in self.qkv_dim if width % num_heads == 0)

    def attentions(self) -> tuple[tuple[int, int], ...]:
        """(width, width of a head) of every attention that a block may have."""
        return tuple((width, width // heads) for heads in self.num_heads for width in self.widths(heads))


PUBLISHED = {
    "tiny": Choices((192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4.0)),
    "small": Choices((320, 384, 448), (12, 13, 14), (5, 6, 7), (3.0, 3.5, 4.0)),
    "base": Choices((528, 576, 624), (14, 15, 16), (9, 10), (3.0, 3.5, 4.0)),
}
FIELDS = ("embed_dim", "depth", "num_heads", "mlp_ratio")
"""The choices that every space has."""
FREE = ("mlp_ratio", "qkv_dim")
"""Those that a published space may be given others of."""


def published_choices(name: str, own: Mapping[str, Any]) -> Choices:
    """Return the choices of a published space.

    Args:
        name: "tiny", "small" or "base".
        own: choices of the user's own by field, of which all but mlp_ratio and qkv_dim must be None: the official
            configuration of a Tiny network has a ratio, 3.0, that the published space lacks, and published tables of
            the spaces list widths of queries, keys and values, which the published code takes from the heads.

    Raises:
        SpaceError: the space is unknown, or own choices are given too.

    Example:
        >>> published_choices("tiny", {}).embed_dim
        (192, 216, 240)
    """
    if not isinstance(name, str) or name not in PUBLISHED:
        raise SpaceError(f"name: found {name!r}, the published AutoFormer spaces are {', '.join(PUBLISHED)}")
    given = [field for field, value in own.items() if value is not None and field not in FREE]
    if given:
        raise SpaceError(
            f"{given[0]}: the choices of {name!r} are fixed but for {' and '.join(FREE)}; leave the name out to give "
            "choices of your own"
        )
    others = {field: own[field] for field in FREE if own.get(field) is not None}
    if not others:
        return PUBLISHED[name]
    return own_choices({field: getattr(PUBLISHED[name], field) for field in FIELDS} | others)


def own_choices(own: Mapping[str, Any]) -> Choices:
    """Return checked choices of the user's own.

    Args:
        own: a value or a sequence of values for each field; that of qkv_dim may be missing or None.

    Raises:
        SpaceError: a choice is missing or illegal; names it.

    Example:
        >>> own_choices({"embed_dim": 64, "depth": [1, 2], "num_heads": 1, "mlp_ratio": 2})
        Choices(embed_dim=(64,), depth=(1, 2), num_heads=(1,), mlp_ratio=(2.0,), qkv_dim=())
    """
    missing = [field for field in FIELDS if own[field] is None]
    if missing:
        raise SpaceError(
            f"{missing[0]}: no choices given; give a name ({', '.join(PUBLISHED)}) or all of {', '.join(FIELDS)}"
        )
    choices = Choices(
        embed_dim=_choice("embed_dim", own["embed_dim"], int),
        depth=_choice("depth", own["depth"], int),
        num_heads=_choice("num_heads", own["num_heads"], int),
        mlp_ratio=_choice("mlp_ratio", own["mlp_ratio"], float),
        qkv_dim=() if own.get("qkv_dim") is None else _choice("qkv_dim", own["qkv_dim"], int),
    )
    if costs.hidden_dim(min(choices.embed_dim), min(choices.mlp_ratio)) < 1:
        raise SpaceError(
            f"mlp_ratio: {min(choices.mlp_ratio)} leaves no hidden unit at embed_dim {min(choices.embed_dim)}"
        )
    _check_widths(choices)
    return choices


def _check_widths(choices: Choices) -> None:
    """Refuse numbers of heads, and widths for them, that go with no other choice."""
    heads, widths = choices.num_heads, choices.qkv_dim
    for n in heads:
        if not choices.widths(n):
            raise SpaceError(f"qkv_dim: none of {', '.join(map(str, widths))} is a multiple of {n} heads")
    for width in widths:
        if all(width % n for n in heads):
            raise SpaceError(f"qkv_dim: {width} is a multiple of no choice of num_heads, {', '.join(map(str, heads))}")


def _choice(field: str, values: Any, convert: Callable[[Any], Number]) -> tuple[Number, ...]:
    if isinstance(values, numbers.Real):
        values = (values,)
    kind: type = numbers.Real if convert is float else numbers.Integral
    legal = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if not legal or not all(_is_positive(value, kind) for value in values):
        word = "numbers" if convert is float else "whole numbers"
        raise SpaceError(f"{field}: found {values!r}, expected one or more positive {word}")
    if len(set(values)) < len(values):
        raise SpaceError(f"{field}: found {values!r}, a value may be listed once only")
    return tuple(convert(value) for value in values)


def _is_positive(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and 0 < cast(float, value) < math.inf


def geometry_of(
    image_size: int, patch_size: int, num_classes: int, max_relative_position: int = MAX_RELATIVE_POSITION
) -> Geometry:
    """Return the checked geometry.

    Args:
        image_size: side of the square images in pixels.
        patch_size: side of a patch in pixels, which divides it.
        num_classes: number of logits.
        max_relative_position: in patches.

    Raises:
        SpaceError: a value is not a positive whole number, or patches do not fill the image; names the argument.

    Example:
        >>> geometry_of(224, 16, 1000).n_tokens
        197
    """
    sizes = {"image_size": image_size, "patch_size": patch_size, "num_classes": num_classes}
    sizes["max_relative_position"] = max_relative_position
    for field, value in sizes.items():
        if not _is_positive(value, numbers.Integral):
            raise SpaceError(f"{field}: found {value!r}, expected a positive whole number")
    if image_size % patch_size:
        raise SpaceError(f"image_size: {image_size} pixels are not a multiple of patch_size {patch_size}")
    return Geometry(*map(int, sizes.values()))
