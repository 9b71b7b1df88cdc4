"""Learning rates at their corners, changes, and which parameters decay."""

from __future__ import annotations

import pytest
from torch import nn

from lswag_fast.errors import InputError
from lswag_fast.spaces import AutoFormer
from lswag_fast.training.recipe import RECIPES, Recipe, parameter_groups


def test_the_published_recipe_is_that_of_the_paper() -> None:
    """Supplement B.1: 500 epochs, 20 of warm-up, AdamW, batch 1024, learning rate 1e-3, decay and smoothing."""
    recipe = RECIPES["autoformer"]
    assert (recipe.epochs, recipe.warmup_epochs, recipe.batch_size) == (500, 20, 1024)
    assert recipe.peak_lr == pytest.approx(1e-3)
    assert recipe.with_changes(batch_size=512).peak_lr == pytest.approx(5e-4)
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.drop_path) == (0.05, 0.1, 0.1)
    assert (recipe.mixup, recipe.cutmix, recipe.erase) == (0.8, 1.0, 0.25)


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe("mine", epochs=10, batch_size=8, lr=1e-2, first_lr=1e-4, last_lr=1e-3, warmup_epochs=2)
    rates = [recipe.lr_at(step, 5) for step in range(51)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[5] == pytest.approx((1e-4 + 1e-2) / 2)
    assert rates[10] == pytest.approx(1e-2) == pytest.approx(max(rates))
    assert rates[30] == pytest.approx((1e-2 + 1e-3) / 2)
    assert rates[50] == pytest.approx(1e-3)
    assert sorted(rates[:11]) == rates[:11] and sorted(rates[10:], reverse=True) == rates[10:]


def test_a_short_training_has_a_short_warm_up() -> None:
    assert RECIPES["autoformer"].with_changes(epochs=30).warmup_epochs == 3
    assert RECIPES["autoformer"].with_changes(epochs=1000).warmup_epochs == 20


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"lr": -1.0}, {"drop_path": 1.0}, {"lr": float("nan")}])
def test_impossible_numbers_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        RECIPES["short"].with_changes(**changes)


def test_is_stored_as_json_values() -> None:
    for recipe in RECIPES.values():
        assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_biases_norms_and_named_parameters_do_not_decay() -> None:
    space = AutoFormer(embed_dim=16, depth=1, num_heads=1, mlp_ratio=1, image_size=8, patch_size=4)
    network = space.build(space.extremes()[0])
    network.head.bias.requires_grad_(False)
    decaying, kept = parameter_groups(network, RECIPES["short"], network.no_weight_decay())
    assert (decaying["weight_decay"], kept["weight_decay"]) == (0.05, 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names[id(parameter)] for parameter in kept["params"]}
    norms = {f"{norm}.{part}" for norm in ("norm", "blocks.0.attn_layer_norm") for part in ("weight", "bias")}
    assert {"pos_embed", "cls_token", "blocks.0.fc1.bias"} | norms <= found
    assert {names[id(parameter)] for parameter in decaying["params"]} == {
        "patch_embed_super.proj.weight",
        "head.weight",
        *(f"blocks.0.{name}.weight" for name in ("attn.qkv", "attn.proj", "fc1", "fc2")),
        *(f"blocks.0.attn.rel_pos_embed_{a}.embeddings_table_{b}" for a in "kv" for b in "vh"),
    }
    assert not isinstance(network, nn.Sequential)
