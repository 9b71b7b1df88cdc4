"""A supernet of a small space, trained for a moment on digits, for whatever takes the folder of one."""

from pathlib import Path

from lswag_fast.data.splits import split_images
from lswag_fast.training.recipe import RECIPES
from lswag_fast.training.supernet import train_supernet

MODULE = """
from lswag_fast.spaces import AutoFormer

def make():
    choices = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
    return AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
"""


def small_space():
    """The space of `MODULE`."""
    names = {}
    exec(MODULE, names)
    return names["make"]()


def save_supernet(folder: Path, seed: int = 0):
    """Train the supernet of `MODULE` for one epoch into a folder."""
    recipe = RECIPES["short"].with_changes(epochs=1)
    return train_supernet(small_space(), split_images("digits", image_size=8), folder, recipe=recipe, seed=seed)
