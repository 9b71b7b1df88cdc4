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


def test_a_warm_up_that_is_asked_for_is_kept() -> None:
    assert RECIPES["short"].with_changes(epochs=10, warmup_epochs=5).warmup_epochs == 5
    assert RECIPES["short"].with_changes(epochs=10, warmup_epochs=0).warmup_epochs == 0


IMPOSSIBLE = [
    ("epochs", (0, 1.5, True, "x"), "a whole number of at least 1"),
    ("batch_size", (0, 1.5), "a whole number of at least 1"),
    ("lr", (0, -1.0, float("nan"), float("inf"), "x"), "a number above 0"),
    ("lr_batch", (0, 2.5), "a whole number of at least 1"),
    ("first_lr", (-1e-9, "x"), "a number of at least 0"),
    ("last_lr", (-1e-9, float("inf")), "a number of at least 0"),
    ("warmup_epochs", (-1, 2.5), "a whole number"),
    ("weight_decay", (-0.1, float("nan")), "a number of at least 0"),
    ("label_smoothing", (-0.1, 1), "a share from 0 to below 1"),
    ("clip_norm", (0, -1), "a number above 0"),
    ("drop_path", (1.0, True), "a share from 0 to below 1"),
    ("shift", (-0.1, 1), "a share from 0 to below 1"),
    ("augment", (3, ""), "words for timm"),
    ("erase", (1, -1), "a share from 0 to below 1"),
    ("mixup", (-1, float("inf")), "a number of at least 0"),
    ("cutmix", (-1, "x"), "a number of at least 0"),
    ("sandwich", (1, "x"), "True or False"),
    ("ema", (0, 1, 2.0), "a decay between 0 and 1"),
]


def test_every_number_is_checked_and_named() -> None:
    assert [name for name, _, _ in IMPOSSIBLE] == [name for name in RECIPES["short"].to_dict() if name != "name"]
    for name, values, expected in IMPOSSIBLE:
        for value in values:
            with pytest.raises(InputError, match=rf"^{name}: found {value!r}, expected {expected}"):
                RECIPES["short"].with_changes(**{name: value})


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("short", {"epochs": 3, "warmup_epochs": 4}, "warmup_epochs: found 4, more than the 3 epochs"),
        ("short", {"erase": 0.1}, "erase: found 0.1, which is part of augment, and there is none"),
        ("autoformer", {"shift": 0.1}, "shift: found 0.1, and augment moves images already"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(recipe: str, changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RECIPES[recipe].with_changes(**changes)


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
