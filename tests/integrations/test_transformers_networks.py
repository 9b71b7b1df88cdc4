"""`hf:CONFIG.json`, against what transformers makes of the same configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lswag_fast import score
from lswag_fast.errors import InputError
from lswag_fast.integrations import ImageInputs, NamedNetwork, TokenInputs, named_network, transformers_networks
from support.offline import refuse_network
from support.zoo_libraries import library

library("torchvision")  # transformers imports it where it is
transformers = library("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
TEXT = {**SMALL, "vocab_size": 40, "max_position_embeddings": 32, "pad_token_id": 0}
BERT = {**TEXT, "model_type": "bert"}
VIT = {**SMALL, "model_type": "vit", "image_size": 16, "patch_size": 8}
RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    refuse_network(monkeypatch)
    monkeypatch.chdir(tmp_path)

    def make(content: Any, **given: Any) -> NamedNetwork:
        (tmp_path / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return named_network("hf:config.json", **given)

    return make


ARCHITECTURES = {
    "BertForSequenceClassification": (BERT, TokenInputs(40, 32, 0), 2),
    "BertForTokenClassification": (BERT, TokenInputs(40, 32, 0, per_token=True), 2),
    "BertForMaskedLM": (BERT, TokenInputs(40, 32, 0, per_token=True, is_masked=True), 40),
    "LlamaForCausalLM": ({**TEXT, "model_type": "llama"}, TokenInputs(40, 32, 0, per_token=True, is_masked=False), 40),
    "ViTForImageClassification": (VIT, ImageInputs(16, 3), 2),
    "ResNetForImageClassification": (RESNET, ImageInputs(224, 3), 2),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures_says_which_network_it_is(architecture: str, made: Any) -> None:
    content, inputs, n_classes = ARCHITECTURES[architecture]
    found = made({**content, "architectures": [architecture]}, seed=3)
    torch.manual_seed(3)
    kind = getattr(transformers, architecture)
    expected = kind(kind.config_class(**content))
    assert type(found.model) is kind
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), expected.parameters(), strict=True))
    assert (found.inputs, found.num_classes) == (inputs, n_classes)


@pytest.mark.parametrize("architecture", ["BertForSequenceClassification", "BertForMaskedLM", "LlamaForCausalLM"])
def test_it_is_scored_on_its_tokens(architecture: str, made: Any) -> None:
    found = made({**ARCHITECTURES[architecture][0], "architectures": [architecture]})
    batch = found.inputs.draw(8, found.num_classes)
    assert score(found.model, batch, pattern_samples=8).coverage > 0.9


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (BERT, "BertForSequenceClassification"),
        (VIT, "ViTForImageClassification"),
        (
            {"model_type": "xglm", "d_model": 16, "num_layers": 1, "attention_heads": 2, "ffn_dim": 24},
            "XGLMForCausalLM",
        ),
    ],
)
def test_without_architectures_it_is_the_first_that_there_is(content: dict[str, Any], kind: str, made: Any) -> None:
    assert type(made(content).model).__name__ == kind


def test_classes_size_and_channels_are_those_that_are_asked_for(made: Any) -> None:
    found = made({**VIT, "num_channels": 1}, num_classes=7, image_size=24)
    assert (found.inputs, found.num_classes) == (ImageInputs(24, 1), 7)
    assert found.model(torch.zeros(2, 1, 24, 24)).logits.shape == (2, 7)
    assert made(RESNET, image_size=32).inputs == ImageInputs(32, 3)


def test_rows_are_short_where_there_are_many_positions(made: Any) -> None:
    assert made({**BERT, "max_position_embeddings": 4096}).inputs.length == 128


MISTAKES = [
    ("{broken", "config.json: cannot be read as a configuration .* which lies on this machine"),
    ("[1]", "is no configuration of transformers, but a list"),
    ({"hidden_size": 3}, "names no model_type"),
    ({"model_type": "bertt"}, "transformers has no model_type 'bertt'; the nearest are .*bert"),
    ({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}, "has no model_type 'mine'"),
    (
        {**BERT, "architectures": ["BertForPreTraining"]},
        "'BertForPreTraining', which is none of a classifier of images",
    ),
    ({"model_type": "vitmatte"}, "names no architectures, and vitmatte has no classifier or language model"),
    ({"model_type": "t5", "architectures": ["T5ForSequenceClassification"]}, "has an encoder and a decoder"),
    (
        {**BERT, "num_attention_heads": 3},
        "hf:config.json cannot be built: ValueError: The hidden size .* is not a mult",
    ),
    ({**VIT, "image_size": [16, 32]}, "takes images of 16 x 32 pixels, and only square ones"),
]


@pytest.mark.parametrize(("content", "words"), MISTAKES)
def test_what_cannot_be_scored_is_one_line(content: Any, words: str, made: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        made(content)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_and_classes_of_a_vocabulary(made: Any) -> None:
    with pytest.raises(InputError, match=r"hf:no/such\.json: cannot be read as a configuration \(No such file"):
        named_network("hf:no/such.json")
    with pytest.raises(InputError, match="tells the tokens of its vocabulary apart; leave out --num-classes"):
        made({**BERT, "architectures": ["BertForMaskedLM"]}, num_classes=3)


def test_a_torchvision_of_another_torch_is_named(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        """Stands for transformers, which imports the module of a network when its class is asked for."""

        def __getattr__(self, name: str) -> Any:
            raise ModuleNotFoundError(f"Could not import module {name!r}.") from RuntimeError("no torchvision::nms")

    monkeypatch.setattr(transformers_networks, "library", lambda name: Lazy())
    expected = r"^transformers cannot be loaded beside torch .*\(no torchvision::nms\); install the builds"
    with pytest.raises(InputError, match=expected):
        made({**BERT, "architectures": ["BertForMaskedLM"]})
