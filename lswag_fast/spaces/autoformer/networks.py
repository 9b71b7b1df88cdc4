"""The networks of an AutoFormer space, with values of their own or cut out of the supernet's."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lswag_fast.spaces.autoformer import costs
from lswag_fast.spaces.autoformer import weights as state
from lswag_fast.spaces.autoformer.members import Members
from lswag_fast.spaces.autoformer.model import HEAD_DIM, AutoFormerNet
from lswag_fast.spaces.autoformer.shared_weights import SharedWeights
from lswag_fast.spaces.protocol import Arch


class Networks(SharedWeights):
    """What makes the networks of a space of some choices and a geometry."""

    _members: Members

    def build(self, arch: Arch, weights: Mapping[str, Tensor] | None = None) -> AutoFormerNet:
        """Build the network of `arch`: images (B, 3, image_size, image_size) -> logits (B, num_classes).

        Args:
            arch: a member of the space.
            weights: the supernet's state dict, of `init_weights` or `load_checkpoint`. The network's own are cut out of
                it (see `autoformer.weights.slice_state`), as copies of the same type and on the same device. Without
                it they are drawn with torch's global generator, in float32 on the CPU.

        Returns:
            The network, in train mode.

        Raises:
            SpaceError: `arch` is not a member of the space, or `weights` are not those of `supernet_shapes()`.

        Example:
            >>> import torch
            >>> from lswag_fast.spaces import AutoFormer
            >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=32, num_classes=10)
            >>> space.build(space.extremes()[0])(torch.zeros(2, 3, 32, 32)).shape
            torch.Size([2, 10])
        """
        arch = self._members.canonical(arch)
        if weights is None:
            values = state.init_state(self._shapes(arch))
        else:
            state.check_state(weights, self.supernet_shapes(), "weights")
            values = state.slice_state(weights, self._shapes(arch))
        return self._network(arch, {name: nn.Parameter(value) for name, value in values.items()})

    def entangled(self, arch: Arch, weights: Mapping[str, Tensor]) -> AutoFormerNet:
        """Build the network of `arch` on the supernet's weights, so that its gradients flow back into those.

        Args:
            arch: a member of the space.
            weights: as for `build`.

        Returns:
            The network, in train mode. In the place of its parameters it has the tensors of `cut`, so that
            `parameters()` are not for an optimiser: the supernet's are.

        Raises:
            SpaceError: as of `build`.

        Example:
            >>> import torch
            >>> from lswag_fast.spaces import AutoFormer
            >>> space = AutoFormer(embed_dim=(64, 128), depth=1, num_heads=(1, 2), mlp_ratio=2, image_size=32)
            >>> shared = {name: weight.requires_grad_() for name, weight in space.init_weights(seed=0).items()}
            >>> narrow, wide = space.extremes()
            >>> space.entangled(narrow, shared)(torch.zeros(2, 3, 32, 32)).sum().backward()
            >>> shared["head.weight"].grad.shape
            torch.Size([1000, 128])
        """
        return self._network(self._members.canonical(arch), self.cut(arch, weights))

    def cut(self, arch: Arch, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cut the weights of the network of `arch` out of the supernet's, so that gradients flow back into those.

        Args:
            arch: a member of the space.
            weights: as for `build`.

        Returns:
            The network's tensors by name, of the values of `build(arch, weights)`; where a cut lies in one piece in the
            supernet's memory, it is that piece and no copy.

        Raises:
            SpaceError: as of `build`.

        Example:
            >>> import torch
            >>> from lswag_fast.spaces import AutoFormer
            >>> space = AutoFormer(embed_dim=(64, 128), depth=1, num_heads=(1, 2), mlp_ratio=2, image_size=32)
            >>> shared = {name: weight.requires_grad_() for name, weight in space.init_weights(seed=0).items()}
            >>> narrow, wide = space.extremes()
            >>> images = torch.zeros(2, 3, 32, 32)
            >>> torch.func.functional_call(space.build(narrow), space.cut(narrow, shared), (images,)).sum().backward()
            >>> shared["head.weight"].grad.shape
            torch.Size([1000, 128])
        """
        arch = self._members.canonical(arch)
        state.check_state(weights, self.supernet_shapes(), "weights")
        return state.cut_state(weights, self._shapes(arch))

    def _network(self, arch: Arch, values: Mapping[str, Tensor]) -> AutoFormerNet:
        # On the meta device no parameter is allocated or drawn only to be replaced.
        net = AutoFormerNet(self.geometry, arch["embed_dim"], attentions_of(arch), hidden_dims(arch), device="meta")
        state.fill(net, values)
        net.relative_index = net.relative_index.to(values["pos_embed"].device)
        return net

    def _shapes(self, arch: Arch) -> state.Shapes:
        return state.state_shapes(self.geometry, arch["embed_dim"], attentions_of(arch), hidden_dims(arch))


def attentions_of(arch: Arch) -> list[tuple[int, int]]:
    """Width of each block's attention and of one of its heads."""
    if "qkv_dim" not in arch:
        return [(HEAD_DIM * heads, HEAD_DIM) for heads in arch["num_heads"]]
    return [(width, width // heads) for heads, width in zip(arch["num_heads"], arch["qkv_dim"], strict=True)]


def hidden_dims(arch: Arch) -> list[int]:
    """The hidden width of each block's MLP."""
    return [costs.hidden_dim(arch["embed_dim"], ratio) for ratio in arch["mlp_ratio"]]
