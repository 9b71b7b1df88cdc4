"""Networks of timm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from public_networks.registry import N_CLASSES, add, images
from support.zoo_libraries import library


def _model(name: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        library("torchvision")
        return library("timm").create_model(name, pretrained=False, num_classes=N_CLASSES, **settings).eval()

    return make


# Convolutional: the side of the images alone.
_CONVOLUTIONAL = {
    "convnext_atto": (32, {}),
    "convnextv2_atto": (32, {}),
    "dla46_c": (64, {}),
    "dpn48b": (32, {}),
    "edgenext_xx_small": (64, {}),
    "efficientnet_lite0": (32, {}),
    "ese_vovnet19b_slim": (32, {}),
    "fastvit_t8": (64, {}),
    "ghostnet_050": (32, {}),
    "hrnet_w18_small": (32, {}),
    "lcnet_050": (32, {}),
    "mambaout_femto": (32, {}),
    "mobilenetv3_small_050": (32, {}),
    "mobilevit_xxs": (64, {}),
    "mobilevitv2_050": (64, {}),
    "nf_regnet_b0": (32, {}),
    "poolformer_s12": (32, {}),
    "regnetx_002": (32, {}),
    "repvgg_a0": (32, {}),
    "res2net50_14w_8s": (32, {}),
    "resnest14d": (32, {}),
    "resnet10t": (32, {}),
    "resnetv2_50": (32, {"layers": (1, 1)}),
    "rexnet_100": (32, {}),
    "seresnext26t_32x4d": (32, {}),
    "skresnet18": (32, {}),
    "starnet_s1": (32, {}),
    "tinynet_e": (32, {}),
    "botnet26t_256": (64, {"img_size": 64}),
    "davit_tiny": (64, {"embed_dims": (16, 32), "depths": (1, 1), "num_heads": (2, 2), "window_size": 4}),
    "pvt_v2_b0": (64, {}),
    "tiny_vit_5m_224": (64, {}),
}
# With attention or mixing over a fixed number of tokens.
_TOKENS = {
    "beit_base_patch16_224": {"embed_dim": 48, "depth": 2, "num_heads": 4, "patch_size": 8},
    "cait_xxs24_224": {"depth": 2, "depth_token_only": 1},
    "coat_lite_tiny": {},
    "crossvit_9_240": {"img_size": 240},
    "deit_tiny_distilled_patch16_224": {"depth": 2},
    "eva02_tiny_patch14_224": {"depth": 2, "patch_size": 16},
    "gcvit_xxtiny": {},
    "gmlp_ti16_224": {},
    "hiera_tiny_224": {},
    "levit_128s": {},
    "mixer_s32_224": {},
    "nest_tiny": {},
    "pit_ti_224": {},
    "resmlp_12_224": {},
    "sequencer2d_s": {},
    "swin_tiny_patch4_window7_224": {
        "embed_dim": 24, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4,
    },
    "swinv2_tiny_window8_256": {
        "embed_dim": 24, "depths": (2, 2), "num_heads": (1, 2), "window_size": 4,
    },
    "tnt_s_patch16_224": {"depth": 2},
    "twins_svt_small": {},
    "visformer_tiny": {},
    "vit_relpos_small_patch16_224": {"depth": 2},
    "vit_tiny_patch16_224": {"depth": 2},
    "volo_d1_224": {},
    "xcit_nano_12_p16_224": {"depth": 2},
}  # fmt: skip
# Seconds rather than tenths of one, with the loop over the samples.
_SLOW = {
    "botnet26t_256", "cait_xxs24_224", "coat_lite_tiny", "convnextv2_atto", "crossvit_9_240", "dpn48b",
    "ese_vovnet19b_slim", "fastvit_t8", "gcvit_xxtiny", "hiera_tiny_224", "hrnet_w18_small", "mambaout_femto",
    "mixer_s32_224", "mobilevitv2_050", "nest_tiny", "nf_regnet_b0", "poolformer_s12", "repvgg_a0",
    "res2net50_14w_8s", "resmlp_12_224", "resnest14d", "rexnet_100", "sequencer2d_s", "seresnext26t_32x4d",
    "skresnet18", "tiny_vit_5m_224", "twins_svt_small", "visformer_tiny", "volo_d1_224",
}  # fmt: skip

for name, (side, settings) in _CONVOLUTIONAL.items():
    add(f"timm/{name}", _model(name, settings), images(side), slow=name in _SLOW)
for name, settings in _TOKENS.items():
    settings = {"img_size": 64, **settings}
    add(f"timm/{name}", _model(name, settings), images(settings["img_size"]), slow=name in _SLOW)
