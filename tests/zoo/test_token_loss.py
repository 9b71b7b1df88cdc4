"""Language models scored by the loss of tokens, against a loop over the texts in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import Score, TokenLoss, score
from support.zoo_libraries import library

VOCABULARY, LENGTH, N_TEXTS = 40, 9, 5


def _of_transformers(family: str, task: str, **settings: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        library("torchvision")  # transformers imports it where it is
        transformers = library("transformers")
        config = getattr(transformers, f"{family}Config")(
            vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, pad_token_id=0, **settings
        )
        model: nn.Module = getattr(transformers, f"{family}{task}")(config)
        return model

    return make


class Recurrent(nn.Module):
    """A table, a recurrent layer and a head."""

    def __init__(self, layer: type[nn.RNNBase]) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(VOCABULARY, 8), nn.Linear(12, VOCABULARY)
        self.layer = layer(8, 12, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(self.table(tokens))[0])


NARROW = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "max_position_embeddings": 12}
CAUSAL: dict[str, Callable[[], nn.Module]] = {
    "gpt2": _of_transformers(  # weights of `addmm`, and its head is the table
        "GPT2", "LMHeadModel", n_embd=16, n_layer=2, n_head=2, n_positions=12,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ),
    # RMSNorm, rotary positions, gated layers, and keys that two heads share
    "llama": _of_transformers("Llama", "ForCausalLM", num_attention_heads=4, num_key_value_heads=2, **NARROW),
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
}  # fmt: skip
MASKED = {
    "bert": _of_transformers(
        "Bert",
        "ForMaskedLM",
        num_attention_heads=2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **NARROW,
    )
}


def texts(*, masked: bool) -> tuple[Tensor, Tensor]:
    """Tokens and labels; the end of the first text is padding, and half of all tokens do not count where masked."""
    tokens = torch.randint(1, VOCABULARY, (N_TEXTS, LENGTH), generator=torch.Generator().manual_seed(1))
    labels = tokens.clone()
    labels[0, 6:] = -100
    if masked:
        labels[:, ::2] = -100
    return tokens, labels


def losses_one_by_one(model: nn.Module, tokens: Tensor, labels: Tensor, *, shift: bool) -> list[Tensor]:
    """The loss of each text by itself, token by token."""
    found = []
    for text, label in zip(tokens, labels, strict=True):
        outputs = model(text[None])
        p = getattr(outputs, "logits", outputs)[0].log_softmax(-1)
        told = [(t - shift, label[t]) for t in range(int(shift), LENGTH) if label[t] != -100]
        found.append(-torch.stack([p[t, token] for t, token in told]).sum())
    return found


@pytest.mark.parametrize("name", [*CAUSAL, *MASKED])
def test_the_spread_of_the_gradients_of_texts(name: str) -> None:
    torch.manual_seed(0)
    model = {**CAUSAL, **MASKED}[name]().double()
    tokens, labels = texts(masked=name in MASKED)
    shift = name in CAUSAL
    found = score(model, (tokens, labels), proxy="zico", loss_fn=TokenLoss(shift=shift))
    assert found.coverage == 1
    losses = losses_one_by_one(model, tokens, labels, shift=shift)
    weights = dict(model.named_parameters())
    for layer in found.layers:
        weight = weights[layer.name]
        gradients = torch.stack([torch.autograd.grad(loss, weight, retain_graph=True)[0] for loss in losses])
        sigma = gradients.abs().std(0, correction=0)
        expected = math.log(float((1 / sigma[sigma > 1e-12]).sum()))  # of tokens that no text has it is 0
        assert layer.trainability == pytest.approx(expected, rel=1e-7), layer.name


def llama_with_the_inputs_of_a_layer() -> tuple[Score, Tensor]:
    torch.manual_seed(0)
    model, seen = CAUSAL["llama"]().double(), []
    tokens, labels = texts(masked=False)
    found = score(model, (tokens, labels), loss_fn=TokenLoss(shift=True), pattern_samples=N_TEXTS)
    down: Any = model.get_submodule("model.layers.0.mlp.down_proj")
    down.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    model(tokens)
    return found, seen[0]


def test_of_a_gated_layer_the_product_of_gate_and_value_counts() -> None:
    found, product = llama_with_the_inputs_of_a_layer()
    (layer,) = [layer for layer in found.layers if layer.name == "model.layers.0.mlp.down_proj.weight"]
    assert str(layer.activation).startswith("mul@")
    patterns = {tuple(row) for row in (product > 0).flatten(1).t().tolist()}
    assert layer.cardinality == len(patterns)
