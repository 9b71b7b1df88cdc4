"""`hf:CONFIG.json`: the networks of transformers, from a configuration in a file of your own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lswag_fast.errors import InputError, reason
from lswag_fast.integrations.network_inputs import (
    IMAGE_SIZE,
    ImageInputs,
    NamedNetwork,
    TokenInputs,
    library,
    nearest,
    square,
    unloadable,
)

N_TOKENS = 128
"""Tokens in a row, or as many as the network has positions for."""


@dataclass(frozen=True)
class _Task:
    """A kind of network that can be scored from its configuration alone.

    Attributes:
        name: in words.
        mapping: the table of transformers that holds its classes by `model_type`.
        is_default: whether a configuration that names no architecture may mean it.
        is_language: whether its classes are the tokens of its vocabulary.
    """

    name: str
    mapping: str
    is_default: bool = False
    is_language: bool = False


_IMAGES = _Task("classifier of images", "IMAGE_CLASSIFICATION", is_default=True)
_TEXTS = _Task("classifier of texts", "SEQUENCE_CLASSIFICATION", is_default=True)
_LANGUAGE = _Task("language model", "CAUSAL_LM", is_default=True, is_language=True)
_MASKED = _Task("masked language model", "MASKED_LM", is_language=True)
_TOKENS = _Task("classifier of tokens", "TOKEN_CLASSIFICATION")
_TASKS = (_IMAGES, _TEXTS, _LANGUAGE, _MASKED, _TOKENS)


_IN_PYTHON = "call lswag_fast.score in Python, with a batch of what it takes"


def make(file: str, num_classes: int | None, image_size: int | None) -> NamedNetwork:
    """Return the network that a configuration in a file describes; see `named_network`."""
    transformers = library("transformers")
    content = _read(file)
    config = _config(file, content)
    architecture, task = _architecture(file, content)
    if config.is_encoder_decoder:
        raise InputError(f"hf:{file}: {architecture} has an encoder and a decoder; {_IN_PYTHON}")
    if num_classes is not None and task.is_language:
        raise InputError(f"hf:{file}: {architecture} tells the tokens of its vocabulary apart; leave out --num-classes")
    _adapt(config, num_classes, image_size)
    model = _class(transformers, architecture)(config).train()
    inputs = _images(file, config, image_size) if task is _IMAGES else _tokens(config, task)
    n_classes = inputs.vocabulary if task.is_language and isinstance(inputs, TokenInputs) else config.num_labels
    return NamedNetwork(model, inputs, n_classes)


def _class(transformers: ModuleType, architecture: str) -> Any:
    """The class of a network, whose module transformers imports when it is asked for."""
    try:
        return getattr(transformers, architecture)
    except ModuleNotFoundError as error:  # also where a torchvision of another torch keeps the module from loading
        if isinstance(error.__cause__, RuntimeError):
            raise unloadable("transformers", error.__cause__) from error
        raise


def _read(file: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"hf:{file}: cannot be read as a configuration ({reason(error)}); name the config.json of a network, which "
            "lies on this machine"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"hf:{file}: is no configuration of transformers, but a {type(content).__name__}")
    return content


def _config(file: str, content: dict[str, Any]) -> Any:
    """The configuration, made by the class of its `model_type`; code that came with it is not run."""
    from transformers import CONFIG_MAPPING

    kind = content.get("model_type")
    if not isinstance(kind, str):
        raise InputError(f"hf:{file}: names no model_type, by which transformers knows what it describes")
    known = list(CONFIG_MAPPING.keys())
    if kind not in known:
        raise InputError(f"hf:{file}: transformers has no model_type {kind!r}{nearest(kind, known)}")
    return CONFIG_MAPPING[kind].from_dict(content)


def _architecture(file: str, content: dict[str, Any]) -> tuple[str, _Task]:
    """The class of the network, and what it does."""
    from transformers.models.auto import modeling_auto

    tables = {task: getattr(modeling_auto, f"MODEL_FOR_{task.mapping}_MAPPING_NAMES") for task in _TASKS}
    if content.get("architectures"):
        wanted = content["architectures"][0]
        for task, table in tables.items():
            if any(wanted in _classes(entry) for entry in table.values()):
                return wanted, task
        known = ", ".join(f"a {task.name}" for task in _TASKS)
        raise InputError(f"hf:{file}: architectures names {wanted!r}, which is none of {known}; {_IN_PYTHON}")
    kind = content["model_type"]
    for task, table in tables.items():
        if task.is_default and kind in table:
            return _classes(table[kind])[0], task
    raise InputError(f"hf:{file}: names no architectures, and {kind} has no classifier or language model; {_IN_PYTHON}")


def _classes(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names of the classes of a `model_type`, of which most have one."""
    return (entry,) if isinstance(entry, str) else tuple(entry)


def _adapt(config: Any, num_classes: int | None, image_size: int | None) -> None:
    """Set what is asked for, and that no weights are fetched for a part of the network."""
    if num_classes is not None:
        config.num_labels = num_classes
    if image_size is not None and hasattr(_vision(config), "image_size"):
        _vision(config).image_size = image_size
    if hasattr(config, "use_pretrained_backbone"):
        config.use_pretrained_backbone = False


def _vision(config: Any) -> Any:
    """The part of a configuration that describes the images."""
    return getattr(config, "vision_config", config)


def _images(file: str, config: Any, image_size: int | None) -> ImageInputs:
    vision = _vision(config)
    size = image_size or square("hf", file, getattr(vision, "image_size", IMAGE_SIZE))
    return ImageInputs(size, int(getattr(vision, "num_channels", 3)))


def _tokens(config: Any, task: _Task) -> TokenInputs:
    text = config.get_text_config()
    n_positions = getattr(text, "max_position_embeddings", None)
    length = min(N_TOKENS, n_positions) if n_positions and n_positions > 0 else N_TOKENS
    padding = getattr(text, "pad_token_id", None)
    is_masked = task is _MASKED if task.is_language else None
    return TokenInputs(int(text.vocab_size), length, padding, per_token=task is not _TEXTS, is_masked=is_masked)
