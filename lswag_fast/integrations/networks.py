"""Networks by name: `timm:NAME`, `torchvision:NAME` and `hf:CONFIG.json`, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from lswag_fast.errors import InputError, LswagError
from lswag_fast.integrations.network_inputs import NamedNetwork

_MODULES = {"timm": "timm_networks", "torchvision": "torchvision_networks", "hf": "transformers_networks"}
"""The module of this package that makes the networks of each prefix."""


def is_named(target: str) -> bool:
    """Return whether a text begins like the name of a library's network.

    Example:
        >>> is_named("timm:resnet18"), is_named("mypackage.models:make")
        (True, False)
    """
    prefix, colon, _ = target.partition(":")
    return bool(colon) and prefix in _MODULES


def named_network(
    target: str, *, num_classes: int | None = None, image_size: int | None = None, seed: int = 0
) -> NamedNetwork:
    """Return a network of another library, with random weights. Nothing is downloaded.

    Args:
        target: `timm:NAME`, a name of `timm.list_models()`; `torchvision:NAME`, a classifier of
            `torchvision.models.list_models()`; or `hf:FILE`, a `config.json` of transformers. Its `architectures` say
            which network it describes; without them it is the first of the classifier of images, the classifier of
            texts and the language model that transformers has for its `model_type`.
        num_classes: how many classes it tells apart; None for the library's own number.
        image_size: side of its images in pixels; None for the one that its configuration names.
        seed: of the weights; the generator of torch is left as it was.

    Raises:
        InputError: the library has no such network (the nearest names are given), the file describes none that can be
            scored, or the network cannot be built with this number or size.
        MissingExtraError: the library is not installed.

    Example:
        >>> named_network("torchvision:mnasnet0_5", num_classes=10).inputs  # doctest: +SKIP
        ImageInputs(size=224, channels=3)
    """
    if not isinstance(target, str) or not is_named(target):
        raise InputError(
            f"{target!r} names no network of a library; expected one of {', '.join(_MODULES)}, a colon, a name"
        )
    prefix, _, name = target.partition(":")
    make: Callable[[str, int | None, int | None], NamedNetwork]
    make = import_module(f"{__package__}.{_MODULES[prefix]}").make
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            return make(name, num_classes, image_size)
        except LswagError:
            raise
        except Exception as error:  # of the library, whose networks refuse sizes and settings by errors of many kinds
            text = " ".join(str(error).split())
            raise InputError(f"{target} cannot be built: {type(error).__name__}: {text}") from error
