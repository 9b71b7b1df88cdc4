"""`timm:NAME`: the networks of timm."""

from __future__ import annotations

from typing import Any

from lswag_fast.errors import InputError
from lswag_fast.integrations.network_inputs import ImageInputs, NamedNetwork, library, square, unknown_name


def make(name: str, num_classes: int | None, image_size: int | None) -> NamedNetwork:
    """Return a network by a name of `timm.list_models()`, the tag of a set of weights allowed; see `named_network`."""
    timm = library("timm")
    if not timm.is_model(name):
        raise unknown_name("timm", name, timm.list_models())
    name = name.partition(".")[0]  # the tag says which weights, and none are loaded
    given = {"num_classes": num_classes, "img_size": _given_size(timm, name, image_size)}
    model = timm.create_model(
        name, pretrained=False, **{key: value for key, value in given.items() if value is not None}
    )
    if not model.num_classes:
        raise InputError(f"timm:{name} has no classifier of its own; say how many classes (--num-classes N)")
    channels, *sides = model.pretrained_cfg["input_size"]
    size = image_size or square("timm", name, sides)
    return NamedNetwork(model, ImageInputs(size, int(channels)), int(model.num_classes))


def _given_size(timm: Any, name: str, image_size: int | None) -> int | None:
    """The size that a network is to be built for; None where it takes any."""
    config = timm.get_pretrained_cfg(name)
    return image_size if config is not None and config.fixed_input_size else None
