"""`torchvision:NAME`: the classifiers of torchvision."""

from __future__ import annotations

from typing import Any

from lswag_fast.integrations.network_inputs import (
    IMAGE_SIZE,
    ImageInputs,
    NamedNetwork,
    library,
    square,
    unknown_name,
)

NUM_CLASSES = 1000
"""What every classifier of torchvision is built for when nothing else is said."""
_SIZES: dict[str, Any] = {"vit": lambda side: {"image_size": side}, "maxvit": lambda side: {"input_size": (side, side)}}
"""The families that are built for one size of images, and how they are told of it."""
_DRAWN: dict[str, Any] = {name: {"init_weights": True} for name in ("googlenet", "inception")}
"""What two families ask for, lest they warn that their initialisation will change some day."""


def make(name: str, num_classes: int | None, image_size: int | None) -> NamedNetwork:
    """Return a classifier by a name of `torchvision.models.list_models()`; see `named_network`."""
    models = library("torchvision").models
    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name("torchvision", name, known)
    family = name.partition("_")[0]
    size = image_size or _size(models, name)
    given = {**_DRAWN.get(family, {}), **(_SIZES[family](size) if family in _SIZES else {})}
    n_classes = num_classes or NUM_CLASSES
    model = models.get_model(name, weights=None, num_classes=n_classes, **given)
    return NamedNetwork(model, ImageInputs(size), n_classes)


def _size(models: Any, name: str) -> int:
    """The size that the newest published weights were trained for, which torchvision describes without loading them."""
    weights = models.get_model_weights(name)
    if not len(weights):
        return IMAGE_SIZE
    return square("torchvision", name, weights.DEFAULT.transforms.keywords["crop_size"])
