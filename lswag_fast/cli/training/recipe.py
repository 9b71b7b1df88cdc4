"""The recipe of a training: the named one, with the numbers that options change."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lswag_fast.cli.values import assignment, naming, positive
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.training.recipe import Recipe

RECIPES = ("short", "autoformer")
"""Known by name: a test compares them with those of `training.recipe`, which the help is not to wait for."""
# The name is --recipe, and --sandwich is of a supernet alone.
_NOT_SET = ("name", "sandwich")


def add_recipe(group: argparse._ActionsContainer) -> None:
    """Add which recipe, and the options that change it in every command that trains."""
    text = "short, for small data, or autoformer, the published one, which needs timm (default: short)"
    group.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help=text)
    group.add_argument("--epochs", type=positive, metavar="N", help="how often each image is seen")
    text = "a number of the recipe, such as mixup=0.8 or weight_decay=0.1; may be given several times"
    group.add_argument("--recipe-set", action="append", default=[], type=assignment, metavar="NAME=VALUE", help=text)


def recipe_of(args: argparse.Namespace, *options: str) -> Recipe:
    """Return the recipe with the changes that were asked for.

    Args:
        args: what was parsed.
        options: names of further options that are numbers of the recipe.

    Raises:
        InputError: no training can have such a number, or two options say the same one.
    """
    from lswag_fast.training.recipe import RECIPES as RECIPES_BY_NAME

    own = {name: value for name in ("epochs", *options) if (value := getattr(args, name)) is not None}
    given = {item.option: item.value for item in args.recipe_set}
    recipe = RECIPES_BY_NAME[args.recipe].with_changes(**own)
    with naming("--recipe-set"):
        known = [name for name in recipe.to_dict() if name not in _NOT_SET]
        for name in given:
            if name not in known:
                raise InputError(f"a recipe has no number {name!r} to set; there are {', '.join(known)}")
            if name in own:
                raise InputError(f"{name!r} has an option of its own, which was given too; leave one out")
        return recipe.with_changes(**given) if given else recipe
