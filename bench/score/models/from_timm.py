"""One small network of each family of timm, with the side of the images that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bench.score.models.libraries import library
from bench.score.models.registry import (
    CONVOLUTIONS,
    HYBRIDS,
    N_CLASSES,
    PUBLIC_MODELS,
    TOKENS,
    PublicModel,
    images,
    labels,
)

_SIDE = 64

_CONVOLUTIONS = {
    "ConvMixer": "convmixer_768_32",
    "ConvNeXt": "convnext_atto",
    "ConvNeXt V2": "convnextv2_atto",
    "CSPNet": "cs3darknet_s",
    "CSPNeXt": "cspnext_tiny",
    "DarkNet": "darknet17",
    "DenseNet": "densenet121",
    "DLA": "dla46_c",
    "DPN": "dpn48b",
    "EfficientNet": "efficientnet_b0",
    "EfficientNet-Lite": "efficientnet_lite0",
    "FasterNet": "fasternet_t0",
    "FBNetV3": "fbnetv3_b",
    "GENet": "gernet_s",
    "GhostNet": "ghostnet_050",
    "GhostNetV2": "ghostnetv2_100",
    "HardCoRe-NAS": "hardcorenas_a",
    "HGNetV2": "hgnetv2_b0",
    "HRNet": "hrnet_w18_small",
    "Inception v3": "inception_v3",
    "Inception v4": "inception_v4",
    "InceptionNeXt": "inception_next_atto",
    "Inception-ResNet": "inception_resnet_v2",
    "LCNet": "lcnet_050",
    "LCNetV2": "lcnetv2_small",
    "MambaOut": "mambaout_femto",
    "MixNet": "mixnet_s",
    "MnasNet": "mnasnet_050",
    "MobileNetV1": "mobilenetv1_100",
    "MobileNetV2": "mobilenetv2_050",
    "MobileNetV3": "mobilenetv3_small_050",
    "MobileNetV4": "mobilenetv4_conv_small_050",
    "MobileOne": "mobileone_s0",
    "NFNet": "nf_regnet_b0",
    "RDNet": "rdnet_tiny",
    "RegNetX": "regnetx_002",
    "RegNetY": "regnety_002",
    "RegNetZ": "regnetz_005",
    "RepGhostNet": "repghostnet_050",
    "RepVGG": "repvgg_a0",
    "RepViT": "repvit_m0_9",
    "Res2Net": "res2net50_14w_8s",
    "ResNeSt": "resnest14d",
    "ResNet": "resnet18",
    "ResNet-D/T": "resnet10t",
    "ResNetV2": "resnetv2_18",
    "BiT": "resnetv2_50x1_bit",
    "ResNeXt": "resnext26ts",
    "ReXNet": "rexnet_100",
    "SelecSLS": "selecsls42",
    "SE-ResNet": "seresnet18",
    "SKNet": "skresnet18",
    "StarNet": "starnet_s050",
    "TResNet": "tresnet_m",
    "VoVNet": "ese_vovnet19b_slim",
    "Xception": "xception41",
}
_HYBRIDS = {
    "BoTNet": ("botnet26t_256", {"img_size": 64}),
    "CAFormer": ("caformer_s18", {}),
    "ConvFormer": ("convformer_s18", {}),
    "CSATv2": ("csatv2", {}),
    "EdgeNeXt": ("edgenext_xx_small", {}),
    "EfficientFormerV2": ("efficientformerv2_s0", {"img_size": 64}),
    "EfficientViM": ("efficientvim_m1", {}),
    "EfficientViT (MIT)": ("efficientvit_b0", {}),
    "EfficientViT (MSRA)": ("efficientvit_m0", {"img_size": 64}),
    "FastViT": ("fastvit_t8", {}),
    "HaloNet": ("halonet26t", {}),
    "iFormer": ("iformer_t", {}),
    "LambdaNet": ("lambda_resnet26t", {"img_size": 64}),
    "LowFormer": ("lowformer_b0", {}),
    "MobileViT": ("mobilevit_xxs", {}),
    "MobileViTV2": ("mobilevitv2_050", {}),
    "Next-ViT": ("nextvit_small", {}),
    "PoolFormer": ("poolformer_s12", {}),
    "SHViT": ("shvit_s1", {}),
    "SwiftFormer": ("swiftformer_xs", {}),
    "TinyViT": ("tiny_vit_5m_224", {}),
    "ViT with a ResNet stem": ("vit_tiny_r_s16_p8_224", {"img_size": 64}),
    "ViTamin": ("vitamin_small_224", {"img_size": 64}),
    "CoAtNet": ("coatnet_pico_rw_224", {"img_size": 64}),
    "MaxViT": ("maxvit_pico_rw_256", {"img_size": 64}),
}
_TOKENS = {
    "BEiT": "beit_base_patch16_224",
    "CaiT": "cait_xxs24_224",
    "CoaT": "coat_lite_tiny",
    "ConViT": "convit_tiny",
    "CrossViT": "crossvit_9_240",
    "DaViT": "davit_tiny",
    "DeiT": "deit_tiny_distilled_patch16_224",
    "DeiT III": "deit3_small_patch16_224",
    "EVA-02": "eva02_tiny_patch14_224",
    "FocalNet": "focalnet_tiny_srf",
    "GCViT": "gcvit_xxtiny",
    "gMLP": "gmlp_ti16_224",
    "Hiera": "hiera_tiny_224",
    "LeViT": "levit_128s",
    "MLP-Mixer": "mixer_s32_224",
    "MViTv2": "mvitv2_tiny",
    "NaFlexViT": "naflexvit_base_patch16_gap",
    "NesT": "nest_tiny",
    "PiT": "pit_ti_224",
    "PVT v2": "pvt_v2_b0",
    "ResMLP": "resmlp_12_224",
    "Sequencer2D": "sequencer2d_s",
    "Swin": "swin_tiny_patch4_window7_224",
    "Swin V2": "swinv2_tiny_window8_256",
    "Swin V2-CR": "swinv2_cr_tiny_224",
    "TNT": "tnt_s_patch16_224",
    "Twins": "twins_svt_small",
    "Visformer": "visformer_tiny",
    "ViT": "vit_tiny_patch16_224",
    "ViT, relative positions": "vit_relpos_small_patch16_224",
    "ViT, SAM": "samvit_base_patch16_224",
    "VOLO": "volo_d1_224",
    "XCiT": "xcit_nano_12_p16_224",
}
# Those whose side is not 64, and those that take any side without being told which.
_SIDES = {
    "crossvit_9_240": 240,
    "eva02_tiny_patch14_224": 112,
    "halonet26t": 256,
    "inception_v3": 96,
    "inception_v4": 96,
}
_SIDES |= {"inception_resnet_v2": 96, "swin_tiny_patch4_window7_224": 112, "swinv2_cr_tiny_224": 112}
_ANY_SIDE = {"davit_tiny", "pvt_v2_b0", "focalnet_tiny_srf", "naflexvit_base_patch16_gap"}


def _make(name: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model: nn.Module = library("timm").create_model(name, pretrained=False, num_classes=N_CLASSES, **settings)
        model.eval()
        for module in model.modules():
            if hasattr(module, "attention_bias_cache"):
                # In eval mode it keeps its biases together with their graph, which one backward can use only.
                module.training = True
        return model

    return make


def _add(kind: str, family: str, name: str, settings: dict[str, Any]) -> None:
    side = _SIDES.get(name, _SIDE)
    model = PublicModel("timm", kind, family, name, f"{side} px", _make(name, settings), images(side), labels)
    PUBLIC_MODELS.append(model)


for _family, _name in _CONVOLUTIONS.items():
    _add(CONVOLUTIONS, _family, _name, {})
for _family, (_name, _settings) in _HYBRIDS.items():
    _add(HYBRIDS, _family, _name, _settings)
for _family, _name in _TOKENS.items():
    _add(TOKENS, _family, _name, {} if _name in _ANY_SIDE else {"img_size": _SIDES.get(_name, _SIDE)})
