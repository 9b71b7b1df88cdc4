"""The AutoFormer space of vision transformers (Chen et al., ICCV 2021), as published or with choices of your own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from lswag_fast.spaces.autoformer import costs
from lswag_fast.spaces.autoformer.choices import geometry_of, own_choices, published_choices
from lswag_fast.spaces.autoformer.genes import crossed_blocks, drawn_blocks, mutated_blocks, resized_blocks
from lswag_fast.spaces.autoformer.members import Members, make_arch
from lswag_fast.spaces.autoformer.model import MAX_RELATIVE_POSITION
from lswag_fast.spaces.autoformer.networks import Networks, attentions_of, hidden_dims
from lswag_fast.spaces.encoding import read_json
from lswag_fast.spaces.layers import IN_CHANNELS
from lswag_fast.spaces.protocol import Arch, ChoosingTrial

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class AutoFormer(Networks):
    """A space of vision transformers: `AutoFormer("tiny")`, "small", "base", or choices of your own by keyword.

    An architecture is `{"embed_dim": 192, "depth": 12, "num_heads": [3, ...], "mlp_ratio": [3.5, ...]}`, with lists of
    length depth. Give either a name, and perhaps other ratios and widths of the attention, or all four of `embed_dim`,
    `depth`, `num_heads` and `mlp_ratio`.

    Args:
        name: of a published space, "tiny", "small" or "base".
        embed_dim: the widths of the tokens to choose from, a value or a sequence of values.
        depth: the numbers of blocks, likewise.
        num_heads: the numbers of heads of a block, likewise, each 64 wide unless `qkv_dim` is given.
        mlp_ratio: the hidden widths of a block's MLP as multiples of `embed_dim`, likewise.
        qkv_dim: the widths of a block's queries, of its keys and of its values, likewise, of which heads share those
            that they divide; an architecture has it as a field then, `"qkv_dim": [192, ...]`. None as published code
            and checkpoints are: 64 for each head. A published supernet's weights fit as long as no head is wider.
        image_size: side of the square images in pixels, a multiple of `patch_size`.
        patch_size: side of a patch in pixels.
        num_classes: number of logits.
        max_relative_position: distances, in patches, that the relative tables tell apart; 14 as published.

    Raises:
        SpaceError: an unknown name, a missing or illegal choice, or an image that patches do not fill.

    Example:
        >>> import torch
        >>> space = AutoFormer("tiny", image_size=32, patch_size=4, num_classes=10)
        >>> arch = space.sample(random.Random(0))
        >>> space.build(arch)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
        >>> AutoFormer(embed_dim=(64, 128), depth=2, num_heads=(1, 2), mlp_ratio=2.0).size
        8
        >>> AutoFormer("tiny", qkv_dim=(192, 256)).sample(random.Random(0))["qkv_dim"][:3]
        [256, 192, 192]
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        embed_dim: int | Sequence[int] | None = None,
        depth: int | Sequence[int] | None = None,
        num_heads: int | Sequence[int] | None = None,
        mlp_ratio: float | Sequence[float] | None = None,
        qkv_dim: int | Sequence[int] | None = None,
        image_size: int = 224,
        patch_size: int = 16,
        num_classes: int = 1000,
        max_relative_position: int = MAX_RELATIVE_POSITION,
    ) -> None:
        own = {"embed_dim": embed_dim, "depth": depth, "num_heads": num_heads, "mlp_ratio": mlp_ratio}
        own["qkv_dim"] = qkv_dim
        self.choices = own_choices(own) if name is None else published_choices(name, own)
        self.name = "autoformer" if name is None else f"autoformer-{name}"
        self.geometry = geometry_of(image_size, patch_size, num_classes, max_relative_position)
        self._members = Members(self.name, self.choices)

    def __repr__(self) -> str:
        fields = [f"{field}={getattr(self.choices, field)}" for field in self.choices.fields]
        fields += [f"{field}={getattr(self, field)}" for field in ("image_size", "patch_size", "num_classes")]
        if self.geometry.max_relative_position != MAX_RELATIVE_POSITION:
            fields.append(f"max_relative_position={self.geometry.max_relative_position}")
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
        """Exact number of architectures: the sum over the depths d of widths * (attentions * ratios)^d.

        Example:
            >>> AutoFormer("tiny").size
            1056964608
        """
        per_block = len(self.choices.attentions()) * len(self.choices.mlp_ratio)
        blocks: int = sum(per_block**depth for depth in self.choices.depth)
        return len(self.choices.embed_dim) * blocks

    def sample(self, rng: random.Random) -> Arch:
        """Draw every gene uniformly from its choices, as the published search does.

        The depth is uniform too, so a single shallow architecture is likelier than a single deep one, of which there
        are more.

        Args:
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Example:
            >>> AutoFormer("tiny").sample(random.Random(0))["depth"]
            13
        """
        depth = rng.choice(self.choices.depth)
        blocks = drawn_blocks(self.choices, depth, rng)
        return make_arch(rng.choice(self.choices.embed_dim), depth, **blocks)

    def mutate(self, arch: Arch, rng: random.Random, m_prob: float = 0.2, s_prob: float = 0.4) -> Arch:
        """Redraw depth and width with probability `s_prob` each, every gene of a block with `m_prob`.

        A shallower network keeps its first blocks, a deeper one gets random blocks at the end. A redrawn gene may come
        out as it was, so the result may equal `arch`. Order and probabilities are those of the published search. A
        `qkv_dim` that the heads of its block no longer divide is redrawn.

        Args:
            arch: a member of the space, which is left as it was.
            rng: the only source of randomness.
            m_prob: probability of each block's gene, in [0, 1].
            s_prob: probability of the depth and of the width, in [0, 1].

        Returns:
            A member of the space.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space, rng = AutoFormer("tiny"), random.Random(0)
            >>> arch = space.sample(rng)
            >>> space.mutate(arch, rng, m_prob=0.0, s_prob=0.0) == arch
            True
        """
        arch = self.validate(arch)
        depth, blocks = arch["depth"], {field: arch[field] for field in self.choices.genes}
        if rng.random() < s_prob:
            depth = rng.choice(self.choices.depth)
            blocks = resized_blocks(self.choices, blocks, depth, rng)
        blocks = mutated_blocks(self.choices, blocks, m_prob, rng)
        embed_dim = rng.choice(self.choices.embed_dim) if rng.random() < s_prob else arch["embed_dim"]
        return make_arch(embed_dim, depth, **blocks)

    def crossover(self, a: Arch, b: Arch, rng: random.Random) -> Arch:
        """Take each gene from one of the two parents by a fair coin; heads and `qkv_dim` of a block are one gene.

        The published search crosses parents of equal depth. Departure from it for unequal depths: the depth is one
        more gene, and blocks that only the deeper parent has come from that parent.

        Args:
            a: a member of the space, which is left as it was.
            b: likewise.
            rng: the only source of randomness.

        Returns:
            A member of the space.

        Raises:
            SpaceError: a parent is not a member of the space.

        Example:
            >>> space, rng = AutoFormer("tiny"), random.Random(0)
            >>> a, b = space.sample(rng), space.sample(rng)
            >>> space.crossover(a, b, rng)["embed_dim"] in (a["embed_dim"], b["embed_dim"])
            True
        """
        a, b = self.validate(a), self.validate(b)
        depth = rng.choice((a["depth"], b["depth"]))
        blocks = crossed_blocks(a, b, depth, rng)
        return make_arch(rng.choice((a["embed_dim"], b["embed_dim"])), depth, **blocks)

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the architecture that a trial of Optuna chooses, see `Suggests`."""
        return self._members.suggest(trial)

    def suggested(self, arch: Arch) -> dict[str, Any]:
        """Return the choices that an architecture is made of, see `Suggests`."""
        return self._members.suggested(arch)

    def validate(self, arch: Mapping[str, Any]) -> Arch:
        """Return an architecture in canonical form: lists of its own, ratios as float.

        Args:
            arch: what may be a member of the space.

        Raises:
            SpaceError: it is not; names the illegal field.

        Example:
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2)
            >>> space.validate({"embed_dim": 64, "depth": 1, "num_heads": (1,), "mlp_ratio": (2,)})
            {'embed_dim': 64, 'depth': 1, 'num_heads': [1], 'mlp_ratio': [2.0]}
        """
        return self._members.canonical(arch)

    def encode(self, arch: Arch) -> str:
        """Return an architecture as one line of JSON, the same for equal architectures.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2)
            >>> space.encode(space.sample(random.Random(0)))
            '{"embed_dim":64,"depth":1,"num_heads":[1],"mlp_ratio":[2.0]}'
        """
        return _to_json(self.validate(arch))

    def decode(self, text: str) -> Arch:
        """Return the architecture that a line of JSON describes, in canonical form.

        Raises:
            SpaceError: it is not JSON, or not a member of the space.

        Example:
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2)
            >>> space.decode('{"depth": 1, "embed_dim": 64, "mlp_ratio": [2], "num_heads": [1]}')
            {'embed_dim': 64, 'depth': 1, 'num_heads': [1], 'mlp_ratio': [2.0]}
        """
        return self.validate(read_json(text))

    def n_params(self, arch: Arch) -> int:
        """Return the number of parameters of `build(arch)`, in closed form.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=32, num_classes=10)
            >>> arch = space.sample(random.Random(0))
            >>> space.n_params(arch) == sum(parameter.numel() for parameter in space.build(arch).parameters())
            True
        """
        arch = self.validate(arch)
        width, head_dim = map(sum, zip(*attentions_of(arch), strict=True))
        attention = costs.attention_params(self.geometry, arch["embed_dim"], width, head_dim)
        return costs.n_params(self.geometry, arch["embed_dim"], arch["depth"], attention, sum(hidden_dims(arch)))

    def macs(self, arch: Arch) -> int:
        """Return the multiply-accumulates of one image through `build(arch)`.

        Counted are the patch projection, all products of the blocks, and the head; not counted are norms, softmax,
        GELU, biases and other additions. `autoformer.costs.macs` has the formula.

        Raises:
            SpaceError: `arch` is not a member of the space.

        Example:
            >>> space = AutoFormer("tiny")
            >>> space.macs(space.sample(random.Random(0))) > 10**9
            True
        """
        arch = self.validate(arch)
        attention = sum(width for width, _ in attentions_of(arch))
        return costs.macs(self.geometry, arch["embed_dim"], attention, sum(hidden_dims(arch)))

    def n_params_values(self) -> tuple[int, ...]:
        """Return every value that `n_params` takes over the space, ascending.

        Example:
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=(1, 2), mlp_ratio=2)
            >>> len(space.n_params_values())
            2
        """
        return self._n_params_values

    @cached_property
    def _n_params_values(self) -> tuple[int, ...]:
        choices = self.choices
        return costs.n_params_values(
            self.geometry, choices.embed_dim, choices.depth, choices.attentions(), choices.mlp_ratio
        )

    def extremes(self) -> tuple[Arch, Arch]:
        """Return the architecture with the least, and that with the largest value of every gene.

        Where `qkv_dim` is one, the attention is that of the fewest or the most parameters.

        Example:
            >>> [arch["embed_dim"] for arch in AutoFormer("tiny").extremes()]
            [192, 240]
        """
        return self._uniform(min), self._uniform(max)

    def _uniform(self, choose: Callable[..., Any]) -> Arch:
        embed_dim, depth, ratio = map(choose, (self.choices.embed_dim, self.choices.depth, self.choices.mlp_ratio))
        sizes = {pair: costs.attention_params(self.geometry, embed_dim, *pair) for pair in self.choices.attentions()}
        (width, head_dim), _ = choose(sizes.items(), key=lambda item: item[1])
        widths = [width] * depth if self.choices.qkv_dim else None
        return make_arch(embed_dim, depth, [width // head_dim] * depth, [ratio] * depth, widths)
