"""Networks of a space as backbones of detectors: their feature maps at strides 4 to 32, as torchvision takes them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lswag_fast.errors import InputError, SpaceError, needs_extra
from lswag_fast.spaces.autoformer.model import AutoFormerNet
from lswag_fast.spaces.autoformer.resize import resized
from lswag_fast.spaces.checks import check_positive
from lswag_fast.spaces.layers import IN_CHANNELS, ChannelNorm

STRIDES = (4, 8, 16, 32)
"""Of the maps that a detector takes; `Backbone` adds one of stride 64."""
_PROBED_SIDE = 64
_TOKEN_STRIDE = 16
_CLASSIFIER = ("last", "classifier", "head")


@runtime_checkable
class HasFeatureMaps(Protocol):
    """A network whose feature maps can be seen, as those of all spaces of convolutions.

    Example:
        >>> from lswag_fast.spaces import NasBench201
        >>> space = NasBench201(channels=4, cells_per_stage=1)
        >>> network = space.build(space.decode("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"))
        >>> isinstance(network, HasFeatureMaps), len(network.feature_maps(torch.zeros(1, 3, 32, 32)))
        (True, 6)
    """

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """The maps (B, C, H, W) from the images to the classifier, in order."""


class Levels(nn.Module):
    """The last map of a network at each of the strides 4, 8, 16 and 32.

    Args:
        network: whose maps these are. Its classifier, which no map needs, is left out; the other modules are shared.

    Attributes:
        channels: of each map.
        image_size: side of the images where the network takes one size only, else None.

    Raises:
        SpaceError: the network has no such maps.

    Example:
        >>> from lswag_fast.spaces import BurgerFormer
        >>> import random
        >>> space = BurgerFormer(image_size=64)
        >>> Levels(space.build(space.sample(random.Random(0)))).channels
        (96, 96, 320, 384)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, HasFeatureMaps):
            raise SpaceError(f"backbone: {type(network).__name__} shows no feature maps (feature_maps(images))")
        self.image_size: int | None = getattr(network, "image_size", None)
        self.network = _without_classifier(cast(nn.Module, network))
        self._places, self.channels = self._found()
        make_norm = getattr(network, "map_norm", nn.Identity)
        self.norms = nn.ModuleList(make_norm(channels) for channels in self.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (B, 3, H, W), H and W multiples of 32, to the four maps."""
        maps = cast(HasFeatureMaps, self.network).feature_maps(images)
        return [norm(maps[place]) for norm, place in zip(self.norms, self._places, strict=True)]

    def _found(self) -> tuple[list[int], tuple[int, ...]]:
        """The place and the channels of the last map of each stride."""
        side = self.image_size or _PROBED_SIDE
        was_training = self.network.training
        first = next(self.network.parameters())
        images = torch.zeros(1, IN_CHANNELS, side, side, dtype=first.dtype, device=first.device)
        try:
            with torch.no_grad():
                maps = cast(HasFeatureMaps, self.network.eval()).feature_maps(images)
        finally:
            self.network.train(was_training)
        last = {side // found.shape[-1]: place for place, found in enumerate(maps)}
        if any(stride not in last for stride in STRIDES):
            raise SpaceError(
                f"backbone: the maps of this network have strides {', '.join(map(str, sorted(last)))}; detectors take "
                f"{', '.join(map(str, STRIDES))}, which networks of proxylessnas, burgerformer and darts-imagenet have"
            )
        places = [last[stride] for stride in STRIDES]
        return places, tuple(maps[place].shape[1] for place in places)


class Pyramid(nn.Module):
    """The simple feature pyramid of ViTDet (Li, Mao, Girshick, He, ECCV 2022): four maps from the last tokens.

    Each is made of them alone, by transposed convolutions or a max-pooling, then a 1x1 and a 3x3 convolution, each with
    a norm over the channels.

    Args:
        network: a vision transformer with patches of 16 pixels; its head is left out.
        out_channels: of each map.

    Attributes:
        token_width: channels of the tokens.
        image_size: side of the images that the network takes.

    Raises:
        SpaceError: its patches have another size.
    """

    def __init__(self, network: AutoFormerNet, out_channels: int) -> None:
        super().__init__()
        patch = network.patch_embed_super.proj.kernel_size[0]
        if patch != _TOKEN_STRIDE:
            raise SpaceError(f"backbone: patches of {patch} pixels; the feature pyramid takes those of {_TOKEN_STRIDE}")
        self.image_size: int | None = network.image_size
        self.network = _without_classifier(network)
        width = self.token_width = network.pos_embed.shape[-1]
        half, quarter = width // 2, width // 4
        resamplings: tuple[list[nn.Module], ...] = (
            [_doubled(width, half), ChannelNorm(half), nn.GELU(), _doubled(half, quarter)],
            [_doubled(width, half)],
            [],
            [nn.MaxPool2d(2)],
        )
        widths = quarter, half, width, width
        self.levels = nn.ModuleList(
            nn.Sequential(*resampling, *_smoothed(channels, out_channels))
            for resampling, channels in zip(resamplings, widths, strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (B, 3, image_size, image_size) to the four maps."""
        tokens = cast(AutoFormerNet, self.network).forward_features(images)[:, 1:]
        side = images.shape[-1] // _TOKEN_STRIDE
        grid = tokens.transpose(1, 2).unflatten(2, (side, side))  # type: ignore[no-untyped-call]
        return [level(grid) for level in self.levels]


class Backbone(nn.Module):
    """Feature maps at strides 4 to 64, all of the same channels, as the detectors of torchvision take them.

    Args:
        levels: gives the maps of strides 4 to 32.
        merge: gives all the maps, by name, from those.
        out_channels: of each.

    Attributes:
        out_channels: as given; detectors of torchvision read it.
        image_size: side of the images where the network takes one size only, else None.
    """

    def __init__(self, levels: Levels | Pyramid, merge: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.levels = levels
        self.merge = merge
        self.out_channels = out_channels
        self.image_size = levels.image_size

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Map images (B, 3, H, W) to the maps "0" to "3" of strides 4 to 32 and "pool" of stride 64."""
        named = OrderedDict((str(place), found) for place, found in enumerate(self.levels(images)))
        return cast("OrderedDict[str, Tensor]", self.merge(named))


def backbone(network: nn.Module, *, out_channels: int = 256, image_size: int | None = None) -> Backbone:
    """Return the backbone of a detector: a network with a feature pyramid in the place of its classifier.

    Networks of convolutions get the feature pyramid network of torchvision (Lin et al., CVPR 2017), the vision
    transformers of AutoFormer the simple feature pyramid of ViTDet. The modules of the network are shared, those of the
    pyramid new, drawn with torch's global generator.

    Args:
        network: as the `build` of a space returns it: of proxylessnas, burgerformer or darts-imagenet, or another with
            maps of strides 4 to 32; of autoformer-tiny, -small or -base. One of your own shows its maps by a method
            `feature_maps(images)`.
        out_channels: of the maps.
        image_size: of a vision transformer: side of the images that it is to take, for which its positions are
            interpolated. By default its own.

    Returns:
        The backbone. Where its `image_size` is not None, it takes square images of that side only; the detectors of
        torchvision bring images to it by `fixed_size=(image_size, image_size)`.

    Raises:
        SpaceError: the network has no maps of these strides.
        InputError: the network takes images of one size, or of any size, and `image_size` is another.
        MissingExtraError: torchvision is not installed.

    Example:
        >>> from lswag_fast.spaces import AutoFormer
        >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=64)
        >>> network = space.build(space.extremes()[0])
        >>> maps = backbone(network, out_channels=8)(torch.zeros(1, 3, 64, 64))
        >>> {name: tuple(found.shape[1:]) for name, found in maps.items()}  # doctest: +NORMALIZE_WHITESPACE
        {'0': (8, 16, 16), '1': (8, 8, 8), '2': (8, 4, 4), '3': (8, 2, 2), 'pool': (8, 1, 1)}
    """
    check_positive(out_channels=out_channels)
    if isinstance(network, AutoFormerNet):
        pyramid = Pyramid(network if image_size is None else resized(network, image_size), out_channels)
        return Backbone(pyramid, _Pooled(), out_channels)
    levels = Levels(network)
    if image_size not in (None, levels.image_size):
        takes = "any size" if levels.image_size is None else f"{levels.image_size} pixels only"
        raise InputError(f"image_size: found {image_size}; this network takes images of {takes}, leave it out")
    return Backbone(levels, _feature_pyramid_network(levels.channels, out_channels), out_channels)


def level_channels(network: nn.Module) -> tuple[int, ...]:
    """Return the channels of a network's own maps at strides 4 to 32; for a vision transformer, those of its tokens.

    Raises:
        SpaceError: the network has no maps of these strides.
    """
    if isinstance(network, AutoFormerNet):
        return (Pyramid(network, out_channels=1).token_width,) * len(STRIDES)
    return Levels(network).channels


def _feature_pyramid_network(channels: Sequence[int], out_channels: int) -> nn.Module:
    with needs_extra("torchvision", "torchvision"):
        from torchvision.ops import FeaturePyramidNetwork
        from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
    made: nn.Module = FeaturePyramidNetwork(list(channels), out_channels, LastLevelMaxPool())
    return made


class _Pooled(nn.Module):
    """Adds a map of stride 64, every second pixel of the last one, as torchvision's feature pyramid network does."""

    def forward(self, maps: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
        maps["pool"] = F.max_pool2d(maps[str(len(STRIDES) - 1)], 1, 2)
        return maps


def _doubled(in_channels: int, channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, channels, 2, 2)


def _smoothed(in_channels: int, channels: int) -> list[nn.Module]:
    first = nn.Conv2d(in_channels, channels, 1, bias=False)
    second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    return [first, ChannelNorm(channels), second, ChannelNorm(channels)]


def _without_classifier(network: Any) -> nn.Module:
    """The network with the same modules but those after its maps.

    Their parameters would get no gradient, and training in several processes waits for those of every parameter.
    """
    trunk: nn.Module = copy.copy(network)
    trunk._modules = {name: module for name, module in network._modules.items() if name not in _CLASSIFIER}
    return trunk
