"""The weights that all networks of an AutoFormer space are cut out of: the supernet's."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from lswag_fast.spaces.autoformer import costs
from lswag_fast.spaces.autoformer import weights as state
from lswag_fast.spaces.autoformer.choices import Choices
from lswag_fast.spaces.autoformer.model import Geometry
from lswag_fast.spaces.traits import Mode


class SharedWeights:
    """What the space of some choices and a geometry shares among its networks.

    Attributes:
        choices: the values that each gene may take.
        geometry: of the images.
        default_mode: "eval": the networks have no BatchNorm, and nothing that differs in train mode.
        default_init: "own", N(0, 0.02^2) as published; others rank the networks worse.
    """

    default_mode: ClassVar[Mode] = "eval"
    default_init: ClassVar[str] = "own"
    choices: Choices
    geometry: Geometry

    def supernet_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return names and shapes of the supernet's state dict, in the published order.

        As published the supernet is as wide as the widest attention, 64 * (most heads) or the largest `qkv_dim`, which
        may exceed the largest `embed_dim` of a sub-network; where an `embed_dim` is wider, it has that width.

        Example:
            >>> from lswag_fast import spaces
            >>> spaces.AutoFormer("tiny").supernet_shapes()["pos_embed"]
            (1, 197, 256)
        """
        widths, head_dims = zip(*self.choices.attentions(), strict=True)
        width = max(*widths, *self.choices.embed_dim)
        hidden = costs.hidden_dim(width, max(self.choices.mlp_ratio))
        depth = max(self.choices.depth)
        return state.state_shapes(self.geometry, width, [(width, max(head_dims))] * depth, [hidden] * depth)

    def init_weights(self, seed: int) -> dict[str, Tensor]:
        """Draw the supernet's state dict (float32, CPU) as the published code initialises it.

        Args:
            seed: the same seed gives the same bits; torch's global generator is not used.

        Returns:
            The tensors by name, with the names and shapes of `supernet_shapes`.

        Example:
            >>> import random
            >>> from lswag_fast import spaces
            >>> space = spaces.AutoFormer(embed_dim=(64, 128), depth=1, num_heads=(1, 2), mlp_ratio=2, image_size=32)
            >>> weights = space.init_weights(seed=0)
            >>> space.build(space.sample(random.Random(0)), weights).head.out_features
            1000
        """
        return state.init_state(self.supernet_shapes(), torch.Generator().manual_seed(seed))

    def load_checkpoint(self, path: str | Path, *, with_head: bool = True, seed: int = 0) -> dict[str, Tensor]:
        """Read a published supernet file for `build(arch, weights)`; no code in the file is run.

        Args:
            path: a file of `torch.save`, either `{"model": state_dict, ...}` as published or the state dict alone; the
                prefix "module." of all names is left out.
            with_head: False draws the head anew, for another number of classes than the file's.
            seed: of the head that is drawn.

        Returns:
            The tensors by name, on the CPU and in float32, whatever the floating-point type in the file.

        Raises:
            InputError: the file cannot be read, or a tensor of it is not dense, has no values, or others than finite
                floating-point numbers.
            SpaceError: its names or shapes do not fit the space.

        Example:
            >>> import tempfile
            >>> from lswag_fast import spaces
            >>> space = spaces.AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=32)
            >>> with tempfile.NamedTemporaryFile(suffix=".pth") as file:
            ...     torch.save({"model": space.init_weights(seed=0)}, file.name)
            ...     weights = space.load_checkpoint(file.name)
            >>> weights["cls_token"].shape
            torch.Size([1, 1, 64])
        """
        return state.load_state(path, self.supernet_shapes(), None if with_head else seed)
