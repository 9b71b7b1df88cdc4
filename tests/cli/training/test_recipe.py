"""Which recipe the options ask for."""

from __future__ import annotations

import argparse

import pytest

from lswag_fast.cli.command import Parser
from lswag_fast.cli.training import recipe
from lswag_fast.cli.training.choices import add_training_options
from lswag_fast.cli.training.recipe import recipe_of
from lswag_fast.errors import InputError
from lswag_fast.training.recipe import RECIPES

OWN = ("batch_size", "lr", "ema")


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser(prog="train")
    add_training_options(parser)
    return parser.parse_args(words)


def changed(*assignments: str) -> argparse.Namespace:
    return parsed(*(word for text in assignments for word in ("--recipe-set", text)))


def test_the_recipes_are_those_that_there_are() -> None:
    assert tuple(RECIPES) == recipe.RECIPES


def test_a_recipe_takes_the_changes() -> None:
    assert recipe_of(parsed(), *OWN) == RECIPES["short"]
    found = recipe_of(parsed("--recipe", "autoformer", "--epochs", "30", "--lr", "0.1", "--ema", "0.99"), *OWN)
    assert (found.name, found.epochs, found.lr, found.ema, found.sandwich) == ("autoformer", 30, 0.1, 0.99, False)


def test_every_number_can_be_set_by_its_name() -> None:
    words = ["mixup=0.8", "cutmix=1", "label_smoothing=0.2", "drop_path=0.1", "weight_decay=0.01", "warmup_epochs=9"]
    found = recipe_of(changed(*words, "ema=0.9", "lr_batch=64", "lr=0.002"), *OWN)
    assert (found.mixup, found.cutmix, found.label_smoothing, found.drop_path) == (0.8, 1, 0.2, 0.1)
    assert (found.weight_decay, found.warmup_epochs, found.ema, found.peak_lr) == (0.01, 9, 0.9, 0.001)
    found = recipe_of(changed("augment=rand-m5", "shift=0"))
    assert (found.augment, found.shift) == ("rand-m5", 0)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (changed("mixup=-1"), "--recipe-set: mixup: found -1, expected a number of at least 0"),
        (changed("epochs=many"), "--recipe-set: epochs: found 'many', expected a whole number"),
        (changed("dropout=0.1"), "--recipe-set: a recipe has no number 'dropout' to set; there are epochs, "),
        (changed("name=mine"), "--recipe-set: a recipe has no number 'name'"),
        (changed("sandwich=1"), "--recipe-set: a recipe has no number 'sandwich'"),
        (parsed("--lr", "0.1", "--recipe-set", "lr=0.2"), "--recipe-set: 'lr' has an option of its own"),
        (parsed("--epochs", "3", "--recipe-set", "warmup_epochs=4"), "warmup_epochs: found 4, more than the 3 epochs"),
    ],
)
def test_what_no_recipe_can_have_is_refused(args: argparse.Namespace, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe_of(args, *OWN)
