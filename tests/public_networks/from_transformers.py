"""Networks of transformers, each from a configuration of a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from public_networks.registry import N_CLASSES, N_SAMPLES, add
from support.zoo_libraries import library

VOCABULARY, LENGTH, SIDE = 40, 7, 32


def _model(family: str, task: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    """`task` follows the family's name in that of the class, as in BertForSequenceClassification."""

    def make() -> nn.Module:
        library("torchvision")  # transformers imports it where it is
        transformers = library("transformers")
        config = getattr(transformers, f"{family}Config")(**settings)
        return getattr(transformers, f"{family}{task}")(config).eval()

    return make


def _tokens() -> dict[str, torch.Tensor]:
    return {"input_ids": 3 + torch.randint(VOCABULARY - 3, (N_SAMPLES, LENGTH))}


def _pixels() -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(N_SAMPLES, 3, SIDE, SIDE)}


def _sound() -> dict[str, torch.Tensor]:
    return {"input_values": torch.randn(N_SAMPLES, 800)}


def _next_token() -> torch.Tensor:
    return torch.randint(VOCABULARY, (N_SAMPLES, LENGTH))


def _pooled(outputs: Any) -> torch.Tensor:
    """The mean of the tokens' features as logits, for a network without a head."""
    return outputs.last_hidden_state.mean(1)


_TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 32, "num_labels": N_CLASSES, "pad_token_id": 0,
}  # fmt: skip
_DECODER = {**_TEXT, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 16}
_IMAGE = {
    "image_size": SIDE, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "num_labels": N_CLASSES,
}  # fmt: skip
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}

# What a table of positions is projected by sees no samples; it is large beside the few other weights here.
_POSITIONS = "its positions are projected without samples"
_LOW = {"DebertaV2": 0.79}

_CLASSIFIERS = {
    "Albert": {**_TEXT, "embedding_size": 12},
    "Bert": _TEXT,
    "DebertaV2": {
        **_TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 4,
        "max_relative_positions": 8, "pooler_hidden_size": 16,
    },
    "DistilBert": {
        "vocab_size": VOCABULARY, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "num_labels": N_CLASSES,
        "max_position_embeddings": 32,
    },
    "Electra": {**_TEXT, "embedding_size": 12},
    "FNet": _TEXT,
    "Longformer": {**_TEXT, "attention_window": [4, 4]},
    "Roberta": _TEXT,
    "SqueezeBert": {**_TEXT, "embedding_size": 16, "q_groups": 2, "k_groups": 2, "v_groups": 2},
}  # fmt: skip
_DECODERS = {
    "Bloom": {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": 2, "n_head": 2},
    "Gemma2": {**_DECODER, "query_pre_attn_scalar": 8, "sliding_window": 4},
    "GPT2": {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "GPTNeoX": {**_TEXT},
    "Llama": _DECODER,
    "Mamba": {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
    "Mistral": {**_DECODER, "sliding_window": 4},
    "Mixtral": {**_DECODER, **_EXPERTS},
    "OPT": {
        "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 24,
        "word_embed_proj_dim": 16, "max_position_embeddings": 32, "pad_token_id": 0,
    },
    "Phi": {**_TEXT},
    "Qwen2": _DECODER,
    "Qwen2Moe": {
        **_DECODER, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12,
        "shared_expert_intermediate_size": 12,
    },
}  # fmt: skip
_VISION = {
    "Beit": {**_IMAGE, "use_relative_position_bias": True},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2, "num_labels": N_CLASSES},
    "DeiT": _IMAGE,
    "Dinov2": _IMAGE,
    "Segformer": {
        "hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2],
        "num_labels": N_CLASSES,
    },
    "Swin": {
        "image_size": SIDE, "patch_size": 4, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4,
        "num_labels": N_CLASSES,
    },
    "ViT": _IMAGE,
}  # fmt: skip

for family, settings in _CLASSIFIERS.items():
    low = {"coverage": _LOW[family], "reason": _POSITIONS} if family in _LOW else {}
    add(f"transformers/{family}", _model(family, "ForSequenceClassification", settings), _tokens, **low)
for family, settings in _DECODERS.items():
    task = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    add(f"transformers/{family}", _model(family, task, settings), _tokens, targets=_next_token)
for family, settings in _VISION.items():
    add(f"transformers/{family}", _model(family, "ForImageClassification", settings), _pixels)
add(
    "transformers/CLIPVision",
    _model("CLIPVision", "Model", {**_IMAGE, "projection_dim": 8}),
    _pixels,
    options={"output": _pooled},
)
add(
    "transformers/T5Encoder",
    _model("T5", "EncoderModel", {
        "vocab_size": VOCABULARY, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2,
    }),
    _tokens,
    options={"output": _pooled},
)  # fmt: skip
add(
    "transformers/Wav2Vec2",
    _model("Wav2Vec2", "ForSequenceClassification", {
        **_TEXT, "conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
    }),
    _sound,
)  # fmt: skip
add(
    "transformers/Perceiver",
    _model("Perceiver", "ForSequenceClassification", {
        "vocab_size": VOCABULARY, "d_model": 12, "d_latents": 16, "num_latents": 6, "num_blocks": 1,
        "num_self_attends_per_block": 2, "num_self_attention_heads": 2, "num_cross_attention_heads": 2,
        "max_position_embeddings": LENGTH, "num_labels": N_CLASSES,
    }),
    lambda: {"inputs": _tokens()["input_ids"]},
)  # fmt: skip
