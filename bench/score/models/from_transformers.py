"""Networks of transformers, each from a configuration of four layers of width 256."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.score.models.libraries import library
from bench.score.models.registry import (
    BATCH,
    CONVOLUTIONS,
    DECODERS,
    ENCODERS,
    HYBRIDS,
    N_CLASSES,
    OTHERS,
    PUBLIC_MODELS,
    TOKENS,
    PublicModel,
    labels,
)

_VOCABULARY, _LENGTH, _SIDE, _SAMPLES = 1000, 64, 64, 8000
_CLASSIFIER, _DECODER, _PICTURES = "ForSequenceClassification", "ForCausalLM", "ForImageClassification"

_TEXT = {
    "vocab_size": _VOCABULARY, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 1024, "max_position_embeddings": 128, "num_labels": N_CLASSES, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GROUPED = {**_TEXT, "num_key_value_heads": 2, "head_dim": 64}
_EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
_IMAGE = {
    "image_size": _SIDE, "patch_size": 8, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 1024, "num_labels": N_CLASSES,
}  # fmt: skip
_SOUND = {
    **_TEXT, "conv_dim": (64, 64), "conv_kernel": (10, 8), "conv_stride": (5, 4), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 64,
}  # fmt: skip
_GPT = {"vocab_size": _VOCABULARY, "n_embd": 256, "n_layer": 4, "n_head": 4, "n_positions": 128}
_T5 = {
    "vocab_size": _VOCABULARY, "d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 4,
    "decoder_start_token_id": 0,
}  # fmt: skip
_BART = {
    "vocab_size": _VOCABULARY, "d_model": 256, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024, "max_position_embeddings": 128,
    "num_labels": N_CLASSES, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip

# Family, class without its task, task, settings. The task follows the name of the family in that of the class.
_ENCODERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("ALBERT", "Albert", _CLASSIFIER, {**_TEXT, "embedding_size": 128}),
    ("BERT", "Bert", _CLASSIFIER, _TEXT),
    ("BigBird", "BigBird", _CLASSIFIER, {**_TEXT, "attention_type": "original_full"}),
    ("CamemBERT", "Camembert", _CLASSIFIER, _TEXT),
    ("ConvBERT", "ConvBert", _CLASSIFIER, {**_TEXT, "embedding_size": 256}),
    ("DeBERTa", "Deberta", _CLASSIFIER, {**_TEXT, "pooler_hidden_size": 256}),
    ("DeBERTa-v2", "DebertaV2", _CLASSIFIER, {
        **_TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16,
        "pooler_hidden_size": 256,
    }),
    ("DistilBERT", "DistilBert", _CLASSIFIER, {
        "vocab_size": _VOCABULARY, "dim": 256, "n_layers": 4, "n_heads": 4, "hidden_dim": 1024, "num_labels": N_CLASSES,
        "max_position_embeddings": 128,
    }),
    ("ELECTRA", "Electra", _CLASSIFIER, {**_TEXT, "embedding_size": 128}),
    ("ESM", "Esm", _CLASSIFIER, {**_TEXT, "position_embedding_type": "rotary", "mask_token_id": 3}),
    ("FNet", "FNet", _CLASSIFIER, _TEXT),
    ("Funnel", "Funnel", _CLASSIFIER, {
        "vocab_size": _VOCABULARY, "d_model": 256, "n_head": 4, "d_head": 64, "d_inner": 1024, "block_sizes": [2, 2],
        "num_labels": N_CLASSES,
    }),
    ("Longformer", "Longformer", _CLASSIFIER, {**_TEXT, "attention_window": [8, 8, 8, 8]}),
    ("MobileBERT", "MobileBert", _CLASSIFIER, {
        **_TEXT, "embedding_size": 128, "intra_bottleneck_size": 64, "intermediate_size": 512,
    }),
    ("ModernBERT", "ModernBert", _CLASSIFIER, {**_TEXT, "cls_token_id": 1, "sep_token_id": 2}),
    ("MPNet", "MPNet", _CLASSIFIER, _TEXT),
    ("Nystromformer", "Nystromformer", _CLASSIFIER, {**_TEXT, "segment_means_seq_len": 64, "num_landmarks": 8}),
    ("RoBERTa", "Roberta", _CLASSIFIER, _TEXT),
    ("RoFormer", "RoFormer", _CLASSIFIER, {**_TEXT, "embedding_size": 256}),
    ("SqueezeBERT", "SqueezeBert", _CLASSIFIER, {**_TEXT, "embedding_size": 256}),
    ("XLM-RoBERTa", "XLMRoberta", _CLASSIFIER, _TEXT),
    ("XLNet", "XLNet", _CLASSIFIER, {
        "vocab_size": _VOCABULARY, "d_model": 256, "n_layer": 4, "n_head": 4, "d_inner": 1024, "num_labels": N_CLASSES,
    }),
]  # fmt: skip
_DECODERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("Bloom", "Bloom", _DECODER, {"vocab_size": _VOCABULARY, "hidden_size": 256, "n_layer": 4, "n_head": 4}),
    ("CodeGen", "CodeGen", _DECODER, {**_GPT, "rotary_dim": 16}),
    ("Falcon", "Falcon", _DECODER, {**_TEXT, "multi_query": True}),
    ("Gemma", "Gemma", _DECODER, _GROUPED),
    ("Gemma 2", "Gemma2", _DECODER, {**_GROUPED, "query_pre_attn_scalar": 64, "sliding_window": 16}),
    ("GPT-2", "GPT2", "LMHeadModel", _GPT),
    ("GPT-Neo", "GPTNeo", _DECODER, {
        **_TEXT, "num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 16,
    }),
    ("GPT-NeoX", "GPTNeoX", _DECODER, _TEXT),
    ("GPT-J", "GPTJ", _DECODER, {**_GPT, "rotary_dim": 16}),
    ("GPT-OSS", "GptOss", _DECODER, {**_GROUPED, **_EXPERTS, "sliding_window": 16}),
    ("Granite", "Granite", _DECODER, _GROUPED),
    ("Llama", "Llama", _DECODER, _GROUPED),
    ("Mamba", "Mamba", _DECODER, {
        "vocab_size": _VOCABULARY, "hidden_size": 256, "num_hidden_layers": 4, "state_size": 8,
    }),
    ("Mamba 2", "Mamba2", _DECODER, {
        "vocab_size": _VOCABULARY, "hidden_size": 256, "num_hidden_layers": 4, "state_size": 16, "num_heads": 8,
        "head_dim": 64, "n_groups": 1, "chunk_size": 16,
    }),
    ("Mistral", "Mistral", _DECODER, {**_GROUPED, "sliding_window": 16}),
    ("Mixtral", "Mixtral", _DECODER, {**_GROUPED, **_EXPERTS}),
    ("MPT", "Mpt", _DECODER, {
        "vocab_size": _VOCABULARY, "d_model": 256, "n_layers": 4, "n_heads": 4, "max_seq_len": 128,
    }),
    ("OLMo 2", "Olmo2", _DECODER, _GROUPED),
    ("OPT", "OPT", _DECODER, {**_TEXT, "ffn_dim": 1024, "word_embed_proj_dim": 256}),
    ("Phi", "Phi", _DECODER, _TEXT),
    ("Phi-3", "Phi3", _DECODER, _TEXT),
    ("Qwen2", "Qwen2", _DECODER, _GROUPED),
    ("Qwen2-MoE", "Qwen2Moe", _DECODER, {
        **_GROUPED, **_EXPERTS, "moe_intermediate_size": 256, "shared_expert_intermediate_size": 256,
    }),
    ("Qwen3", "Qwen3", _DECODER, _GROUPED),
    ("RWKV", "Rwkv", _DECODER, {
        "vocab_size": _VOCABULARY, "hidden_size": 256, "attention_hidden_size": 256, "num_hidden_layers": 4,
        "intermediate_size": 1024, "context_length": 128, "use_cache": False,
    }),
    ("StableLM", "StableLm", _DECODER, _GROUPED),
    ("Starcoder2", "Starcoder2", _DECODER, _GROUPED),
    ("xLSTM", "xLSTM", _DECODER, {
        "vocab_size": _VOCABULARY, "hidden_size": 256, "num_hidden_layers": 4, "num_blocks": 4, "num_heads": 4,
        "chunk_size": 16, "mode": "train", "use_cache": False,
    }),
]  # fmt: skip
_VISION: list[tuple[str, str, str, dict[str, Any]]] = [
    (TOKENS, "BEiT", "Beit", {**_IMAGE, "use_relative_position_bias": True}),
    (TOKENS, "Data2Vec", "Data2VecVision", _IMAGE),
    (TOKENS, "DeiT", "DeiT", _IMAGE),
    (TOKENS, "DINOv2", "Dinov2", {**_IMAGE, "mlp_ratio": 4}),
    (TOKENS, "PVT", "Pvt", {
        "image_size": _SIDE, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 3, 4], "num_labels": N_CLASSES,
    }),
    (TOKENS, "SegFormer", "Segformer", {
        "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "num_labels": N_CLASSES,
    }),
    (TOKENS, "SigLIP", "Siglip", {"vision_config": _IMAGE, "num_labels": N_CLASSES}),
    (TOKENS, "Swin", "Swin", {
        "image_size": _SIDE, "patch_size": 4, "embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4,
        "num_labels": N_CLASSES,
    }),
    (TOKENS, "Swin V2", "Swinv2", {
        "image_size": _SIDE, "patch_size": 4, "embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4,
        "num_labels": N_CLASSES,
    }),
    (TOKENS, "ViT", "ViT", _IMAGE),
    (HYBRIDS, "CvT", "Cvt", {
        "embed_dim": [32, 64, 96], "num_heads": [1, 2, 3], "depth": [1, 2, 3], "num_labels": N_CLASSES,
    }),
    (HYBRIDS, "MobileViT", "MobileViT", {
        "image_size": _SIDE, "hidden_sizes": [48, 64, 80], "neck_hidden_sizes": [16, 16, 24, 48, 64, 80, 320],
        "num_labels": N_CLASSES,
    }),
    (HYBRIDS, "PoolFormer", "PoolFormer", {
        "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "num_labels": N_CLASSES,
    }),
    (CONVOLUTIONS, "ConvNeXt", "ConvNext", {
        "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 2, 1], "num_labels": N_CLASSES,
    }),
    (CONVOLUTIONS, "FocalNet", "FocalNet", {
        "image_size": _SIDE, "embed_dim": 32, "depths": [1, 1, 2, 1], "num_labels": N_CLASSES,
    }),
    (CONVOLUTIONS, "ResNet", "ResNet", {
        "embedding_size": 32, "hidden_sizes": [64, 96, 128, 160], "depths": [1, 1, 1, 1], "num_labels": N_CLASSES,
    }),
]  # fmt: skip


def _make(family: str, task: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        transformers = library("transformers")
        config = getattr(transformers, f"{family}Config")(**settings)
        return getattr(transformers, f"{family}{task}")(config).eval()

    return make


def _tokens(name: str = "input_ids") -> Callable[[], dict[str, Tensor]]:
    """Random words, none of them special."""
    return lambda: {name: 4 + torch.randint(_VOCABULARY - 4, (BATCH, _LENGTH))}


def _next_tokens() -> Tensor:
    return torch.randint(_VOCABULARY, (BATCH, _LENGTH))


def _pixels() -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(BATCH, 3, _SIDE, _SIDE)}


def _pooled(outputs: Any) -> Tensor:
    """The mean of the tokens' features as logits, for a network without a head."""
    return outputs.last_hidden_state.mean(1)


def _add(
    kind: str, family: str, name: str, task: str, settings: dict[str, Any], size: str, inputs: Callable[[], Any],
    targets: Callable[[], Tensor] = labels, output: Any = None,
) -> None:  # fmt: skip
    made = _make(name, task, settings)
    PUBLIC_MODELS.append(
        PublicModel("transformers", kind, family, f"{name}{task}", size, made, inputs, targets, output)
    )


_WORDS, _WHOLE = f"{_LENGTH} tokens", f"{_SIDE} px"
for _family, _name, _task, _settings in _ENCODERS:
    _add(ENCODERS, _family, _name, _task, _settings, _WORDS, _tokens())
_add(ENCODERS, "T5, encoder", "T5", "EncoderModel", _T5, _WORDS, _tokens(), output=_pooled)
_add(ENCODERS, "CLIP, text", "CLIPText", "Model", _TEXT, _WORDS, _tokens(), output=_pooled)
for _family, _name, _task, _settings in _DECODERS:
    _add(DECODERS, _family, _name, _task, _settings, _WORDS, _tokens(), _next_tokens)
_add(
    DECODERS, "T5", "T5", "ForConditionalGeneration", _T5, f"{_LENGTH} and {_LENGTH} tokens",
    lambda: {**_tokens()(), **_tokens("decoder_input_ids")()}, _next_tokens,
)  # fmt: skip
_add(
    DECODERS, "BART", "Bart", "ForConditionalGeneration", _BART, f"{_LENGTH} and {_LENGTH} tokens",
    lambda: {**_tokens()(), **_tokens("decoder_input_ids")()}, _next_tokens,
)  # fmt: skip
for _kind, _family, _name, _settings in _VISION:
    _add(_kind, _family, _name, _PICTURES, _settings, _WHOLE, _pixels)
_add(TOKENS, "CLIP, vision", "CLIPVision", "Model", _IMAGE, _WHOLE, _pixels, output=_pooled)
_add(TOKENS, "ViT, MAE", "ViTMAE", "Model", {**_IMAGE, "mask_ratio": 0.5}, _WHOLE, _pixels, output=_pooled)
for _family, _name in {
    "HuBERT": "Hubert", "UniSpeech": "UniSpeech", "Wav2Vec2": "Wav2Vec2", "WavLM": "WavLM",
}.items():  # fmt: skip
    _add(
        OTHERS, _family, _name, _CLASSIFIER, _SOUND, f"{_SAMPLES} samples",
        lambda: {"input_values": torch.randn(BATCH, _SAMPLES)},
    )  # fmt: skip
_add(
    OTHERS, "Audio spectrogram transformer", "AST", "ForAudioClassification",
    {**_IMAGE, "num_mel_bins": 32, "max_length": 64}, "64 frames",
    lambda: {"input_values": torch.randn(BATCH, 64, 32)},
)  # fmt: skip
_add(
    OTHERS, "Whisper", "Whisper", "ForAudioClassification",
    {**_BART, "num_mel_bins": 32, "max_source_positions": 50, "classifier_proj_size": 64}, "100 frames",
    lambda: {"input_features": torch.randn(BATCH, 32, 100)},
)  # fmt: skip
_add(
    OTHERS, "Perceiver", "Perceiver", _CLASSIFIER,
    {
        "vocab_size": _VOCABULARY, "d_model": 64, "d_latents": 128, "num_latents": 16, "num_blocks": 1,
        "num_self_attends_per_block": 2, "num_self_attention_heads": 4, "num_cross_attention_heads": 4,
        "max_position_embeddings": _LENGTH, "num_labels": N_CLASSES,
    },
    _WORDS, _tokens("inputs"),
)  # fmt: skip
_add(
    OTHERS, "VideoMAE", "VideoMAE", "ForVideoClassification", {**_IMAGE, "num_frames": 4, "tubelet_size": 2},
    f"4 frames of {_SIDE} px", lambda: {"pixel_values": torch.randn(BATCH, 4, 3, _SIDE, _SIDE)},
)  # fmt: skip
