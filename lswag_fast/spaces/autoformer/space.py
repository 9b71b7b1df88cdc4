"""The AutoFormer space of vision transformers (Chen et al., ICCV 2021), as published or with choices of your own."""

from __future__ import annotations

import json
import numbers
import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer import costs
from lswag_fast.spaces.autoformer import weights as state
from lswag_fast.spaces.autoformer.choices import FIELDS, geometry_of, own_choices, published_choices
from lswag_fast.spaces.autoformer.model import HEAD_DIM, IN_CHANNELS, AutoFormerNet
from lswag_fast.spaces.protocol import Arch

PER_BLOCK = ("num_heads", "mlp_ratio")
_TYPE_OF = {field: frozenset((float if field == "mlp_ratio" else int,)) for field in FIELDS}
"""The type of a field's values in canonical form."""
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class AutoFormer:
    """A space of vision transformers: `AutoFormer("tiny")`, "small", "base", or your own choices by keyword.

    An architecture is `{"embed_dim": 192, "depth": 12, "num_heads": [3, ...], "mlp_ratio": [3.5, ...]}`, the lists of
    length depth. Images are square, `image_size` pixels a side, cut into patches of `patch_size`; the networks give
    `num_classes` logits. Own choices need all four of `embed_dim`, `depth`, `num_heads`, `mlp_ratio` (a value or a
    sequence of values) and no name.

    Raises SpaceError for an unknown name, a missing or illegal choice, or an image that patches do not fill.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        embed_dim: int | Sequence[int] | None = None,
        depth: int | Sequence[int] | None = None,
        num_heads: int | Sequence[int] | None = None,
        mlp_ratio: float | Sequence[float] | None = None,
        image_size: int = 224,
        patch_size: int = 16,
        num_classes: int = 1000,
    ) -> None:
        own = {"embed_dim": embed_dim, "depth": depth, "num_heads": num_heads, "mlp_ratio": mlp_ratio}
        self.choices = own_choices(own) if name is None else published_choices(name, own)
        self.name = "autoformer" if name is None else f"autoformer-{name}"
        self.geometry = geometry_of(image_size, patch_size, num_classes)

    @cached_property
    def _legal(self) -> dict[str, frozenset[float]]:
        """The values of each field."""
        return {field: frozenset(getattr(self.choices, field)) for field in FIELDS}

    def __repr__(self) -> str:
        fields = [f"{field}={getattr(self.choices, field)}" for field in FIELDS]
        fields += [f"{field}={getattr(self, field)}" for field in ("image_size", "patch_size", "num_classes")]
        return f"AutoFormer({', '.join(fields)})"

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""
        return self.geometry.image_size

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.geometry.patch_size

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.geometry.num_classes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (3, image_size, image_size) of one input."""
        return (IN_CHANNELS, self.image_size, self.image_size)

    @property
    def size(self) -> int:
        """Exact number of architectures: the sum over the depths d of widths * (heads * ratios)^d."""
        per_block = len(self.choices.num_heads) * len(self.choices.mlp_ratio)
        blocks: int = sum(per_block**depth for depth in self.choices.depth)
        return len(self.choices.embed_dim) * blocks

    def sample(self, rng: random.Random) -> Arch:
        """Draw every gene uniformly from its choices, as the published search does.

        The depth is uniform too, so a single shallow architecture is likelier than a single deep one, of which there
        are more.
        """
        depth = rng.choice(self.choices.depth)
        ratios = self._draw("mlp_ratio", depth, rng)
        heads = self._draw("num_heads", depth, rng)
        return _arch(rng.choice(self.choices.embed_dim), depth, heads, ratios)

    def mutate(self, arch: Arch, rng: random.Random, m_prob: float = 0.2, s_prob: float = 0.4) -> Arch:
        """Redraw depth and width with probability `s_prob` each, every block's ratio and heads with `m_prob` each.

        A shallower network keeps its first blocks, a deeper one gets random blocks at the end. A redrawn gene may come
        out as it was, so the result may equal `arch`. Order and probabilities are those of the published search.
        """
        arch = self.validate(arch)
        depth, genes = arch["depth"], {field: arch[field] for field in PER_BLOCK}
        if rng.random() < s_prob:
            depth = rng.choice(self.choices.depth)
            for field in ("mlp_ratio", "num_heads"):
                genes[field] = (genes[field] + self._draw(field, depth - len(genes[field]), rng))[:depth]
        for field in ("mlp_ratio", "num_heads"):
            choices = getattr(self.choices, field)
            genes[field] = [rng.choice(choices) if rng.random() < m_prob else gene for gene in genes[field]]
        embed_dim = rng.choice(self.choices.embed_dim) if rng.random() < s_prob else arch["embed_dim"]
        return _arch(embed_dim, depth, **genes)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take each gene from one of the two parents by a fair coin.

        The published search crosses parents of equal depth. Deviation for unequal depths: the depth is one more gene;
        blocks that only the deeper parent has come from it.
        """
        a, b = self.validate(a), self.validate(b)
        depth = rng.choice((a["depth"], b["depth"]))
        genes = {field: _cross_blocks(a[field], b[field], depth, rng) for field in PER_BLOCK}
        return _arch(rng.choice((a["embed_dim"], b["embed_dim"])), depth, **genes)

    def _draw(self, field: str, count: int, rng: random.Random) -> list[Any]:
        return [rng.choice(getattr(self.choices, field)) for _ in range(count)]

    def validate(self, arch: Mapping[str, Any]) -> Arch:
        """Return `arch` in canonical form: own lists, ratios as float. Raises SpaceError naming the illegal field."""
        if not isinstance(arch, Mapping):
            raise SpaceError(
                f"architecture: found {type(arch).__name__}, expected an object with the fields {', '.join(FIELDS)}"
            )
        if set(arch) != set(FIELDS):
            found = ", ".join(map(str, arch)) or "none"
            raise SpaceError(f"architecture: found the fields {found}; expected {', '.join(FIELDS)}")
        embed_dim = self._member("embed_dim", arch["embed_dim"], "embed_dim")
        depth = self._member("depth", arch["depth"], "depth")
        genes = {field: self._block_genes(field, arch[field], depth) for field in PER_BLOCK}
        return _arch(embed_dim, depth, **genes)

    def _block_genes(self, field: str, values: Any, depth: int) -> list[Any]:
        if not isinstance(values, (list, tuple)):
            raise SpaceError(f"{field}: found {values!r}, expected a list of {depth} values, one a block")
        if len(values) != depth:
            raise SpaceError(f"{field}: found {len(values)} values, expected {depth}, one a block (depth is {depth})")
        # A search asks this of thousands of genes per second: what is canonical already is seen without a loop.
        if _TYPE_OF[field].issuperset(map(type, values)) and self._legal[field].issuperset(values):
            return list(values)
        return [self._member(field, value, f"{field}[{layer}]") for layer, value in enumerate(values)]

    def _member(self, field: str, value: Any, where: str) -> Any:
        if type(value) in _TYPE_OF[field] and value in self._legal[field]:
            return value
        choices: tuple[float, ...] = getattr(self.choices, field)
        kind = numbers.Real if field == "mlp_ratio" else numbers.Integral
        if isinstance(value, kind) and not isinstance(value, bool) and value in choices:
            return choices[choices.index(value)]
        raise SpaceError(f"{where}: found {value!r}, {self.name} allows {', '.join(map(str, choices))}")

    def encode(self, arch: Arch) -> str:
        """Return `arch` as one line of JSON, the same for equal architectures; raises SpaceError if it is no member."""
        return _to_json(self.validate(arch))

    def decode(self, text: str) -> Arch:
        """Return the architecture that `text` (JSON) describes; raises SpaceError if it is no JSON or no member."""
        try:
            arch = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise SpaceError(f"architecture: not readable as JSON ({error}); found {str(text)[:60]!r}") from error
        return self.validate(arch)

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form."""
        arch = self.validate(arch)
        attention, hidden = sum(_attention_dims(arch)), sum(_hidden_dims(arch))
        return costs.n_params(self.geometry, arch["embed_dim"], arch["depth"], attention, hidden)

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`; `autoformer_costs.macs` says which."""
        arch = self.validate(arch)
        return costs.macs(self.geometry, arch["embed_dim"], sum(_attention_dims(arch)), sum(_hidden_dims(arch)))

    def n_params_values(self) -> tuple[int, ...]:
        """Return every value that `n_params` takes over the space, ascending."""
        return self._n_params_values

    @cached_property
    def _n_params_values(self) -> tuple[int, ...]:
        return costs.n_params_values(self.geometry, *self.choices)

    def supernet_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the supernet's state dict, in the published order.

        As published the supernet is 64 * (most heads) wide, which may exceed the largest `embed_dim` of a sub-network;
        own choices whose `embed_dim` is wider than their heads take the widest `embed_dim`.
        """
        width = max(HEAD_DIM * max(self.choices.num_heads), *self.choices.embed_dim)
        hidden = costs.hidden_dim(width, max(self.choices.mlp_ratio))
        depth = max(self.choices.depth)
        return state.state_shapes(self.geometry, width, [width] * depth, [hidden] * depth)

    def init_weights(self, seed: int) -> dict[str, Tensor]:
        """Draw the supernet's state dict (float32, CPU) as the published code initialises it.

        The same seed gives the same bits; torch's global generator is not used.
        """
        return state.init_state(self.supernet_shapes(), torch.Generator().manual_seed(seed))

    def load_checkpoint(self, path: str | Path) -> dict[str, Tensor]:
        """Read a published supernet file for `build(arch, weights)`.

        Raises InputError if the file cannot be read, SpaceError if its names or shapes do not fit the space.
        """
        return state.load_state(path, self.supernet_shapes())

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> AutoFormerNet:
        """Build the network of `arch`: images (B, 3, image_size, image_size) -> logits (B, num_classes).

        Without `weights` it is drawn afresh by torch's global generator, in float32 on the CPU. With the supernet's
        state dict it is cut out of it (see `autoformer_weights.slice_state`), as copies of the same type and on the
        same device.

        Raises SpaceError if `arch` is no member or `weights` are not those of `supernet_shapes()`.
        """
        arch = self.validate(arch)
        # On the meta device no parameter is allocated or drawn only to be replaced.
        net = AutoFormerNet(self.geometry, arch["embed_dim"], arch["num_heads"], _hidden_dims(arch), device="meta")
        shapes = state.state_shapes(self.geometry, arch["embed_dim"], _attention_dims(arch), _hidden_dims(arch))
        if weights is None:
            values = state.init_state(shapes)
        else:
            state.check_state(weights, self.supernet_shapes(), "weights")
            values = state.slice_state(weights, shapes)
        state.fill(net, values)
        net.relative_index = net.relative_index.to(values["pos_embed"].device)
        return net


def _arch(embed_dim: int, depth: int, num_heads: list[int], mlp_ratio: list[float]) -> Arch:
    return {"embed_dim": embed_dim, "depth": depth, "num_heads": num_heads, "mlp_ratio": mlp_ratio}


def _cross_blocks(a: list[Any], b: list[Any], depth: int, rng: random.Random) -> list[Any]:
    crossed = [rng.choice(pair) for pair in zip(a, b, strict=False)]
    deeper = a if len(a) > len(b) else b
    return (crossed + deeper[len(crossed) :])[:depth]


def _attention_dims(arch: Arch) -> list[int]:
    return [HEAD_DIM * heads for heads in arch["num_heads"]]


def _hidden_dims(arch: Arch) -> list[int]:
    return [costs.hidden_dim(arch["embed_dim"], ratio) for ratio in arch["mlp_ratio"]]
