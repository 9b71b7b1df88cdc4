"""The BurgerFormer space (Yang et al., ICML 2022): micro, meso and macro choices of four stages.

Everything here is read from the public code of its authors, not from the text of the paper: the choices, which
operations a stage has, the sampling, the stem, the convolutions between stages and the initial weights. Where that code
leaves room, this is what is done:

- *Meso.* The paper searches "a hamburger structure"; the public search keeps its residual edges fixed: a layer with an
  operation is added to its input, a bread layer without one is not there. All four published networks are of this form,
  and other edges are no members here.
- *Mutation and crossover* change or choose one thing at a time, so that every step is small; the public evolution draws
  each anew with probability 0.3.
- *Other image sizes*: the sides of the maps are those of the image divided by 4 to 32, and a spatial MLP has as many
  inputs as its map has pixels.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.burgerformer.choices import (
    ACTIVATIONS,
    DEPTHS,
    LAYERS,
    NO_LAYER,
    NORMS,
    RATIOS,
    STAGES,
    WIDTHS,
    Layer,
    layers,
    operations,
)
from lswag_fast.spaces.burgerformer.costs import network_cost
from lswag_fast.spaces.burgerformer.model import BurgerFormerNet, Stage, stages
from lswag_fast.spaces.checks import check_fields, check_halvings, check_no_weights
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.image_space import ImageSpace
from lswag_fast.spaces.protocol import Arch, ChoosingTrial

_HALVINGS = 5
_MACRO: dict[str, tuple[tuple[int, ...], ...]] = {"depth": DEPTHS, "width": WIDTHS, "ratio": (RATIOS,) * len(STAGES)}


class BurgerFormer(ImageSpace):
    """Transformer-like networks of four stages, whose blocks are two layers of bread around one of meat.

    An architecture has `depth`, `width`, `ratio` and `layers` (`[bread, meat, bread]`), lists with an entry for each
    stage: its blocks and their widths (macro), and the layers of a block (meso), each five words as in the public code,
    such as `skip-LN-self_atten-skip-gelu` (micro): activation, norm, operation, norm, activation. The first activation
    is never used; a layer with an operation has one norm, before or after it; one without is all skips, and left out if
    it is bread. The meat is widened `ratio` times by a 1x1 convolution and brought back by another. Attention and
    spatial MLPs are operations of the bread of the last two stages. Every layer is a residual with a scale for each
    channel.

    What the paper and the public code leave open, and what is done here, is listed in the module
    `lswag_fast.spaces.burgerformer.space`.

    Args:
        num_classes: logits.
        image_size: side of the square images in pixels, a multiple of 32.

    Raises:
        SpaceError: a value is not a positive whole number, or no multiple of 32.

    Example:
        >>> import torch
        >>> space = BurgerFormer(num_classes=10, image_size=32)
        >>> space.build(space.sample(random.Random(0)))(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    name = "burgerformer"
    FIELDS = ("num_classes", "image_size")

    def __init__(self, *, num_classes: int = 1000, image_size: int = 224) -> None:
        self._set_sizes(num_classes=num_classes, image_size=image_size)
        check_halvings(image_size, _HALVINGS)

    @property
    def size(self) -> int:
        """Number of architectures.

        Example:
            >>> f"{BurgerFormer().size:.1e}"
            '4.5e+28'
        """
        macro = math.prod(len(options) for fields in _MACRO.values() for options in fields)
        return macro * math.prod(len(layers(stage, layer)) for stage in STAGES for layer in LAYERS)

    def sample(self, rng: random.Random) -> Arch:
        """Draw as published: all macro choices uniformly; of a layer the operation, then norm, place and activation.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> BurgerFormer().sample(random.Random(0))["layers"][3]
            ['skip-skip-spatial_mlp-GN-skip', 'skip-GN-dwise_3x3-skip-gelu', 'skip-BN-spatial_mlp-skip-relu6']
        """
        macro = {field: [rng.choice(options) for options in choices] for field, choices in _MACRO.items()}
        return {**macro, "layers": [[_drawn(stage, layer, rng).text() for layer in LAYERS] for stage in STAGES]}

    def mutate(self, arch: Arch, rng: random.Random) -> Arch:
        """Change the depth, the width or the ratio of one stage, or one of its layers.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.

        Returns:
            A member of the space that differs from `arch` in one entry.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = BurgerFormer(), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.mutate(arch, rng) == arch
            False
        """
        found, stage = self._checked(arch), rng.choice(STAGES)
        field = rng.choice([*_MACRO, *LAYERS])
        if isinstance(field, str):
            values, options = found[field], _MACRO[field][stage]
            values[stage] = rng.choice([option for option in options if option != values[stage]])
            return found
        texts = found["layers"][stage]
        before = texts[field]
        while texts[field] == before:
            texts[field] = _drawn(stage, field, rng).text()
        return found

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take each entry - depths, widths, ratios and layers - from one of the parents by a fair coin.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = BurgerFormer(), random.Random(0)
            >>> a = space.sample(rng)
            >>> space.crossover(a, a, rng) == a
            True
        """
        one, other = self._checked(a), self._checked(b)
        macro = {field: _mixed(one[field], other[field], rng) for field in _MACRO}
        pairs = zip(one["layers"], other["layers"], strict=True)
        return {**macro, "layers": [_mixed(*pair, rng) for pair in pairs]}

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the architecture that a trial of Optuna chooses, see `Suggests`: depth_0, ..., layer_3_2."""
        macro = {
            field: [trial.suggest_categorical(f"{field}_{stage}", choices[stage]) for stage in STAGES]
            for field, choices in _MACRO.items()
        }
        texts = [
            [trial.suggest_categorical(f"layer_{stage}_{layer}", tuple(layers(stage, layer))) for layer in LAYERS]
            for stage in STAGES
        ]
        return {**macro, "layers": texts}

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that an architecture is made of, see `Suggests`."""
        found = self._checked(arch)
        macro = {f"{field}_{stage}": found[field][stage] for field in _MACRO for stage in STAGES}
        texts = {f"layer_{stage}_{layer}": found["layers"][stage][layer] for stage in STAGES for layer in LAYERS}
        return {**macro, **texts}

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return json.dumps(self._checked(arch), separators=(",", ":"))

    def decode(self, text: str) -> Arch:
        """Return the architecture of a line of JSON.

        Raises:
            SpaceError: the text is anything else.
        """
        return self._checked(read_json(text))

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, from the costs of its layers.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return network_cost(self._stages(arch), self.num_classes).n_params

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image: convolutions, linear layers and the products of attention.

        Raises:
            SpaceError: `arch` is not a member of the space.
        """
        return network_cost(self._stages(arch), self.num_classes).macs

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> BurgerFormerNet:
        """Build the network: images (B, 3, image_size, image_size) -> logits (B, num_classes), in train mode.

        Without a spatial MLP it also takes images of other sizes.

        Args:
            arch: a member of the space.
            weights: must be None, these networks share none. They are drawn with torch's global generator.

        Raises:
            SpaceError: `weights` are given, or `arch` is not a member of the space.
        """
        check_no_weights(self.name, weights)
        return BurgerFormerNet(self._stages(arch), self.num_classes)

    def _stages(self, arch: Arch) -> list[Stage]:
        found = self._checked(arch)
        chosen = [tuple(layers(stage, layer)[found["layers"][stage][layer]] for layer in LAYERS) for stage in STAGES]
        return stages(found["depth"], found["width"], found["ratio"], chosen, self.image_size)

    def _checked(self, arch: Any) -> Arch:
        """An architecture with lists of its own."""
        check_fields(arch, *_MACRO, "layers")
        for field in arch:
            if not isinstance(arch[field], (list, tuple)) or len(arch[field]) != len(STAGES):
                raise SpaceError(f"{field}: found {str(arch[field])[:60]}, expected one entry for each of 4 stages")
        for field, choices in _MACRO.items():
            for stage in STAGES:
                _check_one(f"{field} of stage {stage + 1}", arch[field][stage], choices[stage])
        for stage, texts in enumerate(arch["layers"]):
            if not isinstance(texts, (list, tuple)) or len(texts) != len(LAYERS):
                found_texts = str(texts)[:60]
                raise SpaceError(f"layers of stage {stage + 1}: found {found_texts}, expected bread, meat and bread")
            for layer, text in enumerate(texts):
                _check_layer(stage, layer, text)
        macro = {field: list(arch[field]) for field in _MACRO}
        return {**macro, "layers": [list(texts) for texts in arch["layers"]]}


def _check_one(what: str, value: Any, options: tuple[int, ...]) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value not in options:
        raise SpaceError(f"{what}: found {value!r}, expected one of {', '.join(map(str, options))}")


def _check_layer(stage: int, layer: int, text: Any) -> None:
    if not isinstance(text, str) or text not in layers(stage, layer):
        raise SpaceError(
            f"layers of stage {stage + 1}: layer {layer + 1} is {text!r}, expected skip-norm-operation-norm-activation "
            f"with one norm of {', '.join(NORMS)}, an operation of {', '.join(operations(stage, layer)[1:])} and an "
            f"activation of {', '.join(ACTIVATIONS)}, or {NO_LAYER.text()}"
        )


def _drawn(stage: int, layer: int, rng: random.Random) -> Layer:
    ops = operations(stage, layer)
    op = rng.choice(ops)
    if op == NO_LAYER.op:
        return NO_LAYER
    return Layer(op, rng.choice(NORMS), rng.random() < 0.5, rng.choice(ACTIVATIONS))


def _mixed(one: list[Any], other: list[Any], rng: random.Random) -> list[Any]:
    return [rng.choice(pair) for pair in zip(one, other, strict=True)]
