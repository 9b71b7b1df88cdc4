"""Search spaces: those named on the command line, and the protocol for a space of your own."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer.choices import PUBLISHED
from lswag_fast.spaces.autoformer.space import AutoFormer
from lswag_fast.spaces.backbones import HasFeatureMaps, backbone
from lswag_fast.spaces.burgerformer.space import BurgerFormer
from lswag_fast.spaces.darts.space import Darts
from lswag_fast.spaces.flexibert.space import FlexiBert
from lswag_fast.spaces.gpt.space import Gpt
from lswag_fast.spaces.nasbench101.space import NasBench101
from lswag_fast.spaces.nasbench201.space import NasBench201
from lswag_fast.spaces.protocol import (
    Arch,
    CountsParams,
    EntanglesWeights,
    OffersSupernet,
    SearchSpace,
    SharesWeights,
    Suggests,
    TellsIsomorphic,
    check_space,
)
from lswag_fast.spaces.proxylessnas.space import ProxylessNas
from lswag_fast.spaces.supernets import Supernets
from lswag_fast.spaces.text_space import TakesTokens
from lswag_fast.spaces.transnas.macro import TransNasMacro
from lswag_fast.spaces.transnas.micro import TransNasMicro

__all__ = [
    "Arch",
    "AutoFormer",
    "BurgerFormer",
    "CountsParams",
    "Darts",
    "EntanglesWeights",
    "FlexiBert",
    "Gpt",
    "HasFeatureMaps",
    "NasBench101",
    "NasBench201",
    "OffersSupernet",
    "ProxylessNas",
    "SearchSpace",
    "SharesWeights",
    "Suggests",
    "Supernets",
    "TakesTokens",
    "TellsIsomorphic",
    "TransNasMacro",
    "TransNasMicro",
    "backbone",
    "check_space",
    "get",
    "names",
    "options",
]


def _darts_on_imagenet(num_classes: int = 1000, image_size: int = 224, channels: int = 48, n_cells: int = 14) -> Darts:
    sizes = {"num_classes": num_classes, "image_size": image_size, "channels": channels, "n_cells": n_cells}
    return Darts(**sizes, stem="imagenet")


_NAMED: dict[str, Callable[..., SearchSpace]] = {
    **{f"autoformer-{name}": partial(AutoFormer, name) for name in PUBLISHED},
    "nasbench101": NasBench101,
    "nasbench201": NasBench201,
    "transnas-micro": TransNasMicro,
    "transnas-macro": TransNasMacro,
    "darts": Darts,
    "darts-imagenet": _darts_on_imagenet,
    "proxylessnas": ProxylessNas,
    "burgerformer": BurgerFormer,
    "flexibert": FlexiBert,
    "gpt": Gpt,
}
_TEXTS = ("flexibert", "gpt")
_OPTIONS = ("image_size", "num_classes")
_FURTHER_OPTIONS = {
    "autoformer": ("patch_size", "mlp_ratio", "qkv_dim", "max_relative_position"),
    "nasbench101": ("channels", "cells_per_stack"),
    "nasbench201": ("channels", "cells_per_stage"),
    "transnas": ("task", "channels"),
    "darts": ("channels", "n_cells"),
    "proxylessnas": ("width_mult", "stage_widths", "squeeze_excitation", "activation"),
}
"""By the first word of a space's name."""


def names() -> tuple[str, ...]:
    """Return the names that `get` knows.

    Example:
        >>> names()[:3], names()[3:]  # doctest: +NORMALIZE_WHITESPACE
        (('autoformer-tiny', 'autoformer-small', 'autoformer-base'),
         ('nasbench101', 'nasbench201', 'transnas-micro', 'transnas-macro', 'darts', 'darts-imagenet',
          'proxylessnas', 'burgerformer', 'flexibert', 'gpt'))
    """
    return tuple(_NAMED)


def options(name: str) -> tuple[str, ...]:
    """Return the options that `get` takes for a space; none for a name that it does not know.

    Example:
        >>> options("burgerformer"), options("transnas-micro")
        (('image_size', 'num_classes'), ('image_size', 'num_classes', 'task', 'channels'))
    """
    if not isinstance(name, str) or name not in _NAMED:
        return ()
    if name in _TEXTS:
        return ("length",)
    return (*_OPTIONS, *_FURTHER_OPTIONS.get(name.partition("-")[0], ()))


def get(name: str, **overrides: Any) -> SearchSpace:
    """Return the space called `name`.

    A space of your own needs no name here: pass the object to `lswag_fast.search`, or name what makes it on the command
    line, as in `lswag-fast search mypackage.spaces:Mlp`.

    Args:
        name: one of `names()`.
        **overrides: what `options(name)` lists, arguments of the space's class: image_size (pixels) and num_classes;
            for the AutoFormer spaces also patch_size (pixels), mlp_ratio, qkv_dim and max_relative_position, for those
            of TransNAS-Bench-101 task, the name of one of its columns, and so on; for those of texts length (tokens)
            alone.

    Returns:
        The space.

    Raises:
        SpaceError: there is no such space, or it does not take an override.

    Example:
        >>> get("autoformer-small", image_size=32, patch_size=4, num_classes=10).input_shape
        (3, 32, 32)
    """
    if not isinstance(name, str) or name not in _NAMED:
        near = difflib.get_close_matches(str(name), _NAMED, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SpaceError(f"there is no space {name!r}; {hint}known are {', '.join(_NAMED)}")
    allowed = options(name)
    unknown = [key for key in overrides if key not in allowed]
    if unknown:
        raise SpaceError(f"{unknown[0]}: cannot be set for {name}; allowed are {', '.join(allowed)}")
    return _NAMED[name](**overrides)
